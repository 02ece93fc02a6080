//! The fuzz targets over mutations of the recorded corpora: bounded, and the same every time. The long, coverage-guided run
//! is `make fuzz` (fuzz/README.md). `GANTRY_FUZZ_ROUNDS` sets how many inputs each target gets, `GANTRY_FUZZ_SEED` where they
//! start.

#[expect(unreachable_pub, reason = "for the fuzz crate this file is a library")]
#[path = "../../fuzz/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Inputs of each target where nobody says otherwise.
const ROUNDS: u64 = 3_000;

const CORPORA: [&str; 3] = [
    include_str!("../language/expressions.txt"),
    include_str!("../language/functions.txt"),
    include_str!("../../environments/local/main.hcl"),
];

/// What mutations put in, beside pieces of other inputs.
const WORDS: [&str; 40] = [
    "${",
    "%{",
    "}",
    "~}",
    "\"",
    "<<A\n",
    "\nA\n",
    "<<-A\n",
    "[*]",
    ".*",
    "...",
    "[",
    "]",
    "(",
    ")",
    "{",
    "=>",
    "for x in ",
    " if ",
    "%{ if true }",
    "%{ endif }",
    "%{ for a in l }",
    "%{ endfor }",
    "null",
    "1e400",
    "-",
    "!",
    "==",
    "?",
    ":",
    "::",
    "u",
    "ul",
    "any",
    "p",
    "\u{feff}",
    "\r\n",
    "/*",
    "#",
    "\\u00e9",
];

/// Splitmix64: enough to vary inputs, and the same everywhere (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).expect("it is below a usize")
    }
}

/// Expressions as they were recorded, and whole files.
fn seeds() -> Vec<Vec<u8>> {
    let [expressions, functions, file] = CORPORA;
    let lines = expressions.lines().chain(functions.lines()).filter(|l| !l.starts_with('#') && !l.is_empty());
    let first = lines.map(|l| l.split('\t').next().unwrap_or(l));
    let arguments = first.clone().map(|e| format!("locals {{\n  a = {e} # why\n}}\n").into_bytes());
    first.map(|e| e.as_bytes().to_vec()).chain(arguments).chain([file.as_bytes().to_vec()]).collect()
}

fn mutated(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        match random.below(6) {
            0 => input.truncate(at),
            1 => drop(input.splice(at..at, WORDS[random.below(WORDS.len())].bytes())),
            2 => {
                let end = (at + random.below(8)).min(input.len());
                input.drain(at..end);
            }
            3 => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let piece = other[from..(from + random.below(24)).min(other.len())].to_vec();
                input.splice(at..at, piece);
            }
            4 => {
                let end = (at + random.below(16)).min(input.len());
                let piece = input[at..end].to_vec();
                let times = 1 + random.below(40);
                input.splice(at..at, piece.repeat(times));
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = (random.next() & 0xff) as u8;
                }
            }
        }
    }
    input
}

#[expect(clippy::disallowed_methods, reason = "that is how whoever runs the tests says so")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn run(name: &str, target: fn(&[u8])) {
    let seeds = seeds();
    assert!(seeds.len() > 2_000, "the corpora are there");
    let rounds = number("GANTRY_FUZZ_ROUNDS").unwrap_or(ROUNDS);
    let start = number("GANTRY_FUZZ_SEED").unwrap_or(0);
    for round in start..start + rounds {
        let input = mutated(&seeds, &mut Random(round));
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            let shown = String::from_utf8_lossy(&input);
            panic!(
                "{name} broke a promise; again with GANTRY_FUZZ_SEED={round} GANTRY_FUZZ_ROUNDS=1:\n{shown}\n{shown:?}"
            );
        }
    }
}

#[test]
fn parsing_keeps_its_promises() {
    run("parse", targets::parse);
}

#[test]
fn evaluating_keeps_its_promises() {
    run("evaluate", targets::evaluate);
}

#[test]
fn formatting_keeps_its_promises() {
    run("format", targets::format_file);
}

#[test]
fn the_console_keeps_its_promises() {
    run("console", targets::console);
}
