//! The golden transcripts of `tests/scenarios`, each a test of its own. `GANTRY_BLESS=1` rewrites them.

use std::collections::BTreeSet;

use super::support::Sandbox;
use super::support::scenario::{self, Scenario};

fn check(name: &str) {
    Scenario::at(scenario::folder().join(format!("{name}.txt"))).check(&Sandbox::new(), scenario::bless());
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_scenario_is_run() {
            let declared = BTreeSet::from([$(stringify!($name).to_owned()),*]);
            // Those of Kubernetes need a cluster: `kubernetes_scenarios.rs`.
            let ours = |name: &String| !name.starts_with("kubernetes_");
            let there: BTreeSet<String> = scenario::all().into_iter().filter(ours).collect();
            assert_eq!(declared, there, "what this file declares (left) is not what is there (right)");
        }
    };
}

scenarios! {
    delivery_drift,
    delivery_hotfix,
    delivery_promotion,
    delivery_quarantine,
    delivery_schema_gate,
    sample_answers_nothing_before_it_is_deployed,
    walk_console,
    walk_fails_after_the_switch,
    walk_first_deployment,
    walk_first_one_fails,
    walk_never_healthy,
    walk_new_release,
    walk_no_way_back,
    walk_protected,
    walk_saved_plan,
}
