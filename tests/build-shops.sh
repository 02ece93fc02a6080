#!/usr/bin/env bash
# Builds the variants of examples/shop.rs that the integration tests deploy, into target/shops/NAME. A variant that is
# newer than everything it is made of is left as it is; the default build comes last, so that target/debug/examples/shop
# is release 1 again when this is done. One built from another toolchain's cache is not noticed: remove target/shops.
set -euo pipefail
cd "$(dirname "$0")/.."

target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target/shops"

# variant NAME [--cfg …]: the cargo lines differ only in what is passed to rustc, so only the example is compiled anew.
variant() {
    local name="$1" built="$target/shops/$1"
    shift
    if [[ -x "$built" && "$built" -nt examples/shop.rs && "$built" -nt Cargo.lock && "$built" -nt "$0" ]]; then
        return 0
    fi
    echo "shop: building $name"
    # Stripped: each deployment in the tests copies and hashes it.
    cargo rustc --quiet --locked --example shop -- -C strip=symbols "$@"
    # Copied beside and renamed: a variant that a leftover test still runs is replaced, not written into.
    cp "$target/debug/examples/shop" "$built.new"
    mv "$built.new" "$built"
    rebuilt=yes
}

rebuilt=no
variant v2 --cfg 'shop_release="2"'
variant v3 --cfg 'shop_release="3"'
variant v1-health --cfg 'shop_fault="health"'
variant v2-health --cfg 'shop_release="2"' --cfg 'shop_fault="health"'
variant v2-orders --cfg 'shop_release="2"' --cfg 'shop_fault="orders"'
variant v2-start --cfg 'shop_release="2"' --cfg 'shop_fault="start"'
variant v2-crash --cfg 'shop_release="2"' --cfg 'shop_fault="crash"'
variant v1
if [[ "$rebuilt" == yes ]]; then
    cargo rustc --quiet --locked --example shop
fi
