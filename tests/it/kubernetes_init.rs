//! `gantry init --from-cluster`: what it writes about a namespace is what a person would have written, and the plan that follows imports
//! all of it and changes nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::{Value as Json, json};

use super::cluster::controllers::{Controllers, Fate, Fates};
use super::cluster::{Cluster, Control, Rule, client};
use super::support::{Ran, Sandbox, eventually, holds};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const KUBECTL: &str = "kubectl-client-side-apply";

struct Stage {
    sandbox: Sandbox,
    control: Control,
    client: Client,
    cluster: Cluster,
    _controllers: Controllers,
}

impl Stage {
    async fn new() -> Self {
        let cluster = Cluster::start().await;
        let fates = Fates { by_image: Arc::new(|_| Some(Fate::Ready(Duration::from_millis(10)))), ..Fates::default() };
        let client = client(&cluster.kubeconfig("test")).await;
        let controllers = Controllers::start(client.clone(), fates);
        let sandbox = Sandbox::new();
        sandbox.write("kubeconfig", &cluster.kubeconfig("test"));
        let control = cluster.control();
        let stage = Self { sandbox, control, client, cluster, _controllers: controllers };
        stage
            .create("kubectl-create", &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}))
            .await;
        stage
    }

    /// Makes an object as Helm and `kubectl create` do: written, not applied.
    async fn create(&self, manager: &str, object: &Json) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned();
        let (version, kind, namespace) = (text("/apiVersion"), text("/kind"), text("/metadata/namespace"));
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> = match namespace.as_str() {
            "" => Api::all_with(self.client.clone(), &resource),
            namespace => Api::namespaced_with(self.client.clone(), namespace, &resource),
        };
        let by = PostParams { field_manager: Some(manager.into()), ..PostParams::default() };
        api.create(&by, &serde_json::from_value(object.clone()).unwrap())
            .await
            .unwrap_or_else(|e| panic!("{kind}: {e}"));
    }

    /// The same as `kubectl apply` does it: with its file in an annotation.
    async fn kubectl(&self, object: &Json) {
        let mut made = object.clone();
        let mut said = object.clone();
        // kubectl always says that there are annotations.
        said["metadata"]["annotations"] = json!({});
        made["metadata"]["annotations"][LAST_APPLIED] = json!(said.to_string());
        self.create(KUBECTL, &made).await;
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        tokio::task::block_in_place(|| self.sandbox.run_all(arguments))
    }

    fn init(&self, more: &[&str]) -> Ran {
        self.run(&[&["init", "--from-cluster", "shop", "--kubeconfig", "kubeconfig"], more].concat())
    }

    /// Waits until the Deployment has its pods, so that all of its makings are there.
    fn rolled_out(&self) {
        let ready = || {
            let web = self.control.object("deployments", "shop", "web").unwrap_or_default();
            web["status"]["readyReplicas"] == 2
        };
        assert!(tokio::task::block_in_place(|| eventually(Duration::from_secs(20), ready)), "it rolls out");
    }

    /// The specifications of what people made.
    fn specifications(&self) -> Vec<Json> {
        let of = |plural: &str| self.control.objects(plural).into_iter().map(|object| object["spec"].clone());
        ["deployments", "services", "cronjobs", "statefulsets", "ingresses"].into_iter().flat_map(of).collect()
    }
}

