#!/bin/sh
# Leaves of the workspace in /src what decides its dependencies: its manifests, with empty sources for cargo to find.
set -eu

find services tests -type f ! -name Cargo.toml -delete
find services tests -depth -type d -empty -delete
find services tests -name Cargo.toml | while read -r manifest; do
    directory="${manifest%/Cargo.toml}"
    mkdir -p "$directory/src"
    : >"$directory/src/lib.rs"
    if [ "$directory" = services/crateport ]; then
        rm "$directory/src/lib.rs"
        echo 'fn main() {}' >"$directory/src/main.rs"
    fi
    # Targets that the manifest names would have to have a file.
    awk '/^\[/ { skipped = /^\[\[(bin|test|bench|example)\]\]/ } !skipped' "$manifest" >"$manifest.new"
    mv "$manifest.new" "$manifest"
done
# One time for all, so that the layer is the same as long as the manifests are.
find . -exec touch -hd @0 {} +
