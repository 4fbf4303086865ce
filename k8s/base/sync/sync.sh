#!/bin/sh
# Copies published versions from SOURCE (an rclone remote) to TARGET, so that a server that polls TARGET sees only complete ones.
#   sync.sh once    until a server can start: at least one version, and those that models.config lists
#   sync.sh         every EVERY seconds, until the pod terminates
set -u
: "${SOURCE:?}" "${TARGET:?}" "${KEEP:=3}" "${EVERY:=30}" "${CONFIG:=/config/models/models.config}"

say() { echo "$(date -u +%FT%TZ) $*"; }

# Complete versions of a listing, highest first: number and name of each folder. saved_model.pb is published last; without it a version
# is incomplete. Names are read as TensorFlow Serving reads them: digits, with leading zeros, a sign or blanks around them allowed.
complete() {
  LC_ALL=C sed -n \
    -e 's#^\([[:space:]]*+\{0,1\}0*\([0-9]\{1,19\}\)[[:space:]]*\)/saved_model\.pb$#\2 \1#p' \
    -e 's#^\([[:space:]]*-0*\(0\)[[:space:]]*\)/saved_model\.pb$#\2 \1#p' |
    awk 'length($1) < 19 || ($1 "") <= "9223372036854775807"' | LC_ALL=C sort -k1,1rn -s
}

# The folder of a version, from what complete wrote. Of several folders of one number, servers read the last in their order.
folder_of() {
  echo "$folders" | sed -n "s#^$1 ##p" | LC_ALL=C sort | tail -n 1
}

# Versions that models.config lists: a label may refer to an old version, which a new pod must load.
listed() {
  [ -f "$CONFIG" ] && grep -oE '(^|[^_])versions: *[0-9]+' "$CONFIG" | grep -oE '[0-9]+'
}

# The KEEP highest versions, and those that models.config lists.
needed() {
  echo "$1" | head -n "$KEEP"
  echo "$1" | grep -Fx "$(listed)"
}

fetch() {
  staging=$TARGET/.sync-$1
  # --checksum: files that an interrupted copy completed are not copied again.
  rclone copy --checksum --retries 3 "$SOURCE/$(folder_of "$1")" "$staging" || return 1
  if [ -f "$staging/assets.extra/SHA256SUMS" ]; then
    if ! (cd "$staging" && sha256sum -c assets.extra/SHA256SUMS >/dev/null 2>&1); then
      say "version $1 arrived damaged, or is being removed; trying again"
      rm -rf "$staging"
      return 1
    fi
  fi
  mv "$staging" "$TARGET/$1" && say "version $1 is there"
}

sync_once() {
  listing=$(rclone lsf --recursive --files-only --max-depth 2 --include '/*/saved_model.pb' "$SOURCE") || return 1
  folders=$(echo "$listing" | complete)
  wanted=$(needed "$(echo "$folders" | cut -d ' ' -f 1 | uniq)" | sort -rnu)
  for version in $wanted; do
    [ -d "$TARGET/$version" ] || fetch "$version"
  done
  # Old versions are removed only after all new ones are complete, so that the server's folder is never empty.
  for version in $wanted; do
    [ -d "$TARGET/$version" ] || return 1
  done
  [ -n "$wanted" ] || return 1
  for folder in "$TARGET"/[0-9]*; do
    [ -d "$folder" ] || continue
    version=${folder##*/}
    echo "$wanted" | grep -qx "$version" && continue
    # Renamed first, so that the server never sees an incomplete version.
    mv "$folder" "$TARGET/.removed-$version" && rm -rf "$TARGET/.removed-$version" && say "version $version is gone"
  done
}

# A new pod starts with at least one version, even if another one is damaged.
enough() {
  for version in $(listed); do
    echo "$wanted" | grep -qx "$version" && [ ! -d "$TARGET/$version" ] && return 1
  done
  for folder in "$TARGET"/[0-9]*; do
    [ -d "$folder" ] && return 0
  done
  return 1
}

mkdir -p "$TARGET"
wanted=
if [ "${1:-}" = once ]; then
  until sync_once || enough; do
    say "a server could not start yet; looking again in $EVERY s"
    sleep "$EVERY"
  done
  exit 0
fi
# Without this trap, the termination of the pod would wait for the sleep.
trap 'exit 0' TERM INT
while :; do
  sync_once || say "could not bring everything; looking again in $EVERY s"
  sleep "$EVERY" &
  wait $!
done
