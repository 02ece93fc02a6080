//! What comes in versions: `kubernetes_config`, and `kubernetes_job`; and what is kept when its record goes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value as Json, json};

use crate::cluster::AnyCluster;
use crate::kubernetes::{PASSWORD, Stage, both};

both!(
    a_change_of_configuration_rolls_the_workload_and_goes_back_with_it,
    a_failed_rollout_takes_its_configuration_back,
    a_job_runs_once_for_each_change,
    a_job_that_fails_fails_the_run_and_runs_again,
    a_claim_stays_when_its_record_goes,
);

const CONFIGURED: &str = r#"
variable "greeting" { default = "hello" }
variable "image" { default = "shop/api:1" }
variable "password" {
  default   = "swordfish-4711-swordfish"
  sensitive = true
}

resource "kubernetes_config" "app" {
  name      = "app"
  namespace = "SPACE"
  keep      = 2
  data      = { GREETING = var.greeting }
}

resource "kubernetes_config" "keys" {
  name      = "keys"
  namespace = "SPACE"
  secret    = true
  data      = { PASSWORD = var.password }
}

resource "kubernetes_manifest" "web" {
  manifest = {
    apiVersion = "apps/v1"
    kind       = "Deployment"
    metadata   = { name = "web", namespace = "SPACE" }
    spec = {
      replicas = 1
      selector = { matchLabels = { app = "web" } }
      template = {
        metadata = { labels = { app = "web" } }
        spec = {
          containers = [{
            name  = "api"
            image = var.image
            envFrom = [
              { configMapRef = { name = kubernetes_config.app.object_name } },
              { secretRef = { name = kubernetes_config.keys.object_name } },
            ]
          }]
        }
      }
    }
  }
}
"#;

const JOB: &str = r#"
variable "image" { default = "shop/migrate:1" }

resource "kubernetes_job" "migrate" {
  name      = "migrate"
  namespace = "SPACE"
  image     = var.image
  command   = ["rails", "db:migrate"]
}
"#;

/// The names of a namespace's objects of a kind that begin so.
async fn named(stage: &Stage<'_>, api: &str, plural: &str, prefix: &str) -> Vec<String> {
    let list = stage.get(api, plural).await;
    let names =
        list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

async fn refers_to(stage: &Stage<'_>) -> (String, String) {
    let from = stage.deployment().await.pointer("/spec/template/spec/containers/0/envFrom").unwrap().clone();
    let text = |json: &Json| json.as_str().unwrap().to_owned();
    (text(&from[0]["configMapRef"]["name"]), text(&from[1]["secretRef"]["name"]))
}

async fn a_change_of_configuration_rolls_the_workload_and_goes_back_with_it(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "versions").await.namespace().await;
    stage.main(CONFIGURED);
    stage.apply().succeeds();
    stage.settled();
    let first = refers_to(&stage).await;
    let object = stage.get("api/v1", &format!("configmaps/{}", first.0)).await;
    assert_eq!((&object["data"]["GREETING"], &object["immutable"]), (&json!("hello"), &json!(true)));

    let plan = stage.run("plan test --var greeting=moin").succeeds();
    assert!(plan.stdout.contains("~ object_name = \"app-"), "its name is known when planned: {}", plan.stdout);
    stage.run("apply test --auto-approve --var greeting=moin --var password=another-4711-another").succeeds();
    let second = refers_to(&stage).await;
    assert!(first.0 != second.0 && first.1 != second.1, "{first:?} {second:?}");
    assert_eq!(named(&stage, "api/v1", "configmaps", "app-").await.len(), 2, "the old one stays");

    let back = stage.run("rollback test --to 1 --auto-approve --var password=swordfish-4711-swordfish").succeeds();
    assert_eq!(refers_to(&stage).await, first, "the same objects are taken up again: {}", back.stdout);
    for greeting in ["a", "b", "c"] {
        stage.run(&format!("apply test --auto-approve --var greeting={greeting}")).succeeds();
    }
    let left = named(&stage, "api/v1", "configmaps", "app-").await;
    assert_eq!(left.len(), 3, "the present one and two before it: {left:?}");
    let told = crate::support::files(&stage.sandbox.project().join("state"))
        .into_iter()
        .find(|(_, bytes)| bytes.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()));
    assert!(told.is_none(), "the secret stands in {:?}", told.map(|(name, _)| name));
    stage.run("destroy test --auto-approve").succeeds();
    assert_eq!(named(&stage, "api/v1", "configmaps", "app-").await, Vec::<String>::new());
    assert_eq!(named(&stage, "api/v1", "secrets", "keys-").await, Vec::<String>::new());
}

