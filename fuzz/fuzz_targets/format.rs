//! `cargo fuzz run format`: see fuzz/README.md.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gantry_fuzz::format_file(bytes));
