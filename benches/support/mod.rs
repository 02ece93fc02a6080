//! The projects that the benchmarks read, evaluate and plan.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use gantry::config::{Bundle, Desired};
use gantry::ledger::State;
use gantry::plan::{Facts, Files, Inputs, Looked, Options, Planned, Sight, look};
use gantry::provider::catalog::Catalog;

/// As in the command itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many resources as one text.
pub(crate) fn project(resources: usize) -> String {
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
pub(crate) fn bundle(resources: usize, per_file: usize) -> Bundle {
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

pub(crate) fn planned(desired: &Desired, catalog: &Catalog) -> usize {
    with_inputs(desired, catalog, |inputs| match gantry::plan::plan(inputs) {
        Ok(Planned::Ready(plan)) => plan.changes.len(),
        other => panic!("the project plans: {other:?}"),
    })
}

pub(crate) fn evaluated(desired: &Desired, catalog: &Catalog) -> bool {
    with_inputs(desired, catalog, |inputs| {
        let looked = look(inputs, Sight::Planned, &|_| None, |look| !look.diagnostics().has_errors());
        matches!(looked, Ok(Looked::Ready(true)))
    })
}
