//! Golden transcripts of Kubernetes: what a user types and sees, with a cluster in this process.
//!
//! They are transcripts like those of `scenarios.rs`, with one more line: `# SOMEBODY patches RESOURCE/NAME JSON`, which is
//! somebody else's hand in the namespace `shop`.

use serde_json::Value as Json;

use crate::cluster::{AnyCluster, Control};
use crate::kubernetes::{Stage, WEB};
use crate::support::scenario::{self, Scenario};

/// The names of these scenarios begin so.
const OURS: &str = "kubernetes_";

/// What somebody does, if a line says so.
fn patch(control: &Control, line: &str) -> bool {
    let Some((who, rest)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(" patches ")) else { return false };
    let Some((what, text)) = rest.split_once(' ') else { return false };
    let (plural, name) = what.split_once('/').unwrap_or((what, ""));
    let json: Json = serde_json::from_str(text).unwrap_or_else(|e| panic!("{line}: {e}"));
    control.patch(who, plural, "shop", name, &json);
    true
}

/// Plays a transcript part by part, each up to what somebody does.
fn play(stage: &Stage<'_>, text: &str) -> String {
    let (mut seen, mut part) = (String::new(), String::new());
    for line in text.lines() {
        if line.starts_with("# ") && line.contains(" patches ") {
            seen.push_str(&scenario::play(&stage.sandbox, &part));
            seen.push('\n');
            part.clear();
            assert!(patch(&stage.control(), line), "{line}");
            seen.push_str(line);
            seen.push('\n');
        } else {
            part.push_str(line);
            part.push('\n');
        }
    }
    seen + &scenario::play(&stage.sandbox, &part)
}

async fn check(name: &str) {
    let cluster = AnyCluster::in_process().await;
    let stage = Stage::new(&cluster, "shop").await.namespace().await;
    stage.main(WEB);
    let path = scenario::folder().join(format!("{OURS}{name}.txt"));
    Scenario::at(path).check_played(scenario::bless(), |text| play(&stage, text));
}

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                check(stringify!($name)).await;
            }
        )*

        #[test]
        fn every_scenario_of_kubernetes_is_run() {
            let declared: Vec<String> = [$(stringify!($name)),*].iter().map(|name| format!("{OURS}{name}")).collect();
            let there: Vec<String> = scenario::all().into_iter().filter(|name| name.starts_with(OURS)).collect();
            assert_eq!(declared, there, "what this file declares (left) is not what is there (right)");
        }
    };
}

scenarios!(bad_image, drift, first_deployment);
