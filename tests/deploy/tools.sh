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
    if ! command -v promtool >/dev/null && [ ! -x "$tools/prometheus/usr/bin/promtool" ]; then
        need_apt prometheus
        say "unpacking prometheus"
        rm -rf "$tools/prometheus.new" && mkdir -p "$tools/prometheus.new"
        (cd "$tools/prometheus.new" && apt-get -qq download prometheus 2>/dev/null && dpkg-deb -x prometheus_*.deb . && rm ./*.deb)
        rm -rf "$tools/prometheus" && mv "$tools/prometheus.new" "$tools/prometheus"
    fi
    PATH="$tools/prometheus/usr/bin:$PATH"
}
