//! Deploying to Kubernetes: what is made, changed, replaced, and what is no change.

use serde_json::{Value as Json, json};

use crate::cluster::AnyCluster;
use crate::kubernetes::{PASSWORD, SETTINGS, Stage, WEB, both, shop};
use crate::support::{files, holds};

both!(
    a_first_deployment_makes_all_in_order,
    a_new_image_rolls_and_is_waited_for,
    what_the_server_normalises_away_is_no_change,
    what_is_taken_out_of_the_manifest_is_taken_out_of_the_object,
    what_cannot_be_changed_is_replaced,
    a_definition_its_objects_and_their_namespace_come_in_one_plan,
);

fn position(text: &str, needle: &str) -> usize {
    text.find(needle).unwrap_or_else(|| panic!("{needle:?} is not in\n{text}"))
}

async fn a_first_deployment_makes_all_in_order(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "first").await;
    stage.main(&shop());
    let plan = stage.run("plan test --detailed-exitcode").exits(2);
    holds(
        &plan.stdout,
        &[
            "# kubernetes_manifest.web will be created",
            "# (not previewed: Its namespace first comes with this plan.)",
            "PASSWORD = (sensitive value)",
            "Plan: 5 to add, 0 to change, 0 to destroy.",
        ],
    );
    let ran = stage.apply().succeeds();
    holds(
        &ran.stdout,
        &["Apply complete! Resources: 5 added, 0 changed, 0 destroyed.\n", "Generation 1 is verified in "],
    );
    // Nothing says what comes first; the objects name each other.
    let log = &ran.stderr;
    let (namespace, web) =
        (position(log, "namespace: Creation complete"), position(log, "kubernetes_manifest.web: Creating..."));
    for one in ["settings", "keys", "service"] {
        assert!(namespace < position(log, &format!("kubernetes_manifest.{one}: Creating...")), "{log}");
    }
    for one in ["settings", "keys"] {
        assert!(position(log, &format!("kubernetes_manifest.{one}: Creation complete")) < web, "{log}");
    }
    assert_eq!(stage.deployment().await["status"]["availableReplicas"], 2);
    let secret = stage.get("api/v1", "secrets/keys").await;
    assert_eq!(secret["data"]["PASSWORD"], "c3dvcmRmaXNoLTQ3MTEtc3dvcmRmaXNo");
    assert_eq!(stage.get("api/v1", "services/web").await["spec"]["ports"][0]["protocol"], "TCP");
    stage.settled();

    let said = [
        plan.stdout,
        ran.stdout,
        ran.stderr,
        stage.run("plan test --json --var password=another").stdout,
        stage.run("show test").succeeds().stdout,
        stage.run("show test --json").succeeds().stdout,
        stage.run("drift test --json").succeeds().stdout,
    ];
    for needle in [PASSWORD, "c3dvcmRmaXNoLTQ3MTEtc3dvcmRmaXNo"] {
        for text in &said {
            assert!(!text.contains(needle), "{text}");
        }
        let holders: Vec<String> = files(&stage.sandbox.project().join("state"))
            .into_iter()
            .filter(|(_, bytes)| String::from_utf8_lossy(bytes).contains(needle))
            .map(|(name, _)| name)
            .collect();
        assert!(holders.is_empty(), "{needle} stands in {holders:?}");
    }

    let gone = stage.run("destroy test --auto-approve").succeeds();
    holds(&gone.stdout, &["5 destroyed"]);
    assert!(!stage.stands().await, "the namespace is gone when the command ends");
}

