#!/bin/sh
# Installs rustup and Rust through Crateport, and points both rustup and cargo at it for good.
#
#   curl -fsSL ADDRESS/rustup/rustup-init.sh | sh
#   curl -fsSL ADDRESS/rustup/rustup-init.sh | sh -s -- -y --profile minimal --default-toolchain 1.95.0
#
# Arguments go to rustup-init. With --no-modify-path no profile of a shell is touched. Where no terminal is there to
# answer questions, none is asked. Needed are curl or wget, and nothing else.

set -eu

base=@BASE@

cargo_lines() {
    cat <<'@END@'
@CARGO_LINES@
@END@
}

main() {
    dist_server="$base/rustup"
    update_root="$base/rustup/rustup"
    cargo_home="${CARGO_HOME:-${HOME:?is not set}/.cargo}"

    triple="$(platform)"
    file="$update_root/dist/$triple/rustup-init"
    case "$triple" in *windows*) file="$file.exe" ;; esac

    directory="$(mktemp -d 2>/dev/null || mktemp -d -t crateport)"
    trap 'rm -rf "$directory"' EXIT
    trap 'exit 130' INT HUP TERM
    program="$directory/${file##*/}"

    say "fetching rustup-init for $triple from $base"
    # The checksum first: whoever has been told it gets the file that has it.
    fetch "$file.sha256" "$directory/sum" || fail "$base has no rustup-init for $triple"
    fetch "$file" "$program" || fail "rustup-init for $triple could not be fetched from $base"
    verify "$program" "$directory/sum"
    chmod u+x "$program"
    [ -x "$program" ] || fail "$program cannot be run: set TMPDIR to a directory where programs may be"

    RUSTUP_DIST_SERVER="$dist_server"
    RUSTUP_UPDATE_ROOT="$update_root"
    export RUSTUP_DIST_SERVER RUSTUP_UPDATE_ROOT
    run "$program" "$@"

    keep_for_rustup
    is_given --no-modify-path "$@" || keep_in_profiles
    keep_for_cargo
    say "done; in this shell, run:  . \"$cargo_home/env\"; . \"$cargo_home/crateport.sh\""
}

# The platform as Rust names it.
platform() {
    system="$(uname -s)"
    machine="$(uname -m)"
    case "$system" in
        Linux)
            libc=gnu
            if ls /lib/ld-musl-* >/dev/null 2>&1 || (ldd --version 2>&1 || :) | grep -qi musl; then
                libc=musl
            fi
            # A 64-bit kernel may carry 32-bit programs only.
            bits="$(getconf LONG_BIT 2>/dev/null || echo 64)"
            case "$machine" in
                x86_64 | amd64)
                    if [ "$bits" = 32 ]; then echo "i686-unknown-linux-gnu"; return; fi
                    echo "x86_64-unknown-linux-$libc"
                    ;;
                aarch64 | arm64)
                    if [ "$bits" = 32 ]; then echo "armv7-unknown-linux-gnueabihf"; return; fi
                    echo "aarch64-unknown-linux-$libc"
                    ;;
                i386 | i486 | i586 | i686) echo "i686-unknown-linux-gnu" ;;
                armv7l | armv8l) echo "armv7-unknown-linux-gnueabihf" ;;
                armv6l | arm) echo "arm-unknown-linux-gnueabihf" ;;
                riscv64) echo "riscv64gc-unknown-linux-gnu" ;;
                s390x) echo "s390x-unknown-linux-gnu" ;;
                ppc64le) echo "powerpc64le-unknown-linux-$libc" ;;
                loongarch64) echo "loongarch64-unknown-linux-$libc" ;;
                *) fail "no rustup-init is known for Linux on $machine" ;;
            esac
            ;;
        Darwin)
            # Under Rosetta the machine says that it is an Intel one.
            if [ "$machine" = arm64 ] || [ "$(sysctl -n hw.optional.arm64 2>/dev/null || :)" = 1 ]; then
                echo "aarch64-apple-darwin"
            else
                echo "x86_64-apple-darwin"
            fi
            ;;
        FreeBSD) echo "x86_64-unknown-freebsd" ;;
        MINGW* | MSYS* | CYGWIN* | Windows_NT) echo "x86_64-pc-windows-msvc" ;;
        *) fail "no rustup-init is known for $system" ;;
    esac
}

fetch() { # URL, file
    if command -v curl >/dev/null 2>&1; then
        curl -fsSL --retry 3 -o "$2" "$1"
    elif command -v wget >/dev/null 2>&1; then
        wget -q -O "$2" "$1"
    else
        fail "curl or wget is needed"
    fi
}

# Crateport has checked what it serves; this is against what may happen on the way.
verify() { # file, file with its checksum
    wanted="$(cut -c 1-64 "$2")"
    if command -v sha256sum >/dev/null 2>&1; then
        found="$(sha256sum "$1" | cut -c 1-64)"
    elif command -v shasum >/dev/null 2>&1; then
        found="$(shasum -a 256 "$1" | cut -c 1-64)"
    else
        say "no program to check SHA-256 with is here; going on without"
        return
    fi
    [ "$wanted" = "$found" ] || fail "the checksum of rustup-init is $found and must be $wanted"
}

# With questions, if there is somebody to answer them: stdin is this script.
run() {
    program="$1"
    shift
    if is_given -y "$@" || is_given --help "$@" || is_given -h "$@" || is_given --version "$@"; then
        "$program" "$@" </dev/null
    elif (: </dev/tty) 2>/dev/null; then
        "$program" "$@" </dev/tty
    else
        "$program" -y "$@" </dev/null
    fi
}

is_given() { # word, arguments
    wanted="$1"
    shift
    for argument in "$@"; do
        [ "$argument" != "$wanted" ] || return 0
    done
    return 1
}

keep_for_rustup() {
    mkdir -p "$cargo_home"
    {
        echo "# Written by Crateport's rustup-init.sh: where rustup gets toolchains and itself."
        echo "export RUSTUP_DIST_SERVER=$(quoted "$dist_server")"
        echo "export RUSTUP_UPDATE_ROOT=$(quoted "$update_root")"
    } >"$cargo_home/crateport.sh"
}

keep_in_profiles() {
    line=". $(quoted "$cargo_home/crateport.sh")"
    for name in .profile .bash_profile .bash_login .bashrc .zshenv; do
        profile="$HOME/$name"
        if [ "$name" != .profile ] && [ ! -e "$profile" ]; then continue; fi
        if [ -e "$profile" ] && grep -qF "$line" "$profile"; then continue; fi
        printf '%s\n' "$line" >>"$profile"
    done
}

keep_for_cargo() {
    config="$cargo_home/config.toml"
    [ -n "$(cargo_lines)" ] || return 0
    if [ -e "$config" ]; then
        # Lines of an earlier run are replaced; everything else stays.
        sed '/^# >>> crateport >>>$/,/^# <<< crateport <<<$/d' "$config" >"$directory/config.toml"
    else
        : >"$directory/config.toml"
    fi
    if grep -qE '^[[:space:]]*\[(source\.crates-io|registries\.crateport)' "$directory/config.toml"; then
        say "$config has a mirror already and stays as it is; the lines for this one are:"
        cargo_lines
        return
    fi
    {
        cat "$directory/config.toml"
        echo "# >>> crateport >>>"
        cargo_lines
        echo "# <<< crateport <<<"
    } >"$config"
}

quoted() {
    printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

say() {
    printf 'crateport: %s\n' "$1" >&2
}

fail() {
    say "$1"
    exit 1
}

# Nothing above runs before this line has arrived.
main "$@"
