//! Deleting: what holds an object is named, what is gone already is gone, and what is being deleted takes nothing new.

use std::time::Duration;

use serde_json::json;

use crate::cluster::AnyCluster;
use crate::kubernetes::{SETTINGS, Stage, WEB, both, config_map};
use crate::support::{Background, eventually, holds};

both!(
    a_finalizer_is_waited_for_and_named,
    a_namespace_that_is_going_takes_nothing_new,
    what_somebody_deletes_while_it_is_waited_for_is_said,
    what_is_gone_already_is_no_error,
    another_object_of_the_name_is_not_touched,
);

const SOON: Duration = Duration::from_secs(30);

async fn a_finalizer_is_waited_for_and_named(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "held").await.namespace().await;
    stage.main(
        &SETTINGS.replace("namespace = \"SPACE\" }", "namespace = \"SPACE\", finalizers = [\"example.com/hold\"] }"),
    );
    let _ = stage.apply().succeeds();
    let destroy = Background::start(&stage.sandbox, "destroy test --auto-approve --json");
    let out = stage.sandbox.project().join("../tmp/destroy_test_--auto-approve_--json.out");
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    assert!(eventually(SOON, || said().contains("waiting for example.com/hold to let go of it")), "{}", said());
    assert!(!stage.get("api/v1", "configmaps/settings").await["metadata"]["deletionTimestamp"].is_null());
    stage.patch("operator", "api/v1", "configmaps/settings", &json!({"metadata": {"finalizers": null}})).await;
    let (code, err) = destroy.end();
    assert_eq!(code, Some(0), "{err}{}", said());
    assert!(stage.get("api/v1", "configmaps/settings").await.is_null());
}

async fn a_namespace_that_is_going_takes_nothing_new(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "going").await.namespace().await;
    stage.main(SETTINGS);
    let _ = stage.apply().succeeds();
    let mut held = config_map("held", "A", "1");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    stage.put("somebody", "api/v1", "configmaps/held", held).await;
    let path = "/api/v1/namespaces/going";
    assert!(cluster.ask("DELETE", path, "application/json", &serde_json::Value::Null).await.code < 300);
    let gone = || !stage.run("drift test").stdout.contains("No drift");
    assert!(eventually(SOON, gone), "its content goes first");
    let refused = stage.run("plan test").exits(1);
    holds(
        &refused.stderr,
        &["Error: Target refuses the change\n", "metadata.namespace: ", "on kubernetes_manifest.settings"],
    );
    assert!(
        refused.stderr.contains("being terminated") || refused.stderr.contains("is being deleted"),
        "{}",
        refused.stderr
    );
    stage.patch("operator", "api/v1", "configmaps/held", &json!({"metadata": {"finalizers": null}})).await;
    cluster.until(path, "gone", |reply| reply.code == 404).await;
    let refused = stage.run("plan test").exits(1);
    holds(&refused.stderr, &["The namespace \"going\" is not there."]);
}

async fn what_somebody_deletes_while_it_is_waited_for_is_said(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "vanish").await.namespace().await;
    stage.main(&WEB.replace("shop/api:1", "shop/unhealthy:1"));
    let apply = Background::start(&stage.sandbox, "apply test --auto-approve");
    assert!(
        eventually(SOON, || apply.said().contains("kubernetes_manifest.web: Creation complete")),
        "{}",
        apply.said()
    );
    stage.delete("apis/apps/v1", "deployments/web").await;
    let (code, said) = apply.end();
    assert_eq!(code, Some(3), "{said}");
    holds(&said, &["Deployment vanish/web was deleted by somebody else while it was waited for."]);
    stage.main(WEB);
    let _ = stage.apply().succeeds();
    stage.settled();
}

async fn what_is_gone_already_is_no_error(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "absent").await.namespace().await;
    stage.main(&format!("{SETTINGS}{WEB}"));
    let _ = stage.apply().succeeds();
    stage.delete("api/v1", "configmaps/settings").await;
    let _ = stage.run("plan test --detailed-exitcode").exits(2);
    let ran = stage.apply().succeeds();
    holds(&ran.stdout, &["Resources: 1 added, 0 changed, 0 destroyed.\n"]);
    stage.settled();
    stage.delete("apis/apps/v1", "deployments/web").await;
    let _ = stage.run("destroy test --auto-approve").succeeds();
    assert!(stage.get("api/v1", "configmaps/settings").await.is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_stays() {
    let cluster = AnyCluster::in_process().await;
    let stage = Stage::bare(&cluster, "kept").namespace().await;
    let end = SETTINGS.trim_end().strip_suffix('}').unwrap_or_default();
    stage.main(&format!("{end}  keep = true\n}}\n"));
    let _ = stage.apply().succeeds();
    let _ = stage.run("destroy test --auto-approve").succeeds();
    assert_eq!(stage.get("api/v1", "configmaps/settings").await["data"]["GREETING"], "hello");
}

async fn another_object_of_the_name_is_not_touched(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "anew").await.namespace().await;
    stage.main(SETTINGS);
    let _ = stage.apply().succeeds();
    stage.delete("api/v1", "configmaps/settings").await;
    let theirs = stage.put("stranger", "api/v1", "configmaps/settings", config_map("settings", "A", "1")).await;
    let _ = stage.run("destroy test --auto-approve").succeeds();
    let now = stage.get("api/v1", "configmaps/settings").await;
    assert_eq!(now["metadata"]["resourceVersion"], theirs["metadata"]["resourceVersion"], "{now}");
}
