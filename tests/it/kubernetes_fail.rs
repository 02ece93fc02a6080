//! Rollouts that do not come to an end: how soon that is said, what is shown, what is taken back; and what is waited for.

use std::time::Duration;

use serde_json::json;

use crate::cluster::AnyCluster;
use crate::cluster::controllers::Fates;
use crate::kubernetes::{SETTINGS, Stage, WEB, both, shop};
use crate::support::{Background, eventually, holds};

both!(
    an_image_that_is_not_there_is_told_in_seconds_and_taken_back,
    a_second_crash_is_enough,
    a_first_deployment_that_fails_leaves_nothing,
    nothing_is_waited_for_where_that_is_said,
    conditions_and_fields_of_ones_own_are_waited_for,
    time_runs_out_with_what_is_missing,
    what_is_tolerated_does_not_end_it,
);

/// How long a run may take that does not wait for a deadline, on a machine that does much else.
const SOON: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "tests read the clock")]
fn timed<T>(work: impl FnOnce() -> T) -> T {
    let start = std::time::Instant::now();
    let done = work();
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    done
}

async fn an_image_that_is_not_there_is_told_in_seconds_and_taken_back(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "noimage").await.namespace().await;
    stage.main(&format!("{SETTINGS}{WEB}"));
    let _ = stage.apply().succeeds();
    let ran = timed(|| stage.run("apply test --auto-approve --var image=shop/notfound:2 --var greeting=bye").exits(3));
    holds(
        &ran.stderr,
        &[
            "kubernetes_manifest.web: await failed after ",
            ": Deployment noimage/web: Image shop/notfound:2 of container api (pod web-",
            ") cannot be had: Back-off pulling image \"shop/notfound:2\": ",
        ],
    );
    let said = format!("{}{}", ran.stdout, ran.stderr);
    holds(
        &said,
        &[
            "Failed: kubernetes_manifest.web: await\n",
            "what the cluster says:\n    Deployment web\n",
            "container api: waiting, ImagePullBackOff: ",
            "last events\n",
            "Apply failed: test was taken back to where it was.\n",
            "; the environment is back at generation 1",
            "What was seen is kept: gantry show test --generation 2",
        ],
    );
    let now = stage.deployment().await;
    assert_eq!(now["spec"]["template"]["spec"]["containers"][0]["image"], "shop/api:1");
    assert_eq!(now["status"]["availableReplicas"], 2);
    assert_eq!(stage.get("api/v1", "configmaps/settings").await["data"]["GREETING"], "hello");
    stage.settled();
    let (_, after) = ran.stderr.split_once("Run ").unwrap_or_default();
    let run = after.split_whitespace().next().unwrap_or_default();
    holds(
        &stage.run(&format!("show test --run {run}")).succeeds().stdout,
        &["what the cluster says (", "ImagePullBackOff"],
    );
}

async fn a_second_crash_is_enough(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "crash").await.namespace().await;
    stage.main(WEB);
    let _ = stage.apply().succeeds();
    // The pause before the third start is 10 s: it is not waited for.
    let ran = timed(|| stage.run("apply test --auto-approve --var image=shop/crash:2").exits(3));
    holds(&ran.stderr, &[" has ended 2 times, the last time with exit code 1."]);
    holds(
        &format!("{}{}", ran.stdout, ran.stderr),
        &["container api: waiting, CrashLoopBackOff", "the run before ended with exit code 1"],
    );
    stage.settled();
}

async fn a_first_deployment_that_fails_leaves_nothing(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "nothing").await;
    stage.main(&shop());
    let ran = timed(|| stage.run("apply test --auto-approve --var image=shop/crash:1").exits(3));
    holds(
        &format!("{}{}", ran.stdout, ran.stderr),
        &["Apply failed: test was taken back to where it was.\n", "; what the run had made is gone again"],
    );
    assert!(!stage.stands().await, "the namespace is gone");
    let _ = stage.apply().succeeds();
    stage.settled();
}

fn waiting(block: &str) -> String {
    let end = WEB.trim_end().strip_suffix('}').unwrap_or_default();
    format!("{end}\n  wait {{\n{block}\n  }}\n}}\n")
}

