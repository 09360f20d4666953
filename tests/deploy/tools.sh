# shellcheck shell=bash
# What the checks of deploy/ stand on, fetched where it is missing. Sourced; needs `root`, the repository's directory.
# Debian's packages are unpacked below target/tools and never installed: a Prometheus must not start by itself.

tools="${CARGO_TARGET_DIR:-$root/target}/tools"
mkdir -p "$tools"

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

# A Python that reads YAML, as $python.
need_python() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if "$candidate" -c 'import yaml' 2>/dev/null; then python="$candidate"; return; fi
    done
    need_apt python3-yaml
    say "installing python3-yaml"
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y python3 python3-yaml
    python=/usr/bin/python3
}

need_apt() { # Debian package
    if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        fail "this check needs Debian's $1: install it and run this again"
    fi
    ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || apt-get -qq update
}

# Promtool and prometheus, on the PATH.
need_prometheus() {
    command -v promtool >/dev/null && command -v prometheus >/dev/null && return
    need_apt prometheus
    unpack own prometheus prometheus
    PATH="$tools/prometheus/usr/bin:$PATH"
}

# Where this machine has its packages from.
debian_mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep '/debian/$' | head -1; }

# A Debian suite newer than this machine's, for packages that are only unpacked; fills $newer with apt-get's arguments.
need_newer_apt() {
    local directory="$tools/apt" suite=sid
    mkdir -p "$directory/lists/partial" "$directory/cache/archives/partial"
    : >"$directory/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(debian_mirror) $suite main" >"$directory/sources.list"
    cat >"$directory/apt.conf" <<CONF
Dir::State::lists "$directory/lists";
Dir::State::status "$directory/status";
Dir::Cache "$directory/cache";
Dir::Etc::sourcelist "$directory/sources.list";
Dir::Etc::sourceparts "/nonexistent";
CONF
    newer=(-c "$directory/apt.conf")
    ls "$directory"/lists/*_Packages* >/dev/null 2>&1 || apt-get "${newer[@]}" -qq update
}

# Unpacks packages into target/tools/NAME: unpack own|newer NAME PACKAGE...
unpack() {
    local suite="$1" name="$2" package apt=()
    shift 2
    [ "$suite" = own ] || apt=("${newer[@]}")
    [ ! -d "$tools/$name" ] || return 0
    say "unpacking $*"
    rm -rf "$tools/$name.new" && mkdir -p "$tools/$name.new"
    (
        cd "$tools/$name.new"
        for package in "$@"; do
            apt-get ${apt[@]+"${apt[@]}"} -qq download "$package" 2>/dev/null
        done
        for package in ./*.deb; do dpkg-deb -x "$package" .; done
        rm ./*.deb
    )
    mv "$tools/$name.new" "$tools/$name"
}

need_program() { # command, Debian package
    command -v "$1" >/dev/null && return
    need_apt "$2"
    say "installing $2"
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends -y "$2" >/dev/null
}

# A Docker with compose: the machine's, or one of our own which ends with the script.
need_docker() {
    if docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then return; fi
    export DOCKER_CONFIG="$tools/docker-config"
    need_program runc runc
    need_program iptables iptables
    need_newer_apt
    unpack newer docker docker.io docker-cli docker-compose docker-buildx
    unpack own containerd containerd tini
    mkdir -p "$DOCKER_CONFIG/cli-plugins"
    cp "$tools"/docker/usr/libexec/docker/cli-plugins/* "$DOCKER_CONFIG/cli-plugins/"
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

# The image under test, by deploy/Dockerfile. PROFILE=release for the real one; `dev` is built sooner.
need_crateport_image() {
    need_image "$(sed -n 's/^ARG RUST_IMAGE=//p' "$root/deploy/Dockerfile")" rust_image
    export CRATEPORT_IMAGE="${CRATEPORT_IMAGE:-crateport:tests}"
    say "building $CRATEPORT_IMAGE (profile ${PROFILE:-dev})"
    docker build --progress=plain --file "$root/deploy/Dockerfile" --build-arg "PROFILE=${PROFILE:-dev}" \
        --tag "$CRATEPORT_IMAGE" "${1:-$root}" >"$tools/image.log" 2>&1 || { tail -40 "$tools/image.log"; fail "the build failed"; }
}
