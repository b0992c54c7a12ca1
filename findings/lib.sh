# Sourced by every finding: a folder of its own that is gone afterwards, what is installed into it, and the comparison.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Packages of npm, each pinned by whoever calls.
with_npm() {
    printf '{"private": true, "type": "module"}' >package.json
    npm install --silent --no-audit --no-fund --ignore-scripts "$@"
}

# Packages of PyPI, each pinned by whoever calls; `venv/bin/python` has them.
with_pip() {
    python3.11 -m venv venv
    venv/bin/pip install --quiet --disable-pip-version-check "$@"
}

# Prints what was seen (the file `seen`), and fails where it is not what was found (standard input).
as_found() {
    cat >found
    cat seen
    if diff found seen >difference; then
        echo "-- as found"
    else
        echo "-- this has changed since it was found (< then, > now):"
        cat difference
        exit 1
    fi
}
