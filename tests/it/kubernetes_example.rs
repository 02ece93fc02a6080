//! `examples/kubernetes` as its README walks through it: every command of `gantry` on the page, against an API server with stand-in
//! controllers. What other programs do on the page, the test does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::cluster::controllers::{Controllers, Fates};
use super::cluster::{Cluster, Control, client};
use super::oci::registry::{Fake, Reply, sha256};
use super::support::{Ran, Sandbox};

const IMAGE: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"#;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The cluster, the shop in it, and a copy of the project with the module.
struct Stage {
    sandbox: Sandbox,
    control: Control,
    _cluster: Cluster,
    _controllers: Controllers,
    _shop: Fake,
}

impl Stage {
    async fn new() -> Self {
        let cluster = Cluster::start().await;
        let fates = Fates {
            by_image: std::sync::Arc::new(|_| {
                Some(super::cluster::controllers::Fate::Ready(Duration::from_millis(20)))
            }),
            ..Fates::default()
        };
        let controllers = Controllers::start(client(&cluster.kubeconfig("test")).await, fates);
        // Registry and shop in one: what is asked for an image is told its digest, what is asked for a page gets one.
        let shop = Fake::start(|seen| match seen.target.contains("/manifests/") {
            true => Reply::new(200, IMAGE)
                .with("content-type", "application/vnd.oci.image.manifest.v1+json")
                .with("docker-content-digest", &sha256(IMAGE)),
            false => Reply::new(200, b"Welcome to nginx!"),
        })
        .await;
        let sandbox = Sandbox::new()
            .with("GANTRY_VAR_image", format!("{}/shop:1.0", shop.host))
            .with("GANTRY_VAR_url", format!("http://{}", shop.host));
        let kubeconfig = sandbox.project().join("../kubeconfig");
        std::fs::write(&kubeconfig, cluster.kubeconfig("test")).unwrap();
        let sandbox = sandbox.with("KUBECONFIG", kubeconfig);
        for folder in ["examples/kubernetes", "modules/kubernetes-service"] {
            copy(&sandbox, &root().join(folder), folder);
        }
        let control = cluster.control();
        Self { sandbox, control, _cluster: cluster, _controllers: controllers, _shop: shop }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let directory = self.sandbox.project().join("examples/kubernetes").display().to_string();
        let all = [&["-C", &directory], arguments].concat();
        tokio::task::block_in_place(|| self.sandbox.run_all(&all))
    }

    fn deployment(&self, namespace: &str) -> Json {
        self.control.object("deployments", namespace, "shop").expect("the Deployment is there")
    }

    /// What the ConfigMap that the pods take says.
    fn greeting(&self, namespace: &str) -> Json {
        let deployment = self.deployment(namespace);
        let name = &deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"];
        self.control.object("configmaps", namespace, name.as_str().unwrap()).expect("it is there")["data"]["GREETING"]
            .clone()
    }
}

fn copy(sandbox: &Sandbox, from: &Path, to: &str) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // What somebody tried in the example himself stays with him.
        match entry.path().is_dir() {
            true if name == "state" => {}
            true => copy(sandbox, &entry.path(), &format!("{to}/{name}")),
            false => {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                sandbox.write(&format!("{to}/{name}"), &text.replace("\"30s\"\n    require", "\"1s\"\n    require"));
            }
        }
    }
}

