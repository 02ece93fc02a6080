#!/usr/bin/env bash
# Builds gantry with its crash points (src/ports/crash.rs) into target/crash/gantry, for tests/it/kill.rs. Never in a
# release build. It shares the target directory, so that only gantry itself is compiled a second time; the next
# ordinary build puts target/debug/gantry back without compiling anything.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target/crash"
cargo build --quiet --locked --bin gantry --features crash-points
# Copied beside and renamed: one that a leftover test still runs is replaced, not written into.
cp "$target/debug/gantry" "$target/crash/gantry.new"
mv "$target/crash/gantry.new" "$target/crash/gantry"
cargo build --quiet --locked --bin gantry
