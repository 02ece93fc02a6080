//! How fast configuration is read and evaluated: `make bench`, or `cargo bench --bench language -- load`.
//!
//! What is measured is the time that the processors worked, on all threads together: the goals are in that, and on a machine
//! that does other things beside it says more than the clock on the wall.
//!
//! The projects are those of the speed figures: `terraform_data` in a graph in which each refers to the one a hundred before
//! it. hcl-edit's parse of the same bytes is in the same table, as the yardstick (docs/decisions).

mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use gantry::config;
use gantry::provider::catalog::Catalog;

use support::{bundle, evaluated, planned, project};

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