async fn a_new_image_rolls_and_is_waited_for(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "roll").await.namespace().await;
    stage.main(WEB);
    let _ = stage.apply().succeeds();
    let plan = stage.run("plan test --var image=shop/api:2 --detailed-exitcode").exits(2);
    holds(&plan.stdout, &["~ image = \"shop/api:1\" -> \"shop/api:2\"", "Plan: 0 to add, 1 to change, 0 to destroy."]);
    assert!(!plan.stdout.contains("~ metadata"), "what a controller wrote is no part of a change: {}", plan.stdout);
    assert!(!plan.stdout.contains("lastTransitionTime"), "nor is the copy of the whole object: {}", plan.stdout);
    let ran = stage.run("apply test --auto-approve --var image=shop/api:2").succeeds();
    holds(&ran.stdout, &["Apply complete! Resources: 0 added, 1 changed, 0 destroyed.\n"]);
    let now = stage.deployment().await;
    assert_eq!((&now["status"]["updatedReplicas"], &now["status"]["availableReplicas"]), (&json!(2), &json!(2)));
    assert_eq!(now["status"]["observedGeneration"], now["metadata"]["generation"]);
    stage.main(&WEB.replace("shop/api:1", "shop/api:2"));
    stage.settled();
}

async fn what_the_server_normalises_away_is_no_change(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "same").await.namespace().await;
    stage.main(WEB);
    let _ = stage.apply().succeeds();
    let generation = stage.deployment().await["metadata"]["generation"].clone();
    for other in ["1", "1.0", "1000m"] {
        let plan = stage.run(&format!("plan test --detailed-exitcode --var cpu={other}")).succeeds();
        holds(&plan.stdout, &["No changes. test matches its configuration."]);
        let ran = stage.run(&format!("apply test --auto-approve --var cpu={other}")).succeeds();
        holds(&ran.stdout, &["No changes."]);
        stage.settled();
    }
    assert_eq!(stage.deployment().await["metadata"]["generation"], generation);
    let _ = stage.run("plan test --detailed-exitcode --var cpu=1001m").exits(2);
}

async fn what_is_taken_out_of_the_manifest_is_taken_out_of_the_object(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "less").await.namespace().await;
    stage.main(&format!("{SETTINGS}{WEB}"));
    let _ = stage.apply().succeeds();
    stage.patch("somebody", "api/v1", "configmaps/settings", &json!({"data": {"THEIRS": "stays"}})).await;
    let less = format!("{SETTINGS}{WEB}")
        .replace(", COLOUR = \"red\"", "")
        .replace(", tier = \"front\"", "")
        .replace(", memory = \"64Mi\"", "")
        .replace("ports     = [{ containerPort = 8080 }]\n", "");
    stage.main(&less);
    let plan = stage.run("plan test").succeeds();
    holds(&plan.stdout, &["- COLOUR = \"red\" -> null", "Plan: 0 to add, 2 to change, 0 to destroy."]);
    let _ = stage.apply().succeeds();
    let settings = stage.get("api/v1", "configmaps/settings").await;
    assert_eq!(settings["data"], json!({"GREETING": "hello", "THEIRS": "stays"}));
    let web = stage.deployment().await;
    assert_eq!(web["metadata"]["labels"], json!({"app": "web"}));
    let container = &web["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["resources"]["limits"], &container["ports"]), (&json!({"cpu": "1"}), &Json::Null));
    stage.settled();
}

const JOB: &str = r#"
variable "app" { default = "web" }

resource "kubernetes_manifest" "job" {
  manifest = {
    apiVersion = "batch/v1"
    kind       = "Job"
    metadata   = { name = "migrate", namespace = "SPACE" }
    spec       = { template = { spec = { restartPolicy = "Never", containers = [{ name = "a", image = var.image }] } } }
  }
}
"#;

