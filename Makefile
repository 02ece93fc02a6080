# What people type. Each target is one job; the longer ones live in scripts that say what they do.
#
#   make demo   build gantry and deploy the sample shop to this machine   (make demo DEMO_FLAGS="--var port=9000")
#   make test   install what the tests need if it is missing, then run them all
#   make lint   formatting, clippy, documentation, licences
#   make bench  the benchmarks
#   make fuzz   coverage-guided fuzzing by hand (make fuzz TARGET=parse SECONDS=600): see fuzz/README.md
#   make crash  a long campaign of crashes and faults in the simulated world (make crash SCHEDULES=1000000 SEED=7 MINUTES=60)
#   make docs   the documentation of the source, in target/doc
#   make language-oracle   record again what Terraform prints for tests/language and tests/fmt (needs terraform)

.PHONY: demo test lint bench fuzz crash docs language-oracle

GANTRY = $(or $(CARGO_TARGET_DIR),target)/debug/gantry
DEMO_FLAGS =

# The example is built along, so that the crates which only it needs are compiled once, not again by the deployment.
demo:
	cargo build --locked --bins --examples
	$(GANTRY) apply local --auto-approve $(DEMO_FLAGS)

test:
	tests/run.sh

lint:
	cargo fmt --all --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --features crash-points -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --lib
	@if cargo deny --version >/dev/null 2>&1; then \
	    cargo deny --locked check bans licenses sources; \
	else \
	    echo "SKIPPED: licences, bans and sources of the dependencies: cargo-deny is not installed" \
	        "(cargo install cargo-deny --locked)" >&2; \
	fi

bench:
	@if ls benches/*.rs >/dev/null 2>&1; then \
	    cargo bench --locked --benches; \
	else \
	    echo "There are no benchmarks yet."; \
	fi

TARGET = parse
SECONDS = 600

fuzz:
	RUSTC_BOOTSTRAP=1 cargo fuzz run $(TARGET) -- -max_total_time=$(SECONDS) -max_len=4096

SCHEDULES = 10000000
SEED = 1
# It ends then at the latest, with as many as were carried out.
MINUTES =

# One schedule that came to another end is printed with the command that reproduces it.
crash:
	SCHEDULES=$(SCHEDULES) SEED=$(SEED) MINUTES=$(MINUTES) cargo test --locked --release --lib sim::campaign::a_bounded_campaign -- --exact --nocapture

docs:
	cargo doc --locked --no-deps --lib
	@echo "Open $(or $(CARGO_TARGET_DIR),target)/doc/gantry/index.html"

language-oracle:
	tests/language/record.sh
	tests/language/record.sh tests/language/console.txt
	tests/language/record-console.sh
	tests/language/record.sh tests/language/expressions.txt tests/language/unknown.txt
	tests/language/record-modules.py
	tests/language/record-syntax.sh
	tests/fmt/record.sh
