# shellcheck shell=bash
# What the checks of deploy/, helm/ and terraform/ stand on, fetched where it is missing. Sourced; needs `root`, the
# repository's directory. Servers are unpacked below target/tools and never installed: a Prometheus must not start by
# itself. What cannot be fetched is named.

tools="${CARGO_TARGET_DIR:-$root/target}/tools"
mkdir -p "$tools"
readonly NEWER_SUITE=trixie

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# A command whose output matters only when it fails.
quietly() {
    local log
    log="$(mktemp)"
    "$@" >"$log" 2>&1 || { cat "$log" >&2; rm "$log"; fail "failed: $*"; }
    rm "$log"
}

# Reads lists of packages, unless that was done within the hour: read_lists DIRECTORY [APT-GET'S OPTIONS]
read_lists() {
    [ -z "$(find "$1/lists-read" -mmin -60 2>/dev/null)" ] || return 0
    quietly apt-get "${@:2}" -qq update
    touch "$1/lists-read"
}

# That Debian's packages can be had.
need_apt() { # Debian packages, for the message
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        fail "this check needs Debian's $*: install it and run this again"
    fi
    read_lists "$tools"
}

install_packages() { # Debian packages
    need_apt "$@"
    say "installing $*"
    DEBIAN_FRONTEND=noninteractive quietly apt-get -qq install --no-install-recommends -y "$@"
}

need_program() { # command, Debian packages
    command -v "$1" >/dev/null || install_packages "${@:2}"
    command -v "$1" >/dev/null || fail "this check needs \`$1\`, and Debian's ${*:2} did not bring it"
}

# A Python that reads YAML, as $python.
need_python() {
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import yaml' 2>/dev/null; then return; fi
    done
    install_packages python3 python3-yaml
}

# A Python with these packages of PyPI and no others, as $python: need_venv NAME REQUIREMENTS [PIP'S OPTIONS]
need_venv() {
    local directory="$tools/$1" stamp
    need_program python3 python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv
    stamp="$(python3 --version) $(sha256sum <"$2")"
    if [ "$(cat "$directory/stamp" 2>/dev/null)" != "$stamp" ]; then
        say "Python's packages, by $(basename "$2")"
        rm -rf "$directory"
        quietly python3 -m venv "$directory"
        quietly "$directory/bin/pip" install --quiet --requirement "$2" "${@:3}"
        echo "$stamp" >"$directory/stamp"
    fi
    python="$directory/bin/python"
}

# The binary under test, as $CRATEPORT_BIN.
need_crateport() {
    export CRATEPORT_BIN="${CRATEPORT_BIN:-${CARGO_TARGET_DIR:-$root/target}/debug/crateport}"
    [ -x "$CRATEPORT_BIN" ] || fail "there is no $CRATEPORT_BIN: build it with cargo build -p crateport"
}

# A built example of a package of the workspace: built_example PACKAGE EXAMPLE
built_example() {
    command -v cargo >/dev/null || fail "this check needs Rust: see https://rustup.rs"
    (cd "$root" && quietly cargo build --locked --package "$1" --example "$2")
    echo "${CARGO_TARGET_DIR:-$root/target}/debug/examples/$2"
}

# Promtool and prometheus, on the PATH.
need_prometheus() {
    command -v promtool >/dev/null && command -v prometheus >/dev/null && return
    unpack own prometheus prometheus
    PATH="$tools/prometheus/usr/bin:$PATH"
}

# Where this machine has its packages from.
debian_mirror() {
    # shellcheck disable=SC2016 # apt-get's own words.
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | head -1
}

# A Debian suite newer than this machine's, for packages that are only unpacked; fills $newer with apt-get's arguments.
need_newer_apt() {
    local directory="$tools/apt-$NEWER_SUITE"
    need_apt "packages of $NEWER_SUITE"
    mkdir -p "$directory/lists/partial" "$directory/cache/archives/partial"
    : >"$directory/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $NEWER_SUITE main" >"$directory/sources.list"
    cat >"$directory/apt.conf" <<CONF
Dir::State::lists "$directory/lists";
Dir::State::status "$directory/status";
Dir::Cache "$directory/cache";
Dir::Etc::sourcelist "$directory/sources.list";
Dir::Etc::sourceparts "/nonexistent";
CONF
    newer=(-c "$directory/apt.conf")
    read_lists "$directory" "${newer[@]}"
}

