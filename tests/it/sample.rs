//! The repository is a Gantry project: its environments, and the project that the tests deploy, load without a complaint.

use std::path::Path;

use gantry::config::{self, Desired};
use gantry::diag::render;

use super::support::Sandbox;

/// Loads an environment; what is wrong with it is shown as a user would see it.
fn load(directory: &Path) -> Desired {
    match config::open(directory) {
        Ok((_, desired)) => desired,
        Err(error) => {
            let shown: String = error.diagnostics.sorted().iter().map(|d| render(d, &error.sources)).collect();
            panic!("{} does not load:\n{shown}", directory.display());
        }
    }
}

#[test]
fn the_environments_of_the_sample_load() {
    let environments = Path::new(env!("CARGO_MANIFEST_DIR")).join("environments");
    for name in ["local", "staging", "production"] {
        let desired = load(&environments.join(name));
        assert!(desired.environment.is_some(), "{name} describes itself");
        assert_eq!(desired.root.calls.len(), 1, "{name} calls the module");
        assert_eq!(desired.root.nodes.len(), 4, "{name} has a migration, a health check and two smoke tests");
        let outputs: Vec<&str> = desired.root.outputs.keys().map(|name| &**name).collect();
        let own = if name == "production" { "digest" } else { "release" };
        assert_eq!(outputs, [own, "schema_version", "url"]);
    }
}

#[test]
fn the_project_that_tests_deploy_loads() {
    let sandbox = Sandbox::shop();
    let desired = load(&sandbox.project().join("environments/local"));
    assert_eq!(desired.root.nodes.len(), 6);
}