fn objects() -> Vec<Json> {
    let pod = json!({
        "serviceAccountName": "web",
        "containers": [
            { "name": "web", "image": "shop:1", "ports": [{ "containerPort": 8080 }],
              "env": [{ "name": "MODE", "value": "fast" }, { "name": "IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }],
              "envFrom": [{ "secretRef": { "name": "web" } }],
              "readinessProbe": { "httpGet": { "path": "/health", "port": 8080 } },
              "volumeMounts": [{ "name": "files", "mountPath": "/etc/web" }, { "name": "room", "mountPath": "/tmp" }] },
            { "name": "log", "image": "log:1", "args": ["--level=${LEVEL}"] },
        ],
        "volumes": [{ "name": "files", "configMap": { "name": "web" } }, { "name": "room", "emptyDir": {} }],
    });
    let at = |name: &str| json!({ "name": name, "namespace": "shop", "labels": { "app": "web" } });
    let template = json!({ "metadata": { "labels": { "app": "web" } }, "spec": pod });
    let mut job = template.clone();
    job["spec"]["restartPolicy"] = json!("Never");
    vec![
        json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": at("web") }),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": at("web"),
            "data": { "nginx.conf": "server {\n  listen 8080;\n  set $x \"${y}\";\n}\n", "one-line": "a \"b\" \\ %{c}" } }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": at("web"),
            "data": { "API_KEY": "aHVudGVyMi1vZi10aGUtY2x1c3Rlcg==", "key.bin": "/wD+" } }),
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": at("web"),
            "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "template": template } }),
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": at("web"),
            "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] } }),
        json!({ "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": at("web"),
            "spec": { "rules": [{ "host": "shop.test", "http": { "paths": [{ "path": "/", "pathType": "Prefix",
                "backend": { "service": { "name": "web", "port": { "number": 80 } } } }] } }] } }),
        json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": at("web"),
            "spec": { "maxUnavailable": 1, "selector": { "matchLabels": { "app": "web" } } } }),
        json!({ "apiVersion": "batch/v1", "kind": "CronJob", "metadata": at("nightly.job"),
            "spec": { "schedule": "0 3 * * *", "suspend": true, "jobTemplate": { "spec": { "template": job } } } }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": at("web"),
            "rules": [{ "apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"] }] }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": at("web"),
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "web" },
            "subjects": [{ "kind": "ServiceAccount", "name": "web", "namespace": "shop" }] }),
    ]
}

const SECRETS: [&str; 4] = ["--var", "web_api_key=hunter2-of-the-cluster", "--var", "web_key_bin=/wD+"];

