//! Kubernetes as a user drives it, through the command line: the stage on which `kubernetes_*.rs` play.
//!
//! A [`Stage`] is a project in a sandbox, a namespace of its own in a cluster, and the controllers beside it. What holds for any
//! cluster is a function over one: [`both`] runs it against one in this process, and against a real one where there is one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value as Json, json};

use crate::cluster::controllers::{Controllers, Fates};
use crate::cluster::{AnyCluster, Control};
use crate::support::{Ran, Sandbox};

/// Runs each function against one cluster of its own in this process, and all of them against one real cluster.
macro_rules! both {
    ($($name:ident),+ $(,)?) => {
        mod in_process {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(&$crate::cluster::AnyCluster::in_process().await).await;
                }
            )+
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn a_real_cluster_does_the_same() {
            let Some(cluster) = $crate::kubernetes::real(module_path!()).await else { return };
            let mut failed: Vec<&str> = Vec::new();
            $(
                let run = std::panic::AssertUnwindSafe($name(&cluster));
                if futures_util::FutureExt::catch_unwind(run).await.is_err() {
                    failed.push(stringify!($name));
                }
            )+
            assert!(failed.is_empty(), "with a real cluster it is otherwise in {failed:?}");
        }
    };
}
pub(crate) use both;

/// A real cluster; none where there are no programs for it, which is said aloud.
pub(crate) async fn real(who: &str) -> Option<AnyCluster> {
    use std::io::Write as _;
    let Some(assets) = crate::cluster::RealCluster::assets() else {
        let line = format!(
            "SKIPPED: {who} against a real Kubernetes API server needs KUBEBUILDER_ASSETS, a folder with kube-apiserver and etcd \
             (setup-envtest fetches one)\n"
        );
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = std::io::stderr().write_all(line.as_bytes());
        return None;
    };
    Some(AnyCluster::real(&assets).await)
}

/// A project, and a namespace of its own in a cluster.
pub(crate) struct Stage<'c> {
    pub(crate) sandbox: Sandbox,
    pub(crate) cluster: &'c AnyCluster,
    /// The namespace; the project makes it, or [`Stage::namespace`].
    pub(crate) space: String,
    _controllers: Option<Controllers>,
}

impl<'c> Stage<'c> {
    /// One with the ordinary fates.
    pub(crate) async fn new(cluster: &'c AnyCluster, space: &str) -> Self {
        Self::with(cluster, space, Fates::default()).await
    }

    /// One with fates of one's own.
    pub(crate) async fn with(cluster: &'c AnyCluster, space: &str, fates: Fates) -> Self {
        let controllers = Controllers::start(cluster.client("admin-token").await, fates);
        Self { _controllers: Some(controllers), ..Self::bare(cluster, space) }
    }

    /// One without controllers, for objects that nobody looks after.
    pub(crate) fn bare(cluster: &'c AnyCluster, space: &str) -> Self {
        let sandbox = Sandbox::new().with("GANTRY_VAR_password", PASSWORD);
        sandbox.write("kubeconfig", &cluster.kubeconfig("test", "admin-token"));
        Self { sandbox, cluster, space: space.to_owned(), _controllers: None }
    }

    /// The same with crash points, or another variant of the sandbox.
    pub(crate) fn sandboxed(mut self, change: impl FnOnce(Sandbox) -> Sandbox) -> Self {
        self.sandbox = change(self.sandbox);
        self
    }

    /// Makes the namespace, as somebody else.
    pub(crate) async fn namespace(self) -> Self {
        self.cluster.namespace(&self.space).await;
        self
    }

