#!/bin/sh
# Brings published versions from SOURCE (as rclone names it) to TARGET, so that a server which looks there sees whole ones only.
#   sync.sh once    until a server can start: at least one version, and those that models.config lists
#   sync.sh         for ever, every EVERY seconds
set -u
: "${SOURCE:?}" "${TARGET:?}" "${KEEP:=3}" "${EVERY:=30}" "${CONFIG:=/config/models/models.config}"

say() { echo "$(date -u +%FT%TZ) $*"; }

# Complete versions of a listing, highest first. saved_model.pb is published last: without it a version is not complete.
complete() {
  sed -n 's#^\([1-9][0-9]*\)/saved_model\.pb$#\1#p' | sort -rn
}

# What models.config lists: a label may stay on an old version for long, and a new pod must find it.
listed() {
  [ -f "$CONFIG" ] && grep -oE '(^|[^_])versions: *[0-9]+' "$CONFIG" | grep -oE '[0-9]+'
}

# The highest versions, and those that are listed.
needed() {
  echo "$1" | head -n "$KEEP"
  echo "$1" | grep -Fx "$(listed)"
}

fetch() {
  staging=$TARGET/.sync-$1
  # --checksum: what an earlier, interrupted copy brought is not brought again.
  rclone copy --checksum --retries 3 "$SOURCE/$1" "$staging" || return 1
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
  wanted=$(needed "$(echo "$listing" | complete)" | sort -rnu)
  for version in $wanted; do
    [ -d "$TARGET/$version" ] || fetch "$version"
  done
  # Only once everything wanted is here may something go: a server must never find its folder empty.
  for version in $wanted; do
    [ -d "$TARGET/$version" ] || return 1
  done
  [ -n "$wanted" ] || return 1
  for folder in "$TARGET"/[1-9]*; do
    [ -d "$folder" ] || continue
    version=${folder##*/}
    echo "$wanted" | grep -qx "$version" && continue
    # Renamed first: half a version must not be seen.
    mv "$folder" "$TARGET/.removed-$version" && rm -rf "$TARGET/.removed-$version" && say "version $version is gone"
  done
}

# One damaged version must not keep new pods from starting.
enough() {
  for version in $(listed); do
    echo "$wanted" | grep -qx "$version" && [ ! -d "$TARGET/$version" ] && return 1
  done
  for folder in "$TARGET"/[1-9]*; do
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
# So that the pod's end need not wait for the sleep.
trap 'exit 0' TERM INT
while :; do
  sync_once || say "could not bring everything; looking again in $EVERY s"
  sleep "$EVERY" &
  wait $!
done