async fn nothing_is_waited_for_where_that_is_said(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "nowait").await.namespace().await;
    stage.main(&waiting("    rollout = false"));
    let ran = stage.run("apply test --auto-approve --var image=shop/unhealthy:1").succeeds();
    holds(&ran.stdout, &["Apply complete! Resources: 1 added, 0 changed, 0 destroyed.\n"]);
    // What controllers write is not ours, and what is not waited for is never unready.
    let seen = || stage.run("drift test").code() == Some(0);
    assert!(eventually(SOON, seen), "{:?}", stage.run("drift test"));
    let plan = stage.run("plan test --detailed-exitcode --var image=shop/unhealthy:1").succeeds();
    holds(&plan.stdout, &["No changes."]);
}

async fn conditions_and_fields_of_ones_own_are_waited_for(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "rules").await.namespace().await;
    let rules = "  wait {\n    condition {\n      type = \"Checked\"\n    }\n    fields = { \"data.STATE\" = \"done|skipped\" }\n  }\n";
    let end = SETTINGS.trim_end().strip_suffix('}').unwrap_or_default();
    let fields = rules.lines().filter(|line| !line.contains("condition") && !line.contains("type =")).count();
    assert_eq!(fields, 4);
    let only_fields = "  wait {\n    fields = { \"data.STATE\" = \"done|skipped\" }\n  }\n";
    stage.main(&format!("{end}{only_fields}}}\n"));
    let apply = Background::start(&stage.sandbox, "apply test --auto-approve");
    let waits = || apply.said().contains("kubernetes_manifest.settings: await...");
    assert!(eventually(SOON, waits), "{}", apply.said());
    stage.patch("checker", "api/v1", "configmaps/settings", &json!({"data": {"STATE": "begun"}})).await;
    stage.patch("checker", "api/v1", "configmaps/settings", &json!({"data": {"STATE": "done"}})).await;
    let (code, said) = apply.end();
    assert_eq!(code, Some(0), "{said}");
    stage.settled();
    // A condition of a Deployment by name.
    stage.main(&waiting("    condition {\n      type = \"Available\"\n    }"));
    let _ = stage.apply().succeeds();
    stage.main(&waiting("    timeout = \"1s\"\n    condition {\n      type = \"Blessed\"\n    }"));
    let late = stage.run("apply test --auto-approve --var image=shop/api:2").exits(3);
    holds(&late.stderr, &["Deployment rules/web: It is not ready after 1 s: "]);
}

async fn time_runs_out_with_what_is_missing(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "late").await.namespace().await;
    stage.main(&waiting("    timeout = \"2s\""));
    let _ = stage.apply().succeeds();
    let late = stage.run("apply test --auto-approve --var image=shop/unhealthy:2").exits(3);
    holds(
        &late.stderr,
        &[
            "Deployment late/web: It is not ready after 2 s: 0 of 2 new replicas are ready, 2 old are still serving; web-",
            "and container api is not ready",
        ],
    );
    stage.settled();
}

async fn what_is_tolerated_does_not_end_it(cluster: &AnyCluster) {
    let quick = Fates { back_off: Duration::from_millis(100), ..Fates::default() };
    let stage = Stage::with(cluster, "borne", quick).await.namespace().await;
    stage.main(&waiting("    timeout  = \"4s\"\n    tolerate = { crash_loop = \"always\" }"));
    let _ = stage.apply().succeeds();
    let late = stage.run("apply test --auto-approve --var image=shop/crash:2").exits(3);
    holds(&late.stderr, &["Deployment borne/web: It is not ready after 4 s: ", "the last time with exit code 1."]);
    stage.main(&waiting("    tolerate = { crashing = \"always\", unschedulable = \"soon\" }"));
    let wrong = stage.run("plan test").exits(1);
    holds(
        &wrong.stderr,
        &[
            "\"crashing\" is nothing that can be tolerated. There is: ",
            "\"soon\" is no time. Write it as in \"30s\", or \"always\".",
        ],
    );
}
