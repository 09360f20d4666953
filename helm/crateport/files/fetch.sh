# shellcheck shell=sh
# Fetches what cargo would fetch, and compares the crate's SHA-256 with the index. Wants BASE, REGISTRY, CRATE, VERSION
# and TIMEOUT; needs sh, curl and sha256sum.
fail() { echo "FAILED: $*" >&2; exit 1; }
get() { curl --fail --silent --show-error --location --retry 3 --retry-all-errors --max-time "$TIMEOUT" "$@"; }

name=$(printf %s "$CRATE" | tr '[:upper:]' '[:lower:]')
case ${#name} in
1) path="1/$name" ;;
2) path="2/$name" ;;
3) path="3/$(printf %s "$name" | cut -c1)/$name" ;;
*) path="$(printf %s "$name" | cut -c1-2)/$(printf %s "$name" | cut -c3-4)/$name" ;;
esac

config=$(get "$BASE/$REGISTRY/index/config.json") || fail "config.json"
case $config in
*'"dl"'*) echo "config.json: $config" ;;
*) fail "config.json names no dl: $config" ;;
esac

get --output /tmp/index "$BASE/$REGISTRY/index/$path" || fail "index file $path"
# Some registries write their JSON with spaces.
line=$(grep -F -e "\"vers\":\"$VERSION\"" -e "\"vers\": \"$VERSION\"" /tmp/index) || fail "the index file of $CRATE does not know $VERSION"
expected=$(printf '%s\n' "$line" | sed -n 's/.*"cksum": *"\([0-9a-f]\{64\}\)".*/\1/p')
[ -n "$expected" ] || fail "the index line has no cksum: $line"
echo "index file $path: cksum $expected"

get --output /tmp/crate --write-out 'crate: %{http_code}, %{size_download} bytes from %{url_effective}\n' \
    "$BASE/$REGISTRY/crates/$CRATE/$VERSION/download" | sed 's/?.*//' || fail "crate $CRATE $VERSION"
[ -s /tmp/crate ] || fail "crate $CRATE $VERSION did not arrive"
actual=$(sha256sum /tmp/crate | cut -d' ' -f1)
[ "$actual" = "$expected" ] || fail "the crate's SHA-256 is $actual"
echo "OK: $CRATE $VERSION through $BASE is what the index says"
