#!/bin/sh
# Brings published versions from SOURCE (as rclone names it) to TARGET, so that a server which looks there sees whole ones only.
#   sync.sh once    until there is at least one version
#   sync.sh         for ever, every EVERY seconds
set -u
: "${SOURCE:?}" "${TARGET:?}" "${KEEP:=3}" "${EVERY:=30}"

say() { echo "$(date -u +%FT%TZ) $*"; }

# The highest versions of a listing, highest first. saved_model.pb is published last: without it a version is not complete.
complete() {
  sed -n 's#^\([1-9][0-9]*\)/saved_model\.pb$#\1#p' | sort -rn | head -n "$KEEP"
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
  wanted=$(echo "$listing" | complete)
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

mkdir -p "$TARGET"
if [ "${1:-}" = once ]; then
  until sync_once; do
    say "no version yet; looking again in $EVERY s"
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
