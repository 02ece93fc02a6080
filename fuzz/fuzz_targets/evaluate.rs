//! `cargo fuzz run evaluate`: see fuzz/README.md.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gantry_fuzz::evaluate(bytes));
