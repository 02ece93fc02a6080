//! Objects that others have a hand in: conflicts, objects that were there already, and drift with who caused it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value as Json, json};

use crate::cluster::{AnyCluster, On};
use crate::kubernetes::{SETTINGS, Stage, WEB, both, config_map};
use crate::support::holds;

both!(
    a_field_of_somebody_else_is_refused_with_its_place_and_taken_by_force,
    what_is_there_already_is_refused_with_its_owners_and_imported,
    what_appears_between_plan_and_apply_is_left_as_it_was,
    what_kubectl_made_is_taken_on,
    what_helm_made_is_taken_on,
    what_differs_in_nothing_is_ours_once_it_is_imported,
    what_another_controller_owns_is_not_taken_from_it,
    drift_says_who_changed_what_and_looks_at_our_fields_only,
);

const IMPORT: &str = r#"
import {
  to = kubernetes_manifest.settings
  id = "apiVersion=v1,kind=ConfigMap,namespace=SPACE,name=settings"
}
"#;

async fn a_field_of_somebody_else_is_refused_with_its_place_and_taken_by_force(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "conflict").await.namespace().await;
    stage.main(WEB);
    let _ = stage.apply().succeeds();
    stage.patch("kubectl-edit", "apis/apps/v1", "deployments/web", &json!({"spec": {"replicas": 3}})).await;
    for command in ["plan test --var image=shop/api:2", "apply test --auto-approve --var image=shop/api:2"] {
        let refused = stage.run(command).exits(1);
        holds(
            &refused.stderr,
            &[
                "Error: Target refuses the change\n  at environments/test/main.hcl:",
                "replicas = 2\n",
                "on kubernetes_manifest.web\n",
                "Somebody else owns a field that the manifest sets: spec.replicas (\"kubectl-edit\" using apps/v1). Take the field out \
                 of the manifest, have its owner let go of it, or take it over with field_manager { force_conflicts = true }.",
                "hint: Nothing was changed.",
            ],
        );
    }
    assert_eq!(stage.deployment().await["spec"]["replicas"], 3);
    // Without the field it is theirs, and no drift.
    stage.main(&WEB.replace("      replicas = 2\n", ""));
    let _ = stage.apply().succeeds();
    assert_eq!(stage.deployment().await["spec"]["replicas"], 3);
    stage.settled();
    // By force it is ours again, and the other is no owner any more.
    let end = WEB.trim_end().strip_suffix('}').unwrap();
    stage.main(&format!("{end}\n  field_manager {{ force_conflicts = true }}\n}}\n"));
    let _ = stage.apply().succeeds();
    let now = stage.deployment().await;
    assert_eq!(now["spec"]["replicas"], 2);
    let owners = now["metadata"]["managedFields"].as_array().unwrap();
    let theirs = owners.iter().find(|entry| entry["manager"] == "kubectl-edit");
    assert!(theirs.is_none_or(|entry| entry["fieldsV1"]["f:spec"]["f:replicas"].is_null()), "{owners:#?}");
    stage.settled();
}

async fn what_is_there_already_is_refused_with_its_owners_and_imported(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "there").await.namespace().await;
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
        "data": {"GREETING": "hi", "THEIRS": "x"}});
    let before = stage.put("stranger", "api/v1", "configmaps/settings", theirs).await;
    stage.main(SETTINGS);
    for command in ["plan test", "apply test --auto-approve"] {
        let refused = stage.run(command).exits(1);
        holds(
            &refused.stderr,
            &[
                "Error: Target refuses the change\n  at environments/test/main.hcl:",
                "ConfigMap there/settings is there already, and not ours: it is managed by \"stranger\". To take it on, write an \
                 import block with the id \"apiVersion=v1,kind=ConfigMap,namespace=there,name=settings\"; else delete it or choose \
                 another name.",
            ],
        );
    }
    let now = stage.get("api/v1", "configmaps/settings").await;
    assert_eq!(now["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"], "nobody touched it");

    stage.main(&format!("{SETTINGS}{IMPORT}"));
    let plan = stage.run("plan test --detailed-exitcode --var greeting=hi").exits(2);
    holds(
        &plan.stdout,
        &["(imported from \"apiVersion=v1,kind=ConfigMap,namespace=there,name=settings\")", "+ COLOUR = \"red\""],
    );
    let ran = stage.run("apply test --auto-approve --var greeting=hi").succeeds();
    holds(&ran.stdout, &["Resources: 1 imported, 0 added, 1 changed, 0 destroyed.\n"]);
    let now = stage.get("api/v1", "configmaps/settings").await;
    assert_eq!(now["data"], json!({"GREETING": "hi", "THEIRS": "x", "COLOUR": "red"}));
    assert_eq!(now["metadata"]["uid"], before["metadata"]["uid"]);
    let _ = stage.run("plan test --detailed-exitcode --var greeting=hi").succeeds();
    let _ = stage.run("drift test").succeeds();
}

