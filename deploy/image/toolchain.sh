#!/bin/sh
# How the image's binary is compiled. Run by deploy/Dockerfile, in /src.
#
#   toolchain prepare BUILD TARGET    what is needed to compile on architecture BUILD for TARGET (amd64, arm64)
#   toolchain build TARGET PROFILE    compiles, and leaves the binary in /out
#   toolchain root DIRECTORY          the image's files
set -eu

triple() {
    case "$1" in
        amd64) echo x86_64-unknown-linux-gnu ;;
        arm64) echo aarch64-unknown-linux-gnu ;;
        *) echo "there is no image for $1 yet" >&2; exit 1 ;;
    esac
}

prepare() { # build, target
    packages="ca-certificates gcc libc6-dev"
    if [ "$1" != "$2" ]; then
        case "$2" in
            amd64) packages="$packages gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;;
            arm64) packages="$packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;;
        esac
    fi
    for package in $packages; do
        dpkg -s "$package" >/dev/null 2>&1 || missing="${missing:-} $package"
    done
    if [ -n "${missing:-}" ]; then
        apt-get update -qq
        # shellcheck disable=SC2086 # a list
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
        rm -rf /var/lib/apt/lists/*
    fi
    rustup target list --installed | grep -qx "$(triple "$2")" || rustup target add "$(triple "$2")"
}

build() { # target, profile
    target="$(triple "$1")"
    # aarch64-unknown-linux-gnu is linked by aarch64-linux-gnu-gcc, unless it is this machine's own.
    linker="$(echo "$target" | sed 's/-unknown//')-gcc"
    if command -v "$linker" >/dev/null; then
        name="$(echo "$target" | tr 'a-z-' 'A-Z_')"
        export "CARGO_TARGET_${name}_LINKER=$linker" "CC_$(echo "$target" | tr - _)=$linker"
    fi
    # The binary holds its C library, and no path of the machine that built it.
    export RUSTFLAGS="-C target-feature=+crt-static -C strip=symbols --remap-path-prefix=/src=crateport --remap-path-prefix=${CARGO_HOME:-/usr/local/cargo}=cargo"
    export CARGO_INCREMENTAL=0
    cargo build --locked --package crateport --target "$target" --profile "$2"
    directory="$2"
    [ "$2" != dev ] || directory=debug
    mkdir -p /out
    cp "target/$target/$directory/crateport" /out/crateport
}

root() { # directory
    mkdir -p "$1/etc/ssl/certs" "$1/var/lib/crateport" "$1/tmp"
    cp /out/crateport "$1/crateport"
    cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
    echo 'crateport:x:65532:65532:Crateport:/var/lib/crateport:/nonexistent' >"$1/etc/passwd"
    echo 'crateport:x:65532:' >"$1/etc/group"
    # Both are built into a static glibc; anything else would be looked for as a library.
    echo 'hosts: files dns' >"$1/etc/nsswitch.conf"
    chmod 1777 "$1/tmp"
    # A new volume takes these over, so that it belongs to Crateport.
    chown 65532:65532 "$1/var/lib/crateport"
    chmod 0750 "$1/var/lib/crateport"
    [ -z "${SOURCE_DATE_EPOCH:-}" ] || find "$1" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
}

"$@"