    /// Writes a file of the project, `SPACE` replaced by the namespace.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.sandbox.write(path, &text.replace("SPACE", &self.space));
    }

    /// The configuration of the environment `test`, below its provider block.
    pub(crate) fn main(&self, text: &str) {
        self.write("environments/test/main.hcl", &format!("{PROVIDER}{text}"));
    }

    pub(crate) fn run(&self, words: &str) -> Ran {
        self.sandbox.run(words)
    }

    pub(crate) fn apply(&self) -> Ran {
        self.run("apply test --auto-approve")
    }

    /// Requires that there is nothing to do, and that nothing has drifted.
    #[track_caller]
    pub(crate) fn settled(&self) {
        let plan = self.run("plan test --detailed-exitcode").succeeds();
        assert!(plan.stdout.contains("No changes."), "{}", plan.stdout);
        let drift = self.run("drift test").succeeds();
        assert!(drift.stdout.starts_with("No drift in "), "{}", drift.stdout);
    }

    /// The test's hand in the cluster of this process.
    pub(crate) fn control(&self) -> Control {
        self.cluster.control().unwrap()
    }

    /// An object of the namespace by its path below it, as in `apis/apps/v1` and `deployments/web`; null if it is not there.
    pub(crate) async fn get(&self, api: &str, what: &str) -> Json {
        let path = format!("/{api}/namespaces/{}/{what}", self.space);
        let reply = self.cluster.ask("GET", &path, "application/json", &Json::Null).await;
        match reply.code {
            200 => reply.body,
            404 => Json::Null,
            code => panic!("{path}: {code} {}", reply.text),
        }
    }

    pub(crate) async fn deployment(&self) -> Json {
        self.get("apis/apps/v1", "deployments/web").await
    }

    /// Whether the namespace is there.
    pub(crate) async fn stands(&self) -> bool {
        let path = format!("/api/v1/namespaces/{}", self.space);
        self.cluster.ask("GET", &path, "application/json", &Json::Null).await.code == 200
    }

    /// Somebody else's server-side apply, by force.
    pub(crate) async fn put(&self, manager: &str, api: &str, what: &str, mut object: Json) -> Json {
        object["metadata"]["namespace"] = self.space.clone().into();
        let path = format!("/{api}/namespaces/{}/{what}?fieldManager={manager}&force=true", self.space);
        let reply = self.cluster.ask("PATCH", &path, "application/apply-patch+yaml", &object).await;
        assert!(reply.code < 300, "{}", reply.text);
        reply.body
    }

    /// Somebody else's merge patch.
    pub(crate) async fn patch(&self, manager: &str, api: &str, what: &str, patch: &Json) -> Json {
        let path = format!("/{api}/namespaces/{}/{what}?fieldManager={manager}", self.space);
        let reply = self.cluster.ask("PATCH", &path, "application/merge-patch+json", patch).await;
        assert!(reply.code < 300, "{}", reply.text);
        reply.body
    }

    /// Somebody else's delete.
    pub(crate) async fn delete(&self, api: &str, what: &str) {
        let path = format!("/{api}/namespaces/{}/{what}", self.space);
        let reply = self.cluster.ask("DELETE", &path, "application/json", &Json::Null).await;
        assert!(reply.code < 300, "{}", reply.text);
    }
}

/// The way to the cluster.
pub(crate) const PROVIDER: &str = "provider \"kubernetes\" { kubeconfig = \"${path.project}/kubeconfig\" }\n";

/// What the variable `password` is; it must stand nowhere.
pub(crate) const PASSWORD: &str = "swordfish-4711-swordfish";

/// A Deployment `web` that shows its image and CPU.
pub(crate) const WEB: &str = r#"
variable "image" { default = "shop/api:1" }
variable "cpu" { default = "1000m" }

resource "kubernetes_manifest" "web" {
  manifest = {
    apiVersion = "apps/v1"
    kind       = "Deployment"
    metadata   = { name = "web", namespace = "SPACE", labels = { app = "web", tier = "front" } }
    spec = {
      replicas = 2
      selector = { matchLabels = { app = "web" } }
      template = {
        metadata = { labels = { app = "web" } }
        spec = {
          containers = [{
            name      = "api"
            image     = var.image
            resources = { limits = { cpu = var.cpu, memory = "64Mi" } }
            ports     = [{ containerPort = 8080 }]
          }]
        }
      }
    }
  }
}
"#;

/// A ConfigMap `settings` that greets.
pub(crate) const SETTINGS: &str = r#"
variable "greeting" { default = "hello" }

resource "kubernetes_manifest" "settings" {
  manifest = {
    apiVersion = "v1"
    kind       = "ConfigMap"
    metadata   = { name = "settings", namespace = "SPACE" }
    data       = { GREETING = var.greeting, COLOUR = "red" }
  }
}
"#;

/// The rest of a small shop, in the wrong order on purpose: nothing says what comes first.
pub(crate) const REST: &str = r#"
resource "kubernetes_manifest" "service" {
  manifest = {
    apiVersion = "v1"
    kind       = "Service"
    metadata   = { name = "web", namespace = "SPACE" }
    spec       = { selector = { app = "web" }, ports = [{ port = 80, targetPort = 8080 }] }
  }
}

variable "password" { sensitive = true }

resource "kubernetes_manifest" "keys" {
  manifest = {
    apiVersion = "v1"
    kind       = "Secret"
    metadata   = { name = "keys", namespace = "SPACE" }
    stringData = { PASSWORD = var.password }
  }
}

resource "kubernetes_manifest" "namespace" {
  manifest = {
    apiVersion = "v1"
    kind       = "Namespace"
    metadata   = { name = "SPACE" }
  }
}
"#;

/// All of the shop. Its Deployment reads the ConfigMap and the Secret.
pub(crate) fn shop() -> String {
    let from = "ports     = [{ containerPort = 8080 }]\n            \
                envFrom   = [{ configMapRef = { name = \"settings\" } }, { secretRef = { name = \"keys\" } }]";
    let web = WEB.replace("ports     = [{ containerPort = 8080 }]", from);
    assert!(web.contains("envFrom"));
    format!("{web}{SETTINGS}{REST}")
}

/// A ConfigMap as somebody else would write it.
pub(crate) fn config_map(name: &str, key: &str, value: &str) -> Json {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: value}})
}