async fn what_cannot_be_changed_is_replaced(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "other").await.namespace().await;
    stage.main(&format!("{JOB}{}", WEB.replace("{ app = \"web\" }", "{ app = var.app }")));
    let _ = stage.apply().succeeds();
    let before = (stage.deployment().await, stage.get("apis/batch/v1", "jobs/migrate").await);
    let other = "--var app=other --var image=shop/api:2";
    let plan = stage.run(&format!("plan test --detailed-exitcode {other}")).exits(2);
    holds(
        &plan.stdout,
        &[
            "# kubernetes_manifest.job must be replaced\n  # (because the cluster changes spec.template in no object that stands)",
            "# kubernetes_manifest.web must be replaced\n  # (because the cluster changes spec.selector in no object that stands)",
            "Plan: 2 to add, 0 to change, 2 to destroy.",
        ],
    );
    let ran = stage.run(&format!("apply test --auto-approve {other}")).succeeds();
    holds(&ran.stdout, &["Apply complete! Resources: 2 added, 0 changed, 2 destroyed.\n"]);
    let after = (stage.deployment().await, stage.get("apis/batch/v1", "jobs/migrate").await);
    assert_ne!(before.0["metadata"]["uid"], after.0["metadata"]["uid"]);
    assert_ne!(before.1["metadata"]["uid"], after.1["metadata"]["uid"]);
    assert_eq!(after.0["spec"]["selector"]["matchLabels"]["app"], "other");
    assert_eq!(after.1["status"]["succeeded"], 1);
    let _ = stage.run(&format!("plan test --detailed-exitcode {other}")).succeeds();
}

const WIDGET: &str = r#"
resource "kubernetes_manifest" "widget" {
  manifest = {
    apiVersion = "SPACE.example.com/v1"
    kind       = "Widget"
    metadata   = { name = "w", namespace = "SPACE" }
    spec       = { size = 3 }
  }
}

resource "kubernetes_manifest" "namespace" {
  manifest = { apiVersion = "v1", kind = "Namespace", metadata = { name = "SPACE" } }
}

resource "kubernetes_manifest" "definition" {
  manifest = {
    apiVersion = "apiextensions.k8s.io/v1"
    kind       = "CustomResourceDefinition"
    metadata   = { name = "widgets.SPACE.example.com" }
    spec = {
      group = "SPACE.example.com"
      scope = "Namespaced"
      names = { kind = "Widget", plural = "widgets", singular = "widget", listKind = "WidgetList" }
      versions = [{
        name    = "v1"
        served  = true
        storage = true
        schema = { openAPIV3Schema = {
          type       = "object"
          properties = { spec = { type = "object", properties = { size = { type = "integer" } } } }
        } }
      }]
    }
  }
}
"#;

async fn a_definition_its_objects_and_their_namespace_come_in_one_plan(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "crd").await;
    stage.main(WIDGET);
    let plan = stage.run("plan test").succeeds();
    holds(
        &plan.stdout,
        &[
            "# kubernetes_manifest.widget will be created\n  # (not previewed: The definition of Widget comes with this plan.)",
            "Plan: 3 to add, 0 to change, 0 to destroy.",
        ],
    );
    let wanted = stage.run("plan test --require-preview").exits(6);
    holds(
        &wanted.stderr,
        &[
            "Error: Changes not previewed\n",
            "--require-preview wants the target's word on every change, and there is none on:",
            "kubernetes_manifest.widget: The definition of Widget comes with this plan.",
        ],
    );
    assert!(!stage.stands().await);
    let _ = stage.apply().succeeds();
    assert_eq!(stage.get("apis/crd.example.com/v1", "widgets/w").await["spec"]["size"], 3);
    stage.settled();
    let _ = stage.run("plan test --require-preview").succeeds();
    // A second object, and another size: now the server is asked.
    stage.main(&WIDGET.replace("size = 3", "size = \"three\""));
    let refused = stage.run("plan test").exits(1);
    holds(
        &refused.stderr,
        &["|     spec       = { size = \"three\" }\n", "on kubernetes_manifest.widget", "spec.size: "],
    );
    stage.main(&WIDGET.replace("size = 3", "size = 4"));
    let _ = stage.apply().succeeds();
    stage.settled();
    let _ = stage.run("destroy test --auto-approve").succeeds();
    assert!(!stage.stands().await);
}