/// The commands of the README, each with the exit code that it says.
fn commands() -> Vec<(String, i32)> {
    let page = std::fs::read_to_string(root().join("examples/kubernetes/README.md")).unwrap();
    let one = |line: &str| {
        let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
        let code = comment.strip_prefix("exit code ").map_or(0, |code| code.parse().unwrap());
        (command.trim().to_owned(), code)
    };
    page.lines().filter_map(|line| line.strip_prefix("$ ")).map(one).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_of_the_example_is_walked_through() {
    let stage = Stage::new().await;
    let (staging, production) = ("shop-staging", "shop-production");
    for (command, code) in commands() {
        let words: Vec<&str> = command.split_whitespace().collect();
        match &words[..] {
            ["gantry", arguments @ ..] => {
                let ran = stage.run(arguments).exits(code);
                check(&stage, arguments, &ran);
            }
            ["kind", ..] => {}
            ["sleep", _] => tokio::time::sleep(Duration::from_millis(1200)).await,
            ["kubectl", "-n", namespace, "scale", "deployment", "shop", "--replicas", number] => {
                let number: u64 = number.parse().unwrap();
                stage.control.patch(
                    "kubectl",
                    "deployments",
                    namespace,
                    "shop",
                    &json!({ "spec": { "replicas": number } }),
                );
            }
            _ => panic!("nobody knows what to do with: {command}"),
        }
    }
    for namespace in [staging, production] {
        assert_eq!(stage.control.object("namespaces", "", namespace), None);
    }
}

/// What has to hold after a command, beside its exit code.
fn check(stage: &Stage, arguments: &[&str], ran: &Ran) {
    match arguments {
        ["plan", "staging", "--detailed-exitcode"] => assert!(ran.stdout.contains("No changes."), "{}", ran.stdout),
        ["drift", "staging"] if ran.code() == Some(2) => {
            assert!(ran.stdout.contains("replicas") && ran.stdout.contains("kubectl"), "{}", ran.stdout);
        }
        ["apply", "staging", .., "greeting=Servus"] => {
            assert_eq!(stage.greeting("shop-staging"), "Servus");
            // The old one was needed by old pods until the rollout was over, and is gone now.
            let left = stage.control.objects("configmaps");
            let ours =
                left.iter().filter(|one| one["metadata"]["name"].as_str().is_some_and(|n| n.starts_with("shop-")));
            assert_eq!(ours.count(), 1);
        }
        ["rollback", ..] => assert_eq!(stage.greeting("shop-staging"), "Hello from staging"),
        ["promote", ..] => {
            let deployment = stage.deployment("shop-production");
            let image = deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
            assert!(image.ends_with(&sha256(IMAGE)), "{image}");
            assert!(stage.control.object("horizontalpodautoscalers", "shop-production", "shop").is_some());
            assert!(stage.control.object("poddisruptionbudgets", "shop-production", "shop").is_some());
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_reach_the_pods_and_nothing_else() {
    let stage = Stage::new().await;
    let secret = "correct-horse-battery-staple";
    let given = format!("api_key={secret}");
    let ran = stage.run(&["apply", "staging", "--auto-approve", "--var", &given]).succeeds();
    assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{}", ran.stdout);
    let secrets = stage.control.objects("secrets");
    let ours = secrets.iter().find(|one| one["metadata"]["namespace"] == "shop-staging").expect("there is a Secret");
    let name = ours["metadata"]["name"].as_str().unwrap();
    let deployment = stage.deployment("shop-staging");
    assert_eq!(deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"][1]["secretRef"]["name"], name);
    let again = stage.run(&["plan", "staging", "--detailed-exitcode", "--var", &given]).succeeds();
    assert!(again.stdout.contains("No changes."), "{}", again.stdout);
    let other = stage.run(&["plan", "staging", "--var", "api_key=another"]).succeeds();
    assert!(other.stdout.contains("kubernetes_manifest.secrets[0] must be replaced"), "{}", other.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_module_does_not_take_is_told_with_a_reason() {
    let stage = Stage::new().await;
    let main = stage.sandbox.read("examples/kubernetes/environments/staging/main.hcl");
    for (line, said) in [
        ("name = \"Shop\"", "The name has to be one of a Service"),
        ("port = 80", "lower ones need a privileged account"),
        ("image = \"shop:latest\"", "another one tomorrow"),
        ("run_as_user = 0", "Account 0 is root"),
        ("autoscaling = { min = 3, max = 2 }", "max not below it"),
    ] {
        let (name, _) = line.split_once(" =").unwrap();
        let (before, module) = main.split_once("module \"shop\" {").unwrap();
        let kept: Vec<&str> = module.lines().filter(|l| !l.trim_start().starts_with(&format!("{name} "))).collect();
        let text = format!("{before}module \"shop\" {{\n  {line}{}\n", kept.join("\n"));
        stage.sandbox.write("examples/kubernetes/environments/staging/main.hcl", &text);
        let ran = stage.run(&["plan", "staging"]).exits(1);
        super::support::holds(&(ran.stdout + &ran.stderr), &[said]);
    }
}