/// What follows on an init: it imports and changes nothing, and from then on nothing is to do.
fn imports_only(stage: &Stage, count: usize) {
    let before = stage.specifications();
    let planned = stage.run(&[&["plan", "shop"][..], &SECRETS].concat()).succeeds();
    holds(&planned.stdout, &[&format!("Plan: {count} to import, 0 to add, 0 to change, 0 to destroy.")]);
    let applied = stage.run(&[&["apply", "shop", "--auto-approve"][..], &SECRETS].concat()).succeeds();
    assert_eq!(stage.specifications(), before, "{}", applied.stdout);
    let again = stage.run(&[&["plan", "shop", "--detailed-exitcode"][..], &SECRETS].concat());
    assert_eq!(again.code(), Some(0), "{}{}", again.stdout, again.stderr);
    let _ = stage.run(&["drift", "shop"]).succeeds();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubectl_applied_is_written_down_and_imported_without_a_change() {
    let stage = Stage::new().await;
    for object in objects() {
        stage.kubectl(&object).await;
    }
    stage.rolled_out();
    let ran = stage.init(&[]).succeeds();
    holds(
        &ran.stdout,
        &["Read 10 objects", "environments/shop/deployments.hcl", "GANTRY_VAR_web_api_key", "Next: gantry plan shop"],
    );
    assert!(!ran.stdout.contains("hunter2") && !ran.stdout.contains("pods.hcl"), "{}", ran.stdout);
    let _ = stage.run(&["fmt", "--check", "environments"]).succeeds();
    let deployment = stage.sandbox.read("environments/shop/deployments.hcl");
    for noise in [
        "terminationMessagePath",
        "dnsPolicy",
        "progressDeadlineSeconds",
        "last-applied",
        "uid",
        "status:",
        "imagePullPolicy",
    ] {
        assert!(!deployment.contains(noise), "{noise} in\n{deployment}");
    }
    let secret = stage.sandbox.read("environments/shop/secrets.hcl");
    holds(&secret, &["API_KEY = var.web_api_key", "\"key.bin\" = var.web_key_bin", "stringData"]);
    for file in ["secrets.hcl", "variables.hcl", "main.hcl"] {
        let text = stage.sandbox.read(&format!("environments/shop/{file}"));
        assert!(!text.contains("hunter2") && !text.contains("aHVudGVy"), "{text}");
    }
    assert_eq!(stage.sandbox.read("environments/shop/cronjobs.hcl").matches("import {").count(), 1);
    imports_only(&stage, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_helm_made_is_written_without_the_servers_defaults_and_imported_without_a_change() {
    let stage = Stage::new().await;
    for mut object in objects() {
        object["metadata"]["annotations"] =
            json!({ "meta.helm.sh/release-name": "web", "meta.helm.sh/release-namespace": "shop" });
        object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
        stage.create("helm", &object).await;
    }
    let release = json!({ "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": { "name": "sh.helm.release.v1.web.v1", "namespace": "shop" }, "data": { "release": "AAAA" } });
    stage.create("helm", &release).await;
    stage.rolled_out();
    let ran = stage.init(&[]).succeeds();
    holds(&ran.stdout, &["Read 10 objects", "1 a record of Helm"]);
    let deployment = stage.sandbox.read("environments/shop/deployments.hcl");
    for noise in [
        "terminationMessagePath",
        "dnsPolicy",
        "progressDeadlineSeconds",
        "meta.helm.sh",
        "schedulerName",
        "defaultMode",
        "rollingUpdate",
    ] {
        assert!(!deployment.contains(noise), "{noise} in\n{deployment}");
    }
    let service = stage.sandbox.read("environments/shop/services.hcl");
    for noise in ["clusterIP", "ipFamilies", "sessionAffinity", "ClusterIP"] {
        assert!(!service.contains(noise), "{noise} in\n{service}");
    }
    imports_only(&stage, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_applied_by_the_servers_side_is_written_as_it_was() {
    let stage = Stage::new().await;
    for object in objects() {
        stage.control.put("argocd-controller", &object);
    }
    stage.rolled_out();
    let _ = stage.init(&[]).succeeds();
    imports_only(&stage, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_is_left_to_an_autoscaler_and_another_environments_objects_to_it() {
    let stage = Stage::new().await;
    let all = objects();
    stage.create("helm", &all[3]).await;
    let scaler = json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "web", "namespace": "shop" },
        "spec": { "maxReplicas": 5, "minReplicas": 2, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" } } });
    stage.create("helm", &scaler).await;
    stage.control.put("gantry-0123abcd", &all[1]);
    let ran = stage.init(&[]).succeeds();
    holds(&ran.stdout, &["Read 2 objects", "ConfigMap shop/web (gantry-0123abcd)"]);
    let text = stage.sandbox.read("environments/shop/deployments.hcl");
    assert!(!text.contains("replicas"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_select_and_nothing_is_overwritten() {
    let stage = Stage::new().await;
    let all = objects();
    stage.kubectl(&all[1]).await;
    let mut other = all[1].clone();
    other["metadata"]["name"] = json!("other");
    other["metadata"]["labels"] = json!({ "app": "other" });
    stage.kubectl(&other).await;
    let ran = stage.run(&[
        "init",
        "picked",
        "--from-cluster",
        "shop",
        "--kubeconfig",
        "kubeconfig",
        "--context",
        "test",
        "--selector",
        "app=other",
    ]);
    holds(&ran.succeeds().stdout, &["Read 1 object ", "Next: gantry plan picked"]);
    let text = stage.sandbox.read("environments/picked/configmaps.hcl");
    assert!(text.contains("config_map_other") && !text.contains("config_map_web"), "{text}");
    let before = stage.sandbox.read("environments/picked/main.hcl");
    let ran = stage.run(&["init", "picked", "--from-cluster", "shop", "--kubeconfig", "kubeconfig"]).exits(5);
    holds(&ran.stderr, &["Environment exists", "environments/picked has files already"]);
    assert_eq!(stage.sandbox.read("environments/picked/main.hcl"), before);
    let ran = stage.run(&["init", "--from-cluster", "nowhere", "--kubeconfig", "kubeconfig"]).exits(1);
    holds(&ran.stderr, &["has no namespace \"nowhere\""]);
    let ran = stage.run(&["init", "--from-cluster", "default", "--kubeconfig", "kubeconfig"]).exits(1);
    holds(&ran.stderr, &["Nothing to write"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_not_be_read_is_told_and_not_passed_over() {
    let stage = Stage::new().await;
    let all = objects();
    stage.kubectl(&all[1]).await;
    let rule = Rule::new(&["list", "get"], "", &["configmaps"]);
    stage.control.user("narrow", "ann", vec![rule]);
    stage.sandbox.write("kubeconfig", &stage.cluster.kubeconfig_of("test", "narrow"));
    let ran = stage.init(&[]).exits(6);
    holds(&ran.stdout, &["Read 1 object ", "Not read:", "Deployment objects"]);
}