# Unpacks packages into target/tools/NAME: unpack own|newer NAME PACKAGE...
unpack() {
    local suite="$1" name="$2" package apt=()
    shift 2
    [ ! -d "$tools/$name" ] || return 0
    if [ "$suite" = own ]; then need_apt "$@"; else need_newer_apt && apt=("${newer[@]}"); fi
    say "unpacking $*"
    rm -rf "$tools/$name.new" && mkdir -p "$tools/$name.new"
    (
        cd "$tools/$name.new" || exit
        for package in "$@"; do
            quietly apt-get ${apt[@]+"${apt[@]}"} -qq download "$package"
        done
        for package in ./*.deb; do dpkg-deb -x "$package" .; done
        rm ./*.deb
    )
    mv "$tools/$name.new" "$tools/$name"
}

# A Docker with compose: the machine's, or one of our own which ends with the script.
need_docker() {
    if docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then return; fi
    export DOCKER_CONFIG="$tools/docker-config"
    need_program runc runc
    need_program iptables iptables
    unpack newer docker docker.io docker-cli docker-compose docker-buildx
    unpack own containerd containerd tini
    mkdir -p "$DOCKER_CONFIG/cli-plugins"
    ln -sf "$tools"/docker/usr/libexec/docker/cli-plugins/* "$DOCKER_CONFIG/cli-plugins/"
    PATH="$tools/docker/usr/bin:$tools/docker/usr/sbin:$tools/containerd/usr/bin:$PATH"
    export DOCKER_HOST="unix://$tools/docker-run/docker.sock"
    mkdir -p "$tools/docker-run"
    if docker info >/dev/null 2>&1; then return; fi
    say "starting a Docker daemon"
    nohup dockerd --data-root "$tools/docker-data" --exec-root "$tools/docker-run/exec" \
        --pidfile "$tools/docker-run/pid" -H "$DOCKER_HOST" >"$tools/docker-run/log" 2>&1 &
    at_exit "kill \$(cat '$tools/docker-run/pid')"
    wait_for "the Docker daemon" docker info
}

# What must be undone, in the reverse order.
undo=()
at_exit() { undo=("$1" ${undo[@]+"${undo[@]}"}); }
undo_all() {
    local status=$? command
    for command in ${undo[@]+"${undo[@]}"}; do eval "$command" >/dev/null 2>&1 || true; done
    exit "$status"
}
trap undo_all EXIT

wait_for() { # what, command...
    local what="$1" end=$((SECONDS + 180))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "$what did not come"
        sleep 0.2
    done
}

# A root file system with Debian packages, as an image: debian_image NAME SUITE PACKAGES
debian_image() {
    docker image inspect "$1" >/dev/null 2>&1 && return
    need_program mmdebstrap mmdebstrap
    say "making $1 of Debian's packages"
    # A mirror that stands still is good enough for what only stands in.
    mmdebstrap --quiet --aptopt='Acquire::Check-Valid-Until "false"' --variant=minbase --include="$3" "$2" - "$(debian_mirror)" |
        docker import - "$1" >/dev/null
}

# The image NAME: there, or pulled, or else made by the command that follows, for machines that reach no registry.
need_image() {
    local name="$1"
    shift
    docker image inspect "$name" >/dev/null 2>&1 && return
    [ -n "${CRATEPORT_TESTS_OFFLINE:-}" ] || ! timeout 300 docker pull --quiet "$name" 2>/dev/null || return 0
    "$@" "$name"
}

# What the Dockerfile builds from, of Debian's packages and this machine's toolchain and certificates.
rust_image() { # name
    local directory toolchain
    debian_image crateport-tests/build trixie ca-certificates,gcc,libc6-dev
    toolchain="$(basename "$(readlink -f "$(rustc --print sysroot)")")"
    directory="$(mktemp -d)"
    cp /etc/ssl/certs/ca-certificates.crt "$directory/"
    tar -C "$HOME" -cf "$directory/rust.tar" --exclude='share/doc' --exclude='*-linux-musl' \
        --transform 's#^.rustup/#rustup/#;s#^.cargo/#cargo/#' \
        .rustup/settings.toml .rustup/update-hashes ".rustup/toolchains/$toolchain" .cargo/bin
    cat >"$directory/Dockerfile" <<'DOCKERFILE'
FROM crateport-tests/build
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ADD rust.tar /usr/local/
ENV RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
DOCKERFILE
    docker build --quiet --tag "$1" "$directory" >/dev/null
    rm -rf "$directory"
}

# The image under test, of the sources in a directory, by deploy/Dockerfile. PROFILE=release for the real one; `dev` is built sooner.
need_crateport_image() {
    need_image "$(sed -n 's/^ARG RUST_IMAGE=//p' "$root/deploy/Dockerfile")" rust_image
    export CRATEPORT_IMAGE="${CRATEPORT_IMAGE:-crateport:tests}"
    say "building $CRATEPORT_IMAGE (profile ${PROFILE:-dev})"
    docker build --progress=plain --file "$root/deploy/Dockerfile" --build-arg "PROFILE=${PROFILE:-dev}" \
        --tag "$CRATEPORT_IMAGE" "$1" >"$tools/image.log" 2>&1 || { tail -40 "$tools/image.log"; fail "the build failed"; }
}