async fn what_appears_between_plan_and_apply_is_left_as_it_was(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "between").await.namespace().await;
    stage.main(SETTINGS);
    let _ = stage.run("plan test --out saved.plan").succeeds();
    let before =
        stage.put("stranger", "api/v1", "configmaps/settings", config_map("settings", "GREETING", "mine")).await;
    let ran = stage.run("apply saved.plan");
    assert!(matches!(ran.code(), Some(1 | 3 | 5)), "{ran:?}");
    holds(
        &format!("{}{}", ran.stdout, ran.stderr),
        &["is there already, and not ours: it is managed by \"stranger\"."],
    );
    let now = stage.get("api/v1", "configmaps/settings").await;
    assert_eq!((&now["data"], &now["metadata"]["uid"]), (&before["data"], &before["metadata"]["uid"]));
    assert!(now["metadata"]["annotations"].is_null(), "{now}");
}

async fn what_kubectl_made_is_taken_on(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "kubectl").await.namespace().await;
    let last = r#"{"apiVersion":"v1","data":{"COLOUR":"red","GREETING":"hi"},"kind":"ConfigMap","metadata":{"name":"settings"}}"#;
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"COLOUR": "red", "GREETING": "hi"},
        "metadata": {"name": "settings", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": last}}});
    taken_on(&stage, "kubectl-client-side-apply", object).await;
}

async fn what_helm_made_is_taken_on(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "helm").await.namespace().await;
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"COLOUR": "red", "GREETING": "hi"},
        "metadata": {"name": "settings", "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "shop", "meta.helm.sh/release-namespace": "helm"}}});
    taken_on(&stage, "helm", object).await;
}

/// An object that a tool made with an ordinary create: imported with another greeting, which is then ours.
async fn taken_on(stage: &Stage<'_>, manager: &str, object: Json) {
    let path = format!("/api/v1/namespaces/{}/configmaps?fieldManager={manager}", stage.space);
    let made = stage.cluster.ask("POST", &path, "application/json", &object).await;
    assert_eq!(made.code, 201, "{}", made.text);
    stage.main(&format!("{SETTINGS}{IMPORT}"));
    let plan = stage.run("plan test").succeeds();
    holds(
        &plan.stdout,
        &["~ GREETING = \"hi\" -> \"hello\"", "Plan: 1 to import, 0 to add, 1 to change, 0 to destroy."],
    );
    let _ = stage.apply().succeeds();
    let now = stage.get("api/v1", "configmaps/settings").await;
    assert_eq!(now["data"], json!({"COLOUR": "red", "GREETING": "hello"}));
    assert_eq!(now["metadata"]["uid"], made.body["metadata"]["uid"]);
    stage.settled();
    // What the records hold has no copy of the object in an annotation.
    let shown = stage.run("show test").succeeds();
    assert!(!shown.stdout.contains("last-applied-configuration"), "{}", shown.stdout);
    without_the_colour(stage).await;
}

