# Functions of scripts/demo and scripts/test that find or install what a build needs.

# say WORDS: a line on stderr.
say() { printf '%s\n' "$*" >&2; }

# have_packages PACKAGE..: installs Debian packages, or says what to install.
have_packages() {
    if command -v apt-get >/dev/null 2>&1; then
        local as_root=()
        [ "$(id -u)" -eq 0 ] || as_root=(sudo)
        say "installing $*"
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
    else
        say "missing: install $* (or what your system calls it) and run this again"
        exit 1
    fi
}

# have_rust: the toolchain and a C compiler and linker.
have_rust() {
    if ! command -v cargo >/dev/null 2>&1; then
        say "missing: install Rust (https://rustup.rs) and run this again"
        exit 1
    fi
    command -v cc >/dev/null 2>&1 || have_packages gcc libc6-dev
}

# have_cargo_deny: cargo-deny, which reads deny.toml; built once into the target folder. Sets
# cargo_deny.
have_cargo_deny() {
    local version=0.20.2 root
    root="${CARGO_TARGET_DIR:-target}/tools"
    cargo_deny="$root/bin/cargo-deny"
    if [ "$("$cargo_deny" --version 2>/dev/null)" != "cargo-deny $version" ]; then
        say "building cargo-deny $version"
        cargo install cargo-deny --version "$version" --locked --quiet --profile dev --root "$root" --target-dir "$root/build"
        rm -rf "$root/build"
    fi
}