async fn a_failed_rollout_takes_its_configuration_back(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "versions-back").await.namespace().await;
    stage.main(CONFIGURED);
    stage.apply().succeeds();
    let first = refers_to(&stage).await;
    let failed = stage.run("apply test --auto-approve --var greeting=moin --var image=shop/notfound:2");
    assert_eq!(failed.code(), Some(3), "{}{}", failed.stdout, failed.stderr);
    assert_eq!(refers_to(&stage).await, first);
    stage.settled();
}

async fn a_job_runs_once_for_each_change(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "jobs").await.namespace().await;
    stage.main(JOB);
    stage.apply().succeeds();
    stage.settled();
    let first = named(&stage, "apis/batch/v1", "jobs", "migrate-").await;
    assert_eq!(first.len(), 1);
    // What the cluster has cleaned up was run all the same.
    stage.delete("apis/batch/v1", &format!("jobs/{}", first[0])).await;
    stage.settled();
    stage.run("apply test --auto-approve --var image=shop/migrate:2").succeeds();
    let second = named(&stage, "apis/batch/v1", "jobs", "migrate-").await;
    assert!(!second.contains(&first[0]) && second.len() == 1, "{first:?} {second:?}");
    // Going back runs nothing.
    let back = stage.run("rollback test --to 1 --auto-approve");
    assert_eq!(back.code(), Some(0), "{}{}", back.stdout, back.stderr);
    assert_eq!(named(&stage, "apis/batch/v1", "jobs", "migrate-").await, second);
}

async fn a_job_that_fails_fails_the_run_and_runs_again(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "jobs-fail").await.namespace().await;
    stage.main(JOB);
    let failed = stage.run("apply test --auto-approve --var image=shop/crash:1");
    assert_eq!(failed.code(), Some(3), "{}{}", failed.stdout, failed.stderr);
    assert!(failed.stderr.contains("Job jobs-fail/migrate-"), "{}", failed.stderr);
    assert_eq!(
        named(&stage, "apis/batch/v1", "jobs", "migrate-").await,
        Vec::<String>::new(),
        "a first one leaves nothing"
    );
    stage.apply().succeeds();
    let failed = stage.run("apply test --auto-approve --var image=shop/crash:2");
    assert_eq!(failed.code(), Some(3), "{}{}", failed.stdout, failed.stderr);
    // It was not run well, so the same change is asked for again.
    let again = stage.run("apply test --auto-approve --var image=shop/crash:2");
    assert_eq!(again.code(), Some(3), "{}{}", again.stdout, again.stderr);
}

async fn a_claim_stays_when_its_record_goes(cluster: &AnyCluster) {
    let stage = Stage::new(cluster, "claims").await.namespace().await;
    let claim = |keep: &str| {
        format!(
            r#"
resource "kubernetes_manifest" "data" {{
  {keep}
  manifest = {{
    apiVersion = "v1"
    kind       = "PersistentVolumeClaim"
    metadata   = {{ name = "data", namespace = "SPACE" }}
    spec       = {{ accessModes = ["ReadWriteOnce"], resources = {{ requests = {{ storage = "1Gi" }} }} }}
  }}
}}
"#
        )
    };
    stage.main(&claim(""));
    stage.apply().succeeds();
    let plan = stage.run("plan test --destroy").succeeds();
    let says = "kept: its data would go with it; to remove it: kubectl -n claims delete persistentvolumeclaim data";
    assert!(plan.stdout.contains(says), "{}", plan.stdout);
    stage.run("destroy test --auto-approve").succeeds();
    assert_eq!(stage.get("api/v1", "persistentvolumeclaims/data").await["metadata"]["name"], "data");
    // Taken on again, and given up for good.
    let import = "import {\n  to = kubernetes_manifest.data\n  id = \"apiVersion=v1,kind=PersistentVolumeClaim,namespace=SPACE,name=data\"\n}\n";
    stage.main(&format!("{}{import}", claim("keep = false")));
    stage.apply().succeeds();
    stage.run("destroy test --auto-approve").succeeds();
    assert_eq!(stage.get("api/v1", "persistentvolumeclaims/data").await, Json::Null);
}