/// What is taken out of the manifest goes from the object, whoever set it before the import.
async fn without_the_colour(stage: &Stage<'_>) {
    stage.main(&SETTINGS.replace(", COLOUR = \"red\"", ""));
    let plan = stage.run("plan test").succeeds();
    holds(&plan.stdout, &["- COLOUR = \"red\" -> null", "Plan: 0 to add, 1 to change, 0 to destroy."]);
    let _ = stage.apply().succeeds();
    let now = stage.get("api/v1", "configmaps/settings").await;
    assert_eq!(now["data"], json!({"GREETING": "hello"}));
    stage.settled();
}

async fn what_differs_in_nothing_is_ours_once_it_is_imported(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "alike").await.namespace().await;
    let path = format!("/api/v1/namespaces/{}/configmaps?fieldManager=kubectl-create", stage.space);
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
        "data": {"COLOUR": "red", "GREETING": "hello", "THEIRS": "x"}});
    let made = stage.cluster.ask("POST", &path, "application/json", &object).await;
    assert_eq!(made.code, 201, "{}", made.text);
    stage.main(&format!("{SETTINGS}{IMPORT}"));
    let plan = stage.run("plan test").succeeds();
    holds(
        &plan.stdout,
        &[
            "# kubernetes_manifest.settings will be imported\n",
            "# (it is written once, so that its fields are ours: nothing of it changes)\n",
            "Plan: 1 to import, 0 to add, 0 to change, 0 to destroy.",
        ],
    );
    let ran = stage.apply().succeeds();
    holds(&ran.stdout, &["Resources: 1 imported, 0 added, 0 changed, 0 destroyed.\n"]);
    stage.settled();
    let now = stage.get("api/v1", "configmaps/settings").await;
    let owners: Vec<&str> =
        now["metadata"]["managedFields"].as_array().unwrap().iter().filter_map(|one| one["manager"].as_str()).collect();
    assert!(owners.len() == 1 && owners[0].starts_with("gantry-"), "{owners:?}");
    // What the manifest never named is nobody's, and stays.
    assert_eq!(now["data"], object["data"]);
    stage.main(&SETTINGS.replace(", COLOUR = \"red\"", ""));
    let _ = stage.apply().succeeds();
    let now = stage.get("api/v1", "configmaps/settings").await;
    assert_eq!(now["data"], json!({"GREETING": "hello", "THEIRS": "x"}));
}

async fn what_another_controller_owns_is_not_taken_from_it(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "argo").await.namespace().await;
    let path = format!("/api/v1/namespaces/{}/configmaps?fieldManager=argocd-controller", stage.space);
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
        "data": {"COLOUR": "red", "GREETING": "hi"}});
    let made = stage.cluster.ask("POST", &path, "application/json", &object).await;
    assert_eq!(made.code, 201, "{}", made.text);
    stage.main(&format!("{SETTINGS}{IMPORT}"));
    let refused = stage.run("plan test").exits(1);
    holds(
        &refused.stderr,
        &["Somebody else owns a field that the manifest sets: data.GREETING (\"argocd-controller\" using v1)."],
    );
    // Where both want the same there is no quarrel: both own it.
    stage.main(&format!("{SETTINGS}{IMPORT}").replace("hello", "hi"));
    let _ = stage.apply().succeeds();
    stage.settled();
}

