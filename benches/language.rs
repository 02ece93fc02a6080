//! How fast configuration is read and evaluated: `make bench`, or `cargo bench --bench language -- load`.
//!
//! What is measured is the time that the processors worked, on all threads together: the goals are in that, and on a machine
//! that does other things beside it says more than the clock on the wall.
//!
//! The projects are those of the speed figures: `terraform_data` in a graph in which each refers to the one a hundred before
//! it. hcl-edit's parse of the same bytes is in the same table, as the yardstick (docs/decisions).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gantry::config::{self, Bundle, Desired};
use gantry::ledger::State;
use gantry::plan::{Facts, Files, Inputs, Looked, Options, Planned, Sight, look};
use gantry::provider::catalog::Catalog;

/// As the command has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time that the processors worked for this process.
struct ProcessorTime;

impl ProcessorTime {
    fn now() -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let (seconds, nanoseconds) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
        Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
    }
}

impl Measurement for ProcessorTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::now().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// So many resources as one text.
fn project(resources: usize) -> String {
    let mut text = String::new();
    for n in 0..resources {
        let parent = n.checked_sub(100).map_or("\"none\"".to_owned(), |p| format!("terraform_data.r{p}.id"));
        let (port, tier) = (1000 + n, n % 7);
        write!(
            text,
            "resource \"terraform_data\" \"r{n}\" {{\n  input = {{\n    name   = \"resource-{n}\"\n    port   = {port}\n    \
             parent = {parent}\n    labels = {{ env = \"test\", tier = \"t{tier}\" }}\n  }}\n}}\n\n"
        )
        .expect("invariant: a String takes everything");
    }
    text
}

/// The project in files of so many resources each, as it would have been read.
fn bundle(resources: usize, per_file: usize) -> Bundle {
    let mut bundle = Bundle::default();
    let text = project(resources);
    let blocks: Vec<&str> = text.split_inclusive("\n}\n\n").collect();
    for (n, part) in blocks.chunks(per_file).enumerate() {
        let name = format!("r{n}.tf");
        bundle.files.insert(name.clone(), part.concat().into_bytes().into());
        bundle.modules.entry(".".to_owned()).or_default().push(name);
    }
    bundle
}

/// There are no other files.
struct NoFiles;

impl Files for NoFiles {
    fn file(&self, _: &str) -> Option<Result<Arc<[u8]>, String>> {
        Some(Err("there is none".to_owned()))
    }

    fn kind(&self, _: &str) -> Option<&'static str> {
        Some("")
    }

    fn tree(&self, _: &str) -> Option<Result<Arc<[String]>, String>> {
        Some(Err("there is none".to_owned()))
    }

    fn digest(&self) -> String {
        String::new()
    }
}

/// Plans from nothing; `evaluated` alone evaluates every block and decides about it, and lowers nothing to steps.
fn with_inputs<T>(desired: &Desired, catalog: &Catalog, work: impl FnOnce(Inputs<'_>) -> T) -> T {
    let (variables, recorded, facts, options) =
        (BTreeMap::new(), State::default(), Facts::default(), Options { refresh: false, ..Options::default() });
    work(Inputs {
        environment: "bench",
        desired,
        project: "..",
        directory: "/bench",
        files: &NoFiles,
        variables: &variables,
        recorded: &recorded,
        facts: &facts,
        options: &options,
        catalog,
        seal: &|_| String::new(),
        opener: &gantry::ledger::encryption::Opener::default(),
        migrations: |_, _| Ok(Vec::new()),
        blobs: "blobs",
        seed: 1,
    })
}

fn planned(desired: &Desired, catalog: &Catalog) -> usize {
    with_inputs(desired, catalog, |inputs| match gantry::plan::plan(inputs) {
        Ok(Planned::Ready(plan)) => plan.changes.len(),
        other => panic!("the project plans: {other:?}"),
    })
}

fn evaluated(desired: &Desired, catalog: &Catalog) -> bool {
    with_inputs(desired, catalog, |inputs| {
        let looked = look(inputs, Sight::Planned, &|_| None, |look| !look.diagnostics().has_errors());
        matches!(looked, Ok(Looked::Ready(true)))
    })
}

fn language(c: &mut Criterion<ProcessorTime>) {
    let catalog = Catalog::built_in();
    for resources in [1_000, 10_000, 100_000] {
        let text = project(resources);
        let one = bundle(resources, resources);
        let many = bundle(resources, 500);
        let desired = config::load(&one).expect("the project loads");
        let mut group = c.benchmark_group("language");
        group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
        group.bench_with_input(BenchmarkId::new("hcl-edit parse", resources), &text, |b, text| {
            b.iter(|| black_box(hcl_edit::parser::parse_body(text).expect("the project parses")));
        });
        group.bench_with_input(BenchmarkId::new("load, one file", resources), &one, |b, bundle| {
            b.iter(|| black_box(config::load(bundle).expect("the project loads")));
        });
        group.bench_with_input(BenchmarkId::new("load, files of 500", resources), &many, |b, bundle| {
            b.iter(|| black_box(config::load(bundle).expect("the project loads")));
        });
        group.bench_with_input(BenchmarkId::new("evaluate", resources), &desired, |b, desired| {
            b.iter(|| assert!(evaluated(desired, &catalog)));
        });
        group.bench_with_input(BenchmarkId::new("load and evaluate", resources), &one, |b, bundle| {
            b.iter(|| assert!(evaluated(&config::load(bundle).expect("the project loads"), &catalog)));
        });
        group.bench_with_input(BenchmarkId::new("plan", resources), &desired, |b, desired| {
            b.iter(|| assert_eq!(planned(desired, &catalog), resources));
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(ProcessorTime);
    targets = language
}
criterion_main!(benches);
