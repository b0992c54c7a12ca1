# Sourced by the checks: real components, pinned, put into target/tools where they are missing. Debian's packages need root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
TOOLS=${CARGO_TARGET_DIR:-$PWD/target}/tools
mkdir -p "$TOOLS"
WORK=$(mktemp -d)
PIDS=()

# Ends what the check has started, by pid, and takes its files away.
cleanup() {
  local status=$?
  for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
  # Who does not listen is ended all the same.
  for _ in $(seq 50); do
    [ -n "$(jobs -rp)" ] || break
    sleep 0.2
  done
  for pid in "${PIDS[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
  for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
  if declare -F on_exit >/dev/null; then on_exit; fi
  rm -rf "$WORK"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

# started COMMAND…: in the background, ended with the check; its pid is in $STARTED.
started() {
  "$@" &
  STARTED=$!
  PIDS+=("$STARTED")
}

# until_true SECONDS COMMAND…: asks again until it succeeds.
until_true() {
  local left=$(($1 * 5))
  shift
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || fail "never came true: $*"
    sleep 0.2
  done
}

# apt_need COMMAND PACKAGE…: Debian's packages, where COMMAND is not there.
apt_need() {
  command -v "$1" >/dev/null && return
  shift
  # `DPkg::Lock::Timeout` is not for the lock of the lists.
  [ -n "${APT_UPDATED:-}" ] || until_true 120 apt-get -qq update
  export APT_UPDATED=1
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "$@" >/dev/null
}

# pip_need FILE: what FILE pins with hashes, in an environment of its own; its bin folder is in $BIN.
pip_need() {
  local stamp
  stamp=$(sha256sum "$1" | cut -c1-16)
  BIN=$TOOLS/python-$stamp/bin
  [ -e "$BIN/.done" ] && return
  python3 -m venv --clear "$TOOLS/python-$stamp"
  "$BIN/pip" install -q --disable-pip-version-check --no-deps --require-hashes -r "$1"
  touch "$BIN/.done"
}

# npm_need FOLDER: what FOLDER/package-lock.json pins; its node_modules are in $MODULES.
npm_need() {
  local stamp
  stamp=$(cat "$1/package.json" "$1/package-lock.json" | sha256sum | cut -c1-16)
  MODULES=$TOOLS/node-$stamp/node_modules
  [ -e "$MODULES/.done" ] && return
  mkdir -p "$TOOLS/node-$stamp"
  cp "$1/package.json" "$1/package-lock.json" "$TOOLS/node-$stamp"
  npm ci --prefix "$TOOLS/node-$stamp" --ignore-scripts --no-audit --no-fund --silent
  touch "$MODULES/.done"
}
