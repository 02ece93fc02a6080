#!/usr/bin/env bash
# `make test`: installs what the tests need if it is missing, builds everything once, and runs all tests. Ends with one
# line that says how many passed, failed and were skipped; the exit code is 0 only if none failed.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian keeps initdb and its like out of the PATH, one directory for each version.
find_postgres() {
    command -v initdb >/dev/null && command -v postgres >/dev/null && command -v pg_ctl >/dev/null && return 0
    local folder
    for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql*/bin; do
        if [[ -x "$folder/initdb" && -x "$folder/postgres" ]]; then
            export PATH="$folder:$PATH"
            return 0
        fi
    done
    return 1
}

if ! find_postgres; then
    if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
        echo "test: installing PostgreSQL"
        apt-get update -qq </dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql </dev/null
    fi
    if ! find_postgres; then
        cat >&2 <<'END'
test: PostgreSQL's server programs (initdb, postgres, pg_ctl) are missing, and this script may not install them here.
      Debian, Ubuntu:  sudo apt-get install postgresql
      Fedora:          sudo dnf install postgresql-server
      macOS:           brew install postgresql
      No server has to be set up or running: the tests start their own, in a temporary directory, without a TCP port.
END
        exit 1
    fi
fi

# moto is the S3 server of others that the ledger's tests run against; the strict one of our own is part of the tests.
find_moto() {
    [[ -x target/moto/bin/moto_server ]] && return 0
    command -v moto_server >/dev/null && moto_server --help >/dev/null 2>&1
}

if ! find_moto; then
    echo "test: installing moto into target/moto"
    mkdir -p target
    why="$( (python3 -m venv target/moto && target/moto/bin/pip install --quiet --disable-pip-version-check \
        'moto[s3,server]==5.2.5') 2>&1 | tail -n 3)" || true
    if ! find_moto; then
        rm -rf target/moto
        export GANTRY_WITHOUT_MOTO="moto is not here and could not be installed"
        cat >&2 <<END
test: ################################################################################################
test: SKIPPED: the tests of the ledger against moto's S3 (ledger::s3 *moto*, s3_state). moto is not on
test: the PATH, and python3 -m venv with pip install 'moto[s3,server]==5.2.5' failed here:
test: ${why:-no reason was given}
test: The same laws are still tested against the strict S3 server of our own.
test: ################################################################################################
END
    fi
fi

# The contract of Kubernetes holds against a server of our own in any case; against a real one where there is one.
if [[ -z "${KUBEBUILDER_ASSETS:-}" || ! -x "${KUBEBUILDER_ASSETS:-}/kube-apiserver" || ! -x "${KUBEBUILDER_ASSETS:-}/etcd" ]]; then
    without_cluster="KUBEBUILDER_ASSETS names no directory with kube-apiserver and etcd"
fi

tests/build-shops.sh
tests/build-crash.sh
cargo build --locked --all-targets

log="$(mktemp)"
say_skipped() {
    [[ -z "${without_cluster:-}" ]] || echo "test: SKIPPED: the tests against a real Kubernetes API server: $without_cluster" >&2
}
trap 'rm -f "$log"' EXIT
failed=0
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked "$@" 2>&1 | tee -a "$log" || failed=1
    cargo test --locked --doc 2>&1 | tee -a "$log" || failed=1
else
    cargo test --locked --no-fail-fast "$@" 2>&1 | tee -a "$log" || failed=1
fi

say_skipped
# nextest: "Summary [1.2s] 40 tests run: 39 passed (1 slow), 1 failed, 2 skipped"; cargo test, once for each binary:
# "test result: ok. 39 passed; 1 failed; 2 ignored; …".
sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '
    /^ *Summary \[.*tests? run:/ || /^test result:/ {
        sub(/.*(run:|result:)/, "")
        gsub(/[;,()]/, "")
        for (i = 2; i <= NF; i++) {
            if ($i == "passed") passed += $(i - 1)
            if ($i == "failed" || $i == "timed") failed += $(i - 1)
            if ($i == "skipped" || $i == "ignored") skipped += $(i - 1)
        }
    }
    END { printf "test: %d passed, %d failed, %d skipped\n", passed, failed, skipped }'
exit "$failed"
