//! `gantry` is killed (SIGKILL) before and after each of its acts on a cluster, and while it waits; then the same command is given
//! again. What comes out has to be what comes out where nothing happens.
//!
//! By default the first and the last passage of each point; with `GANTRY_KILL_ALL=1` every one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::cluster::AnyCluster;
use crate::kubernetes::{SETTINGS, Stage, shop};

/// The points that only a cluster is behind, and the wait.
const POINTS: [&str; 5] =
    ["kubernetes.apply", "kubernetes.applied", "kubernetes.delete", "kubernetes.deleted", "exec.await"];

/// What is done, killed, and done again.
#[derive(Clone, Copy)]
struct Story {
    space: &'static str,
    is_deployed: bool,
    command: &'static str,
    /// How the command ends.
    code: i32,
    /// What of the configuration is another than at first.
    change: fn(&str) -> String,
    /// Which of the points it passes.
    points: &'static [&'static str],
}

const APPLY: &str = "apply test --auto-approve";

const MAKES: &[&str] = &["kubernetes.apply", "kubernetes.applied", "exec.await"];

const FIRST: Story =
    Story { space: "kill-first", is_deployed: false, command: APPLY, code: 0, change: str::to_owned, points: MAKES };

/// Another image, another greeting, one object less and one more.
const UPDATE: Story = Story {
    space: "kill-update",
    is_deployed: true,
    command: APPLY,
    code: 0,
    change: |text| {
        let more = SETTINGS.replace("settings", "more").replace("variable \"greeting\" { default = \"hello\" }", "");
        let (before, service) = text.split_once("resource \"kubernetes_manifest\" \"service\"").unwrap();
        let (_, after) = service.split_once("\n}\n").unwrap();
        format!("{before}{after}{more}").replace("shop/api:1", "shop/api:2").replace("\"hello\"", "\"bye\"")
    },
    points: &POINTS,
};

const FAILING: Story = Story {
    space: "kill-back",
    is_deployed: true,
    command: APPLY,
    code: 3,
    change: |text| text.replace("shop/api:1", "shop/notfound:2").replace("\"hello\"", "\"bye\""),
    points: MAKES,
};

const DESTROY: Story = Story {
    space: "kill-destroy",
    is_deployed: true,
    command: "destroy test --auto-approve",
    code: 0,
    change: str::to_owned,
    points: &["kubernetes.delete", "kubernetes.deleted"],
};

impl Story {
    /// A world in which all is ready for the command.
    async fn prepare(self, cluster: &AnyCluster) -> Stage<'_> {
        let stage = Stage::new(cluster, self.space).await.sandboxed(crate::support::Sandbox::with_crash_points);
        stage.main(&shop());
        if self.is_deployed {
            let _ = stage.apply().succeeds();
        }
        stage.main(&(self.change)(&shop()));
        stage
    }
}

/// What is compared: all that a user could tell apart.
fn state(stage: &Stage<'_>, story: Story) -> Json {
    let shown: Json = serde_json::from_str(&stage.run("show test --json").succeeds().stdout).unwrap();
    let plan = match story.code {
        0 if story.command == APPLY => stage.run("plan test --detailed-exitcode").code(),
        _ => None,
    };
    let mut objects = BTreeMap::new();
    for plural in ["configmaps", "secrets", "services", "deployments"] {
        let here = stage.control().objects(plural).into_iter();
        for object in here.filter(|one| one["metadata"]["namespace"] == story.space) {
            let mut kept =
                json!({"spec": object["spec"], "data": object["data"], "labels": object["metadata"]["labels"]});
            for address in ["clusterIP", "clusterIPs"] {
                kept["spec"].as_object_mut().and_then(|spec| spec.remove(address));
            }
            objects.insert(format!("{plural} {}", object["metadata"]["name"]), kept);
        }
    }
    json!({
        "open": shown["gantry"]["open"], "list": stage.run("state list test").succeeds().stdout, "plan": plan,
        "drift": stage.run("drift test").code(), "objects": objects,
        "namespace": stage.control().object("namespaces", "", story.space).is_some(),
    })
}

async fn kills(story: Story) {
    let (expected, passed) = {
        let cluster = AnyCluster::in_process().await;
        let stage = story.prepare(&cluster).await;
        let log = stage.sandbox.expand("{sandbox}/tmp/points");
        let words: Vec<&str> = story.command.split(' ').collect();
        drop(stage.sandbox.run_in(&[("GANTRY_CRASH_LOG", &log)], &words).exits(story.code));
        let text = std::fs::read_to_string(&log).unwrap();
        let mut passed: BTreeMap<String, usize> = BTreeMap::new();
        for name in text.lines().filter_map(|line| Some(line.split_once(' ')?.1)) {
            *passed.entry(name.to_owned()).or_default() += 1;
        }
        (state(&stage, story), passed)
    };
    let mut wrong = Vec::new();
    for point in story.points {
        let passages = passed.get(*point).copied().unwrap_or_default();
        assert!(passages > 0, "{point} is not passed: {passed:?}");
        for passage in chosen(passages) {
            wrong.extend(killed(story, &format!("{point}#{passage}"), &expected).await.err());
        }
    }
    assert!(wrong.is_empty(), "{} kills ended otherwise:\n{}", wrong.len(), wrong.join("\n----\n"));
}

#[expect(clippy::disallowed_methods, reason = "that is how whoever runs the tests says so")]
fn chosen(passages: usize) -> Vec<usize> {
    match std::env::var_os("GANTRY_KILL_ALL").is_some() || passages == 1 {
        true => (1..=passages).collect(),
        false => vec![1, passages],
    }
}

async fn killed(story: Story, at: &str, expected: &Json) -> Result<(), String> {
    let cluster = AnyCluster::in_process().await;
    let stage = story.prepare(&cluster).await;
    let words: Vec<&str> = story.command.split(' ').collect();
    let ran = stage.sandbox.run_in(&[("GANTRY_CRASH_AT", at)], &words);
    if ran.signal() != Some(9) {
        return Err(format!("it did not die at {at}: {ran:?}"));
    }
    let again = stage.run(story.command);
    let said = format!("killed at {at}, and again:\n{}{}", again.stdout, again.stderr);
    if again.code() != Some(story.code) {
        return Err(format!("exit {:?} instead of {}: {said}", again.code(), story.code));
    }
    if !again.stderr.contains("was interrupted") {
        return Err(format!("an interrupted run was not gone on with: {said}"));
    }
    if stage.run("state verify test").code() != Some(0) {
        return Err(format!("the ledger is not sound: {said}"));
    }
    let is = state(&stage, story);
    if is != *expected {
        let text = |json| serde_json::to_string_pretty(json).unwrap_or_default();
        let (one, other) = (text(expected), text(&is));
        let diff = similar::TextDiff::from_lines(&one, &other);
        return Err(format!("another end:\n{}\n{said}", diff.unified_diff().header("undisturbed", "after the kill")));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_deployment_is_killed() {
    kills(FIRST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_killed() {
    kills(UPDATE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_is_killed() {
    kills(FAILING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroy_is_killed() {
    kills(DESTROY).await;
}
