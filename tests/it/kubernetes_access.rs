//! What stands between us and a cluster: credentials, addresses, kinds and manifests that are wrong, and how that is said.

use crate::cluster::{AnyCluster, Rule};
use crate::kubernetes::{PROVIDER, SETTINGS, Stage};
use crate::support::holds;

/// The provider block with something else in it.
fn provider(stage: &Stage<'_>, lines: &str, rest: &str) {
    stage.write("environments/test/main.hcl", &format!("provider \"kubernetes\" {{\n{lines}\n}}\n{rest}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_only_read_plan_and_say_what_they_lack() {
    let cluster = AnyCluster::in_process().await;
    let stage = Stage::new(&cluster, "reads").await.namespace().await;
    stage.main(SETTINGS);
    let _ = stage.apply().succeeds();
    stage.control().user("reader-token", "reader", vec![Rule::new(&["get", "list", "watch"], "*", &["*"])]);
    stage.sandbox.write("reader", &cluster.kubeconfig("test", "reader-token"));
    stage.write("environments/test/main.hcl", &format!("{}{SETTINGS}", PROVIDER.replace("/kubeconfig\"", "/reader\"")));
    let _ = stage.run("plan test --detailed-exitcode").succeeds();
    let _ = stage.run("drift test").succeeds();
    let plan = stage.run("plan test --detailed-exitcode --var greeting=bye").exits(2);
    holds(
        &plan.stdout,
        &[
            "# (not previewed: The credentials may not create, patch, delete configmaps in the namespace reads.)",
            "~ GREETING = \"hello\" -> \"bye\"",
        ],
    );
    let strict = stage.run("plan test --require-preview --var greeting=bye").exits(6);
    holds(&strict.stderr, &["kubernetes_manifest.settings: The credentials may not create, patch, delete configmaps"]);
    let ran = stage.run("apply test --auto-approve --var greeting=bye").exits(3);
    holds(
        &ran.stderr,
        &[
            "ConfigMap reads/settings: configmaps \"settings\" is forbidden: User \"reader\" cannot patch resource \"configmaps\"",
        ],
    );
    assert_eq!(stage.get("api/v1", "configmaps/settings").await["data"]["GREETING"], "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_said_and_nothing_is_taken_for_gone() {
    let cluster = AnyCluster::in_process().await;
    let stage = Stage::new(&cluster, "expired").await.namespace().await;
    stage.main(SETTINGS);
    let _ = stage.apply().succeeds();
    stage.control().user("short-token", "short", vec![Rule::all()]);
    stage.sandbox.write("kubeconfig", &cluster.kubeconfig("test", "short-token"));
    let _ = stage.run("plan test").succeeds();
    stage.control().expire_token("short-token");
    let why = "The cluster does not accept the credentials (HTTP 401: Unauthorized). They are wrong or have expired: log in again.";
    let plan = stage.run("plan test").exits(6);
    holds(&plan.stdout, &["This plan is incomplete. Could not be read:", why]);
    let ran = stage.apply().exits(6);
    holds(&ran.stderr, &["Error: Incomplete plan\n", why]);
    let drift = stage.run("drift test").exits(6);
    holds(&drift.stdout, &["Objects of \"test\" could not be looked at:\n", why]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_not_there_is_said_with_the_reason() {
    let cluster = AnyCluster::in_process().await;
    let stage = Stage::new(&cluster, "nowhere").await.namespace().await;
    stage.main(SETTINGS);
    let _ = stage.apply().succeeds();
    let no_config = "kubeconfig = \"${path.project}/nothing\"";
    let cases = [
        (
            "kubeconfig = \"${path.project}/kubeconfig\"\n  context = \"production\"",
            "The kubeconfig has no context \"production\". There is: test.",
        ),
        (no_config, "/nothing cannot be read: failed to read"),
        ("", "Set KUBECONFIG, write"),
    ];
    for (lines, why) in cases {
        provider(&stage, lines, SETTINGS);
        for command in ["plan test", "apply test --auto-approve", "drift test"] {
            let said = stage.run(command).exits(1).stderr;
            holds(&said, &["Error: Provider cannot be used\n", "| provider \"kubernetes\" {", why]);
        }
    }
    provider(&stage, "host = \"http://127.0.0.1:9\"", SETTINGS);
    let why = "The server cannot be reached: ";
    holds(&stage.run("plan test").exits(6).stdout, &["This plan is incomplete. Could not be read:", why]);
    holds(&stage.apply().exits(6).stderr, &["Error: Incomplete plan\n", why]);
    holds(&stage.run("drift test").exits(6).stdout, &["could not be looked at", why]);
    // The home directory's and the environment's are taken where nothing is said.
    let at = stage.sandbox.project().join("kubeconfig").display().to_string();
    let _ = stage.sandbox.run_in(&[("KUBECONFIG", &at)], &["plan", "test", "--detailed-exitcode"]).exits(6);
    stage.write("environments/test/main.hcl", SETTINGS);
    let _ = stage.sandbox.run_in(&[("KUBECONFIG", &at)], &["plan", "test", "--detailed-exitcode"]).succeeds();
    stage.sandbox.write("../home/.kube/config", &cluster.kubeconfig("test", "admin-token"));
    stage.settled();
}

const WRONG: &str = r#"
resource "kubernetes_manifest" "widget" {
  manifest = {
    apiVersion = "example.com/v1"
    kind       = "Widget"
    metadata   = { name = "w", namespace = "SPACE" }
  }
}

resource "kubernetes_manifest" "lost" {
  manifest = {
    apiVersion = "v1"
    kind       = "ConfigMap"
    metadata = {
      name      = "c"
      namespace = "missing"
    }
  }
}

resource "kubernetes_manifest" "web" {
  manifest = {
    apiVersion = "apps/v1"
    kind       = "Deployment"
    metadata   = { name = "web", namespace = "SPACE" }
    spec = {
      replicas = -1
      EXTRA
      selector = { matchLabels = { app = "web" } }
      template = {
        metadata = { labels = { app = "web" } }
        spec = { containers = [{
          image = "x"
          name  = "Api"
        }] }
      }
    }
  }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_would_refuse_is_said_with_its_line() {
    let cluster = AnyCluster::in_process().await;
    let stage = Stage::new(&cluster, "wrong").await.namespace().await;
    stage.main(&WRONG.replace("      EXTRA\n", ""));
    let refused = stage.run("plan test").exits(1);
    holds(
        &refused.stderr,
        &[
            "|     kind       = \"Widget\"\n",
            "on kubernetes_manifest.widget\n",
            "serves no kind \"Widget\" in \"example.com/v1\". Check apiVersion and kind (kubectl api-resources lists them), or make \
             its definition first.",
            "|       namespace = \"missing\"\n",
            "The namespace \"missing\" is not there. Make it with a kubernetes_manifest of its own, or name another.",
            "|       replicas = -1\n",
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0.",
            "|           name  = \"Api\"\n",
            "spec.template.spec.containers[0].name: Invalid value: \"Api\": a lowercase RFC 1123 label must consist",
        ],
    );
    assert_eq!(refused.stderr.matches("Error: Target refuses the change").count(), 4, "{}", refused.stderr);
    stage.main(&WRONG.replace("EXTRA", "replics = 2"));
    let refused = stage.run("plan test").exits(1);
    holds(&refused.stderr, &["|       replics = 2\n", "spec.replics: The cluster's schema has no such field."]);
    // Nobody is asked by validate, which knows what no cluster would take.
    holds(&stage.run("validate test").succeeds().stdout, &["Success!"]);
    for (manifest, why) in [
        ("{ kind = \"ConfigMap\", metadata = { name = \"x\" } }", "The manifest has no \"apiVersion\""),
        ("{ apiVersion = \"v1\", kind = \"ConfigMap\", metadata = {} }", "The manifest has no \"metadata.name\"."),
        (
            "{ apiVersion = \"v1\", kind = \"ConfigMap\", metadata = { name = \"x\", uid = \"1\" } }",
            "\"metadata.uid\" is the server's to write.",
        ),
        (
            "{ apiVersion = \"v1\", kind = \"ConfigMap\", metadata = { name = \"x\" }, status = {} }",
            "\"status\" is the cluster's to write.",
        ),
        ("{ apiVersion = \"v1\", kind = \"List\", items = [] }", "A List is several objects."),
    ] {
        stage.main(&format!("resource \"kubernetes_manifest\" \"x\" {{\n  manifest = {manifest}\n}}\n"));
        holds(&stage.run("validate test").exits(1).stderr, &[why, "environments/test/main.hcl:3"]);
    }
    // What is too late to be seen by a plan is told by the act.
    assert_eq!(stage.control().objects("deployments").len(), 0);
}