async fn drift_says_who_changed_what_and_looks_at_our_fields_only(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "drift").await.namespace().await;
    stage.main(&format!("{SETTINGS}{WEB}"));
    let _ = stage.apply().succeeds();
    // What nobody asked for is nobody's drift: another key, a label, a status, an annotation.
    let more =
        json!({"metadata": {"labels": {"theirs": "x"}, "annotations": {"note": "y"}}, "spec": {"minReadySeconds": 1}});
    stage.patch("operator", "apis/apps/v1", "deployments/web", &more).await;
    stage.patch("operator", "api/v1", "configmaps/settings", &json!({"data": {"THEIRS": "x"}})).await;
    stage.settled();
    stage.patch("kubectl-edit", "apis/apps/v1", "deployments/web", &json!({"spec": {"replicas": 3}})).await;
    stage
        .patch("console", "api/v1", "configmaps/settings", &json!({"data": {"GREETING": "bye", "COLOUR": null}}))
        .await;
    let found = stage.run("drift test").exits(2);
    holds(
        &found.stdout,
        &[
            "Objects of \"test\" are not as they were recorded:\n",
            "# kubernetes_manifest.settings has changed\n",
            "- COLOUR   = \"red\" -> null",
            "~ GREETING = \"hello\" -> \"bye\"",
            "    changed by console, ",
            ": manifest.data.GREETING\n",
            "# kubernetes_manifest.web has changed\n",
            "~ replicas = 2 -> 3",
            "    changed by kubectl-edit, ",
            ": manifest.spec.replicas\n",
            "Drift: 2 changed, 0 gone, 0 not ready, of 2 objects.\n",
        ],
    );
    assert!(!found.stdout.contains("THEIRS") && !found.stdout.contains("minReadySeconds"), "{}", found.stdout);
    let json = stage.run("drift test --json").exits(2);
    let json: Json = serde_json::from_str(&json.stdout).unwrap();
    let fields = &json["gantry"]["fields"];
    assert_eq!(fields["kubernetes_manifest.web"], json!([["manifest", "spec", "replicas"]]));
    assert_eq!(
        fields["kubernetes_manifest.settings"],
        json!([["manifest", "data", "COLOUR"], ["manifest", "data", "GREETING"]])
    );
    assert_eq!(json["gantry"]["changed_by"][0]["who"], "console");
    stage.delete("api/v1", "configmaps/settings").await;
    let gone = stage.run("drift test").exits(2);
    holds(
        &gone.stdout,
        &["# kubernetes_manifest.settings is gone\n", "Drift: 1 changed, 1 gone, 0 not ready, of 2 objects.\n"],
    );
}

const MANY: &str = r#"
resource "kubernetes_manifest" "KIND" {
  count    = NUMBER
  manifest = { apiVersion = "API", kind = "KIND", metadata = { name = "n${count.index}", namespace = "SPACE" }MORE }
}
"#;

/// Two thousand objects of six kinds are looked at with one chain of LISTs for each kind: no request for each object.
#[tokio::test(flavor = "multi_thread")]
async fn many_objects_take_one_chain_of_lists_for_each_kind() {
    let cluster = AnyCluster::in_process().await;
    let stage = Stage::bare(&cluster, "many").namespace().await;
    let kinds = [
        ("v1", "ConfigMap", 1000, ", data = { A = \"1\" }"),
        ("v1", "Secret", 400, ", stringData = { A = \"1\" }"),
        ("v1", "ServiceAccount", 300, ""),
        ("rbac.authorization.k8s.io/v1", "Role", 150, ", rules = []"),
        ("v1", "Service", 100, ", spec = { ports = [{ port = 80 }] }"),
        ("networking.k8s.io/v1", "NetworkPolicy", 50, ", spec = { podSelector = {} }"),
    ];
    let text = kinds.map(|(api, kind, number, more)| {
        MANY.replace("API", api).replace("KIND", kind).replace("NUMBER", &number.to_string()).replace("MORE", more)
    });
    stage.main(&text.concat());
    let ran = stage.apply().succeeds();
    holds(&ran.stdout, &["Resources: 2000 added, 0 changed, 0 destroyed.\n"]);
    let control = stage.control();
    for command in ["plan test --detailed-exitcode", "drift test"] {
        control.forget();
        let _ = stage.run(command).succeeds();
        let seen = control.requests();
        let ours = |resource: &str| seen.iter().filter(|one| one.verb == "list" && one.resource == resource).count();
        let plurals = ["configmaps", "secrets", "serviceaccounts", "roles", "services", "networkpolicies"];
        let pages: Vec<usize> = plurals.iter().map(|plural| ours(plural)).collect();
        assert_eq!(pages, [2, 1, 1, 1, 1, 1], "{command}: pages of 500, in six chains");
        let gets: Vec<String> = plurals
            .iter()
            .map(|plural| format!("{plural}: {}", control.count(&On::verb("get").resource(plural))))
            .collect();
        assert!(gets.iter().all(|line| line.ends_with(": 0")), "{command}: {gets:?}");
        assert_eq!(control.count(&On::verb("apply")), 0, "{command}: nothing is previewed where nothing changes");
    }
}
