//! One workload (load, evaluate, plan), once: what a profiler counts the instructions of.
//!
//! `valgrind --tool=callgrind target/release/deps/instructions-… evaluate 1000`, or `perf record` of the same. On a machine that
//! does other things beside it, instructions are what can be compared from one day to the next.

mod support;

use gantry::config;
use gantry::provider::catalog::Catalog;

use support::{bundle, evaluated, planned};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let (workload, resources) = match &words[..] {
        [workload, resources] => (&**workload, resources.parse().ok()),
        _ => ("", None),
    };
    // `cargo bench` runs it as well, and asks for nothing.
    let Some(resources) = resources else { return };
    let catalog = Catalog::built_in();
    let desired = config::load(&bundle(resources, resources)).expect("the project loads");
    match workload {
        "load" => drop(desired),
        "evaluate" => assert!(evaluated(&desired, &catalog)),
        "plan" => assert_eq!(planned(&desired, &catalog), resources),
        other => panic!("there is no workload {other}"),
    }
}
