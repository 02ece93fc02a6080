//! What a Kubernetes API server does, held against the one in this process and against a real one.
//!
//! Every function here takes either. The real one runs where `KUBEBUILDER_ASSETS` names a folder with `kube-apiserver`
//! and `etcd` (and `kube-controller-manager`, for what its controllers do); elsewhere that is said aloud and skipped.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::Write as _;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use serde_json::{Value, json};

use crate::cluster::{AnyCluster, RealCluster, Reply, differences};

const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

/// Runs each function against one cluster of its own in this process, and all of them against one real cluster.
macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod in_process {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() {
                    super::$name(&super::AnyCluster::in_process().await).await;
                }
            )+
        }

        /// All of them, whichever fail; their names.
        async fn all(cluster: &AnyCluster) -> Vec<&'static str> {
            let mut failed = Vec::new();
            $(
                if AssertUnwindSafe($name(cluster)).catch_unwind().await.is_err() {
                    failed.push(stringify!($name));
                }
            )+
            failed
        }
    };
}

contract!(
    transcript_is_the_recorded_one,
    discovery_names_every_kind,
    aggregated_discovery_names_every_kind,
    lists_come_in_pages,
    lists_are_selected,
    watch_begins_with_what_is_there,
    watch_goes_on_from_a_version,
    watch_sees_what_enters_and_leaves_its_selector,
    finalizers_hold_a_deletion,
    children_go_with_their_owner,
    children_hold_an_owner_in_the_foreground,
    a_dry_delete_changes_nothing,
    orphans_stay,
    namespace_ends_with_its_content,
    definition_brings_a_kind,
    rights_are_checked,
    quota_is_kept,
    large_objects_are_refused,
);

#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_keeps_the_contract() {
    let Some(assets) = RealCluster::assets() else {
        // Past the test harness, which keeps what a passing test prints to itself.
        let _ = std::io::stderr().write_all(
            b"SKIPPED: the contract tests against a real Kubernetes API server need KUBEBUILDER_ASSETS, a folder with \
              kube-apiserver and etcd (setup-envtest fetches one)\n",
        );
        return;
    };
    let failed = all(&AnyCluster::real(&assets).await).await;
    assert!(failed.is_empty(), "the real server does otherwise in {failed:?}");
}

#[expect(clippy::disallowed_methods, reason = "the switch that rewrites")]
async fn transcript_is_the_recorded_one(cluster: &AnyCluster) {
    let blesses = cluster.control().is_none() && std::env::var_os("GANTRY_BLESS").is_some();
    let found = differences(cluster, blesses).await;
    assert!(blesses || found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

impl AnyCluster {
    async fn read(&self, path: &str) -> Reply {
        self.ask("GET", path, JSON, &Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.ask("POST", path, JSON, &body).await
    }

    /// Creates a ConfigMap and returns it.
    async fn config_map(&self, namespace: &str, metadata: Value) -> Value {
        let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
        let reply = self.post(&format!("/api/v1/namespaces/{namespace}/configmaps"), body).await;
        assert_eq!(reply.code, 201, "{}", reply.text);
        reply.body
    }
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|one| one["metadata"]["name"].as_str().unwrap()).collect()
}

/// Types and names of watch events.
fn seen(events: &[Value]) -> Vec<(&str, &str)> {
    events
        .iter()
        .map(|event| {
            let object = &event["object"];
            (event["type"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap_or_default())
        })
        .collect()
}

/// The kinds a deployment meets.
const KINDS: [(&str, &str, &str); 22] = [
    ("v1", "namespaces", "Namespace"),
    ("v1", "configmaps", "ConfigMap"),
    ("v1", "secrets", "Secret"),
    ("v1", "services", "Service"),
    ("v1", "pods", "Pod"),
    ("v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    ("v1", "serviceaccounts", "ServiceAccount"),
    ("v1", "events", "Event"),
    ("v1", "resourcequotas", "ResourceQuota"),
    ("v1", "endpoints", "Endpoints"),
    ("apps/v1", "deployments", "Deployment"),
    ("apps/v1", "statefulsets", "StatefulSet"),
    ("apps/v1", "daemonsets", "DaemonSet"),
    ("apps/v1", "replicasets", "ReplicaSet"),
    ("batch/v1", "jobs", "Job"),
    ("batch/v1", "cronjobs", "CronJob"),
    ("networking.k8s.io/v1", "ingresses", "Ingress"),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("rbac.authorization.k8s.io/v1", "roles", "Role"),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition"),
    ("apiregistration.k8s.io/v1", "apiservices", "APIService"),
];

async fn discovery_names_every_kind(cluster: &AnyCluster) {
    assert_eq!(cluster.read("/version").await.body["major"], "1");
    assert_eq!(cluster.read("/readyz").await.text, "ok");
    assert_eq!(cluster.read("/api").await.body["versions"], json!(["v1"]));
    let groups = cluster.read("/apis").await.body;
    for (version, plural, kind) in KINDS {
        let path = if version == "v1" { "/api/v1".into() } else { format!("/apis/{version}") };
        let list = cluster.read(&path).await.body;
        assert_eq!((&list["kind"], &list["groupVersion"]), (&json!("APIResourceList"), &json!(version)));
        let resources = list["resources"].as_array().unwrap();
        let found = resources.iter().find(|one| one["name"] == plural).unwrap_or_else(|| panic!("{version} {plural}"));
        assert_eq!(found["kind"], kind);
        assert!(found["verbs"].as_array().unwrap().contains(&json!("patch")));
        if let Some((group, _)) = version.split_once('/') {
            let known = groups["groups"].as_array().unwrap().iter().any(|one| one["name"] == group);
            assert!(known, "{group} is not in /apis");
        }
    }
    let pods = cluster.read("/api/v1").await.body;
    let resources = pods["resources"].as_array().unwrap();
    for sub in ["pods/log", "pods/status", "namespaces/finalize"] {
        assert!(resources.iter().any(|one| one["name"] == sub), "{sub}");
    }
}

async fn aggregated_discovery_names_every_kind(cluster: &AnyCluster) {
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let headers = [("accept", accept)];
    let mut found = Vec::new();
    for path in ["/api", "/apis"] {
        let list = cluster.ask_as("admin-token", "GET", path, &headers, &Value::Null).await.body;
        assert_eq!(list["kind"], "APIGroupDiscoveryList");
        assert_eq!(list["apiVersion"], "apidiscovery.k8s.io/v2");
        for group in list["items"].as_array().unwrap() {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().unwrap() {
                let number = version["version"].as_str().unwrap();
                let both = if name.is_empty() { number.to_owned() } else { format!("{name}/{number}") };
                for one in version["resources"].as_array().into_iter().flatten() {
                    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                    found.push((both.clone(), text(&one["resource"]), text(&one["responseKind"]["kind"])));
                    assert!(one["scope"] == "Namespaced" || one["scope"] == "Cluster");
                }
            }
        }
    }
    for (version, plural, kind) in KINDS {
        assert!(found.contains(&(version.into(), plural.into(), kind.into())), "{version} {plural}");
    }
    // kube reads both forms.
    let client = cluster.client("admin-token").await;
    let discovery = kube::discovery::Discovery::new(client).run_aggregated().await.unwrap();
    assert!(discovery.has_group("apps"));
}

async fn lists_come_in_pages(cluster: &AnyCluster) {
    cluster.namespace("pages").await;
    for name in ["a", "b", "c", "d", "e"] {
        cluster.config_map("pages", json!({"name": name})).await;
    }
    let path = "/api/v1/namespaces/pages/configmaps?limit=2";
    let first = cluster.read(path).await.body;
    assert_eq!(names(&first), ["a", "b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 3);
    cluster.config_map("pages", json!({"name": "bb"})).await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = cluster.read(&format!("{path}&continue={token}")).await.body;
    assert_eq!(names(&second), ["c", "d"], "a page is of the version of the first");
    assert_eq!(second["metadata"]["remainingItemCount"], 1);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let token = second["metadata"]["continue"].as_str().unwrap();
    let third = cluster.read(&format!("{path}&continue={token}")).await.body;
    assert_eq!(names(&third), ["e"]);
    assert!(third["metadata"].get("continue").is_none_or(|token| token == ""));
    if let Some(control) = cluster.control() {
        control.compact();
        cluster.config_map("pages", json!({"name": "z"})).await;
        let expired = cluster.read(&format!("{path}&continue={token}")).await;
        assert_eq!((expired.code, &expired.body["reason"]), (410, &json!("Expired")));
    }
}

async fn lists_are_selected(cluster: &AnyCluster) {
    cluster.namespace("selected").await;
    for (name, tier) in [("a", "web"), ("b", "db"), ("c", "web")] {
        cluster.config_map("selected", json!({"name": name, "labels": {"tier": tier, "name": name}})).await;
    }
    cluster.config_map("selected", json!({"name": "d"})).await;
    for (selector, expected) in [
        ("labelSelector=tier%3Dweb", "a c"),
        ("labelSelector=tier!%3Dweb", "b d"),
        ("labelSelector=tier%20in%20(web,db),name!%3Da", "b c"),
        ("labelSelector=tier%20notin%20(web)", "b d"),
        ("labelSelector=tier", "a b c"),
        ("labelSelector=!tier", "d"),
        ("fieldSelector=metadata.name%3Db", "b"),
        ("fieldSelector=metadata.name!%3Db", "a c d"),
    ] {
        let list = cluster.read(&format!("/api/v1/namespaces/selected/configmaps?{selector}")).await.body;
        assert_eq!(names(&list).join(" "), expected, "{selector}");
    }
}

async fn watch_begins_with_what_is_there(cluster: &AnyCluster) {
    cluster.namespace("begins").await;
    cluster.config_map("begins", json!({"name": "a"})).await;
    cluster.config_map("begins", json!({"name": "b"})).await;
    let path = "/api/v1/namespaces/begins/configmaps";
    let list = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let events = cluster.watch(&format!("{path}?{list}"), 1).await;
    assert_eq!(seen(&events[..3]), [("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", "")]);
    let bookmark = &events[2]["object"];
    assert_eq!(bookmark["kind"], "ConfigMap");
    assert_eq!(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let events = cluster.watch(&format!("{path}?resourceVersion=0"), 1).await;
    assert_eq!(seen(&events), [("ADDED", "a"), ("ADDED", "b")]);
    let refused = cluster.read(&format!("{path}?watch=true&sendInitialEvents=true")).await;
    assert_eq!(refused.code, 422, "{}", refused.text);
    assert_eq!(refused.body["details"]["causes"][0]["field"], "resourceVersionMatch");
}

async fn watch_goes_on_from_a_version(cluster: &AnyCluster) {
    cluster.namespace("goes-on").await;
    let path = "/api/v1/namespaces/goes-on/configmaps";
    let first = cluster.config_map("goes-on", json!({"name": "a"})).await;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    cluster.ask("PATCH", &format!("{path}/a"), MERGE, &json!({"data": {"k": "v"}})).await;
    let from = format!("{path}?resourceVersion={version}");
    let writes = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        cluster.config_map("goes-on", json!({"name": "b"})).await;
        cluster.ask("DELETE", &format!("{path}/a"), JSON, &Value::Null).await
    };
    let (events, _) = tokio::join!(cluster.watch(&from, 2), writes);
    assert_eq!(seen(&events), [("MODIFIED", "a"), ("ADDED", "b"), ("DELETED", "a")]);
    assert_eq!(events[0]["object"]["data"], json!({"k": "v"}));
    let number =
        |event: &Value| event["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(number(&events[2]) > number(&events[1]), "a deletion has a version of its own");
    if let Some(control) = cluster.control() {
        control.compact();
        let events = cluster.watch(&from, 2).await;
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0]["type"], &events[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
    }
}

async fn watch_sees_what_enters_and_leaves_its_selector(cluster: &AnyCluster) {
    cluster.namespace("enters").await;
    let path = "/api/v1/namespaces/enters/configmaps";
    let first = cluster.config_map("enters", json!({"name": "a"})).await;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    for tier in [json!("web"), json!("db")] {
        cluster.ask("PATCH", &format!("{path}/a"), MERGE, &json!({"metadata": {"labels": {"tier": tier}}})).await;
    }
    let events = cluster.watch(&format!("{path}?resourceVersion={version}&labelSelector=tier%3Dweb"), 1).await;
    assert_eq!(seen(&events), [("ADDED", "a"), ("DELETED", "a")]);
}

async fn finalizers_hold_a_deletion(cluster: &AnyCluster) {
    cluster.namespace("held").await;
    cluster.config_map("held", json!({"name": "a", "finalizers": ["shop.example.com/hold"]})).await;
    let path = "/api/v1/namespaces/held/configmaps/a";
    let reply = cluster.ask("DELETE", path, JSON, &Value::Null).await;
    assert_eq!((reply.code, &reply.body["kind"]), (200, &json!("ConfigMap")));
    assert!(reply.body["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(reply.body["metadata"]["deletionGracePeriodSeconds"], 0);
    let again = cluster.ask("DELETE", path, JSON, &Value::Null).await;
    assert_eq!(again.body["metadata"]["resourceVersion"], reply.body["metadata"]["resourceVersion"]);
    let added = json!({"metadata": {"finalizers": ["shop.example.com/hold", "shop.example.com/more"]}});
    let refused = cluster.ask("PATCH", path, MERGE, &added).await;
    assert_eq!(refused.code, 422, "{}", refused.text);
    assert_eq!(refused.body["details"]["causes"][0]["field"], "metadata.finalizers");
    let released = cluster.ask("PATCH", path, MERGE, &json!({"metadata": {"finalizers": null}})).await;
    assert_eq!(released.code, 200);
    assert_eq!(cluster.read(path).await.code, 404);
}

fn owned(name: &str, owner: &Value, blocks: bool) -> Value {
    let metadata = &owner["metadata"];
    let reference = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": metadata["name"], "uid": metadata["uid"],
        "blockOwnerDeletion": blocks,
    });
    json!({"name": name, "ownerReferences": [reference]})
}

async fn children_go_with_their_owner(cluster: &AnyCluster) {
    cluster.namespace("family").await;
    let owner = cluster.config_map("family", json!({"name": "owner"})).await;
    cluster.config_map("family", owned("child", &owner, false)).await;
    let path = "/api/v1/namespaces/family/configmaps";
    let reply = cluster.ask("DELETE", &format!("{path}/owner"), JSON, &Value::Null).await;
    assert_eq!(reply.body["status"], "Success");
    cluster.until(&format!("{path}/child"), "gone", |reply| reply.code == 404).await;
}

async fn children_hold_an_owner_in_the_foreground(cluster: &AnyCluster) {
    cluster.namespace("foreground").await;
    let owner = cluster.config_map("foreground", json!({"name": "owner"})).await;
    let mut child = owned("child", &owner, true);
    child["finalizers"] = json!(["shop.example.com/hold"]);
    cluster.config_map("foreground", child).await;
    let path = "/api/v1/namespaces/foreground/configmaps";
    let body = json!({"propagationPolicy": "Foreground"});
    let reply = cluster.ask("DELETE", &format!("{path}/owner"), JSON, &body).await;
    assert_eq!(reply.body["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let is_marked = |reply: &Reply| reply.body["metadata"]["deletionTimestamp"].is_string();
    cluster.until(&format!("{path}/child"), "deleted too", is_marked).await;
    assert_eq!(cluster.read(&format!("{path}/owner")).await.code, 200);
    cluster.ask("PATCH", &format!("{path}/child"), MERGE, &json!({"metadata": {"finalizers": null}})).await;
    cluster.until(&format!("{path}/owner"), "gone", |reply| reply.code == 404).await;
}

async fn a_dry_delete_changes_nothing(cluster: &AnyCluster) {
    cluster.namespace("dry").await;
    cluster.config_map("dry", json!({"name": "a"})).await;
    let path = "/api/v1/namespaces/dry/configmaps/a";
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "dryRun": ["All"]});
    assert_eq!(cluster.ask("DELETE", path, JSON, &options).await.code, 200);
    assert_eq!(cluster.ask("DELETE", "/api/v1/namespaces/dry", JSON, &options).await.code, 200);
    assert_eq!(cluster.read(path).await.code, 200);
    assert_eq!(cluster.ask("DELETE", &format!("{path}?dryRun=All"), JSON, &Value::Null).await.code, 200);
    assert_eq!(cluster.read(path).await.code, 200);
    // Where there are options in the body, the query does not count.
    let other = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
    assert_eq!(cluster.ask("DELETE", &format!("{path}?dryRun=All"), JSON, &other).await.code, 200);
    assert_eq!(cluster.read(path).await.code, 404);
}

async fn orphans_stay(cluster: &AnyCluster) {
    cluster.namespace("orphans").await;
    let owner = cluster.config_map("orphans", json!({"name": "owner"})).await;
    cluster.config_map("orphans", owned("child", &owner, false)).await;
    let path = "/api/v1/namespaces/orphans/configmaps";
    cluster.ask("DELETE", &format!("{path}/owner?propagationPolicy=Orphan"), JSON, &Value::Null).await;
    cluster.until(&format!("{path}/owner"), "gone", |reply| reply.code == 404).await;
    let child = cluster.read(&format!("{path}/child")).await;
    assert_eq!(child.code, 200);
    assert!(child.body["metadata"].get("ownerReferences").is_none(), "{}", child.text);
}

async fn namespace_ends_with_its_content(cluster: &AnyCluster) {
    cluster.namespace("ends").await;
    cluster.config_map("ends", json!({"name": "plain"})).await;
    cluster.config_map("ends", json!({"name": "held", "finalizers": ["shop.example.com/hold"]})).await;
    let reply = cluster.ask("DELETE", "/api/v1/namespaces/ends", JSON, &Value::Null).await;
    assert_eq!((reply.code, &reply.body["status"]["phase"]), (200, &json!("Terminating")), "{}", reply.text);
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}});
    let refused = cluster.post("/api/v1/namespaces/ends/configmaps", body).await;
    assert_eq!(refused.code, 403);
    let why = "configmaps \"late\" is forbidden: unable to create new content in namespace ends because it is being \
               terminated";
    assert_eq!(refused.body["message"], why);
    let cause = json!({
        "reason": "NamespaceTerminating", "message": "namespace ends is being terminated", "field": "metadata.namespace",
    });
    assert_eq!(refused.body["details"]["causes"], json!([cause]));
    cluster.until("/api/v1/namespaces/ends/configmaps/plain", "gone", |reply| reply.code == 404).await;
    let holds = |reply: &Reply| {
        let conditions = reply.body["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "NamespaceFinalizersRemaining" && one["status"] == "True")
    };
    let held = cluster.until("/api/v1/namespaces/ends", "held", holds).await.body;
    let condition = |ty: &str| {
        let all = held["status"]["conditions"].as_array().unwrap();
        all.iter().find(|one| one["type"] == ty).cloned().unwrap_or_else(|| panic!("no {ty} in {held}"))
    };
    let message =
        "Some content in the namespace has finalizers remaining: shop.example.com/hold in 1 resource instances";
    assert_eq!(condition("NamespaceFinalizersRemaining")["message"], message);
    assert_eq!(condition("NamespaceFinalizersRemaining")["reason"], "SomeFinalizersRemain");
    let message = "Some resources are remaining: configmaps. has 1 resource instances";
    assert_eq!(condition("NamespaceContentRemaining")["message"], message);
    assert_eq!(condition("NamespaceContentRemaining")["reason"], "SomeResourcesRemain");
    assert_eq!(condition("NamespaceDeletionContentFailure")["reason"], "ContentDeleted");
    let released = json!({"metadata": {"finalizers": null}});
    cluster.ask("PATCH", "/api/v1/namespaces/ends/configmaps/held", MERGE, &released).await;
    cluster.until("/api/v1/namespaces/ends", "gone", |reply| reply.code == 404).await;
}

fn widgets() -> Value {
    let part = json!({
        "type": "object", "required": ["name"],
        "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
    });
    let spec = json!({
        "type": "object", "required": ["size"],
        "properties": {
            "size": {"type": "integer", "minimum": 1},
            "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
            "parts": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": part,
            },
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        },
    });
    let status = json!({"type": "object", "properties": {"ready": {"type": "boolean"}}});
    let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": spec, "status": status}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.shop.example.com"},
        "spec": {
            "group": "shop.example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": schema},
            }],
        },
    })
}

async fn definition_brings_a_kind(cluster: &AnyCluster) {
    cluster.namespace("custom").await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let definition = format!("{definitions}/widgets.shop.example.com");
    assert_eq!(cluster.read("/apis/shop.example.com/v1").await.code, 404);
    let reply = cluster.post(definitions, widgets()).await;
    assert_eq!(reply.code, 201, "{}", reply.text);
    let is_established = |reply: &Reply| {
        let conditions = reply.body["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "Established" && one["status"] == "True")
    };
    cluster.until(&definition, "established", is_established).await;
    let path = "/apis/shop.example.com/v1/namespaces/custom/widgets";
    cluster.until(path, "served", |reply| reply.code == 200).await;
    cluster.until("/apis/shop.example.com/v1", "discovered", |reply| reply.code == 200).await;
    let widget = |spec: Value| json!({"apiVersion": "shop.example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec});
    // Two faults in one object would come in either order.
    let reply = cluster.post(path, widget(json!({"size": 1, "color": "green"}))).await;
    let said = "Widget.shop.example.com \"w\" is invalid: spec.color: Unsupported value: \"green\": supported values: \
                \"red\", \"blue\"";
    assert_eq!((reply.code, &reply.body["message"]), (422, &json!(said)));
    let reply = cluster.post(path, widget(json!({"size": 0}))).await;
    let said = "Widget.shop.example.com \"w\" is invalid: spec.size: Invalid value: 0: spec.size in body should be \
                greater than or equal to 1";
    assert_eq!((reply.code, &reply.body["message"]), (422, &json!(said)));
    let reply = cluster.post(path, widget(json!({"size": "x"}))).await;
    let said = "Widget.shop.example.com \"w\" is invalid: spec.size: Invalid value: \"string\": spec.size in body must \
                be of type integer: \"string\"";
    assert_eq!((reply.code, &reply.body["message"]), (422, &json!(said)));
    let reply = cluster.post(&format!("{path}?fieldValidation=Strict"), widget(json!({"size": 1, "bogus": 1}))).await;
    let said = "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \
                \"spec.bogus\"";
    assert_eq!((reply.code, &reply.body["message"]), (400, &json!(said)));
    let reply = cluster.post(path, widget(json!({"size": 1, "bogus": 1}))).await;
    assert_eq!((reply.code, &reply.body["spec"]), (201, &json!({"size": 1, "color": "red"})), "pruned and defaulted");
    let book = |body: &Value| body["metadata"]["managedFields"][0]["fieldsV1"].clone();
    assert_eq!(book(&reply.body), json!({"f:spec": {".": {}, "f:color": {}, "f:size": {}}}));
    let one = format!("{path}/w?fieldManager=m&force=true");
    let spec = json!({"size": 2, "parts": [{"name": "a", "n": 1}], "free": {"x": {"y": 1}}});
    let reply = cluster.ask("PATCH", &one, APPLY, &widget(spec)).await;
    assert_eq!(reply.body["metadata"]["generation"], 2);
    let fields = json!({"f:spec": {
        "f:free": {"f:x": {".": {}, "f:y": {}}}, "f:parts": {"k:{\"name\":\"a\"}": {".": {}, "f:n": {}, "f:name": {}}},
        "f:size": {},
    }});
    assert_eq!(book(&reply.body), fields);
    let other = format!("{path}/w?fieldManager=o");
    let reply =
        cluster.ask("PATCH", &other, APPLY, &widget(json!({"size": 3, "parts": [{"name": "a", "n": 2}]}))).await;
    let said = "Apply failed with 2 conflicts: conflicts with \"m\":\n- .spec.size\n- .spec.parts[name=\"a\"].n";
    assert_eq!((reply.code, &reply.body["message"]), (409, &json!(said)));
    let reply = cluster.ask("PATCH", &other, APPLY, &widget(json!({"bogus": 3}))).await;
    let said = "failed to create typed patch object (/w; shop.example.com/v1, Kind=Widget): .spec.bogus: field not \
                declared in schema";
    assert_eq!((reply.code, &reply.body["message"]), (500, &json!(said)));
    let status = format!("{path}/w/status?fieldManager=ctl");
    let reply = cluster.ask("PATCH", &status, MERGE, &json!({"spec": {"size": 9}, "status": {"ready": true}})).await;
    assert_eq!((&reply.body["spec"]["size"], &reply.body["status"]), (&json!(2), &json!({"ready": true})));
    assert_eq!(reply.body["metadata"]["generation"], 2, "a status is no new generation");
    let strategic = "application/strategic-merge-patch+json";
    assert_eq!(cluster.ask("PATCH", &format!("{path}/w"), strategic, &json!({})).await.code, 415);
    let list = cluster.read(path).await.body;
    assert_eq!((&list["kind"], &list["items"][0]["kind"]), (&json!("WidgetList"), &json!("Widget")));
    let reply = cluster.ask("DELETE", &definition, JSON, &Value::Null).await;
    assert_eq!(reply.code, 200);
    cluster.until(path, "gone", |reply| reply.code == 404).await;
}

async fn rights_are_checked(cluster: &AnyCluster) {
    cluster.namespace("rights").await;
    if let Some(control) = cluster.control() {
        control.user("viewer-token", "viewer", Vec::new());
    }
    let ask = async |token: &str, method: &str, path: &str, body: Value| {
        cluster.ask_as(token, method, path, &[("content-type", JSON)], &body).await
    };
    let reply = ask("wrong", "GET", "/api/v1/namespaces", Value::Null).await;
    assert_eq!((reply.code, &reply.body["message"]), (401, &json!("Unauthorized")));
    let viewer = "viewer-token";
    let reply = ask(viewer, "GET", "/api/v1/namespaces/rights/configmaps", Value::Null).await;
    let said = "configmaps is forbidden: User \"viewer\" cannot list resource \"configmaps\" in API group \"\" in the \
                namespace \"rights\"";
    assert_eq!((reply.code, &reply.body["message"]), (403, &json!(said)));
    assert_eq!(reply.body["details"], json!({"kind": "configmaps"}));
    let reply = ask(viewer, "GET", "/apis/apps/v1/namespaces/rights/deployments/x", Value::Null).await;
    let said = "deployments.apps \"x\" is forbidden: User \"viewer\" cannot get resource \"deployments\" in API group \
                \"apps\" in the namespace \"rights\"";
    assert_eq!((reply.code, &reply.body["message"]), (403, &json!(said)));
    assert_eq!(reply.body["details"], json!({"name": "x", "group": "apps", "kind": "deployments"}));
    let reply = ask(viewer, "GET", "/api/v1/namespaces", Value::Null).await;
    let said = "namespaces is forbidden: User \"viewer\" cannot list resource \"namespaces\" in API group \"\" at the \
                cluster scope";
    assert_eq!((reply.code, &reply.body["message"]), (403, &json!(said)));
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {
        "resourceAttributes": {"verb": "patch", "group": "apps", "resource": "deployments", "namespace": "rights"},
    }});
    for (token, is_allowed) in [(viewer, false), ("admin-token", true)] {
        let reply = ask(token, "POST", reviews, review.clone()).await;
        assert_eq!((reply.code, &reply.body["status"]["allowed"]), (201, &json!(is_allowed)), "{}", reply.text);
    }
    let headers = [("content-type", JSON), ("impersonate-user", "viewer")];
    let path = "/api/v1/namespaces/rights/configmaps";
    let reply = cluster.ask_as("admin-token", "GET", path, &headers, &Value::Null).await;
    assert_eq!(reply.code, 403);
    let headers = [("content-type", JSON), ("impersonate-user", "admin")];
    let reply = cluster.ask_as(viewer, "GET", path, &headers, &Value::Null).await;
    let said = "configmaps is forbidden: User \"viewer\" cannot impersonate-on:user-info:list resource \"configmaps\" \
                in API group \"\" in the namespace \"rights\"";
    assert_eq!((reply.code, &reply.body["message"]), (403, &json!(said)));
}

async fn quota_is_kept(cluster: &AnyCluster) {
    cluster.namespace("quota").await;
    let body = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"secrets": "1", "count/deployments.apps": "0"}}});
    let reply = cluster.post("/api/v1/namespaces/quota/resourcequotas", body).await;
    assert_eq!(reply.code, 201);
    let path = "/api/v1/namespaces/quota/resourcequotas/few";
    cluster.until(path, "counted", |reply| reply.body["status"]["used"]["secrets"] == "0").await;
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
    assert_eq!(cluster.post("/api/v1/namespaces/quota/secrets", secret("a")).await.code, 201);
    let reply = cluster.post("/api/v1/namespaces/quota/secrets", secret("b")).await;
    let said = "secrets \"b\" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=1, limited: \
                secrets=1";
    assert_eq!((reply.code, &reply.body["message"]), (403, &json!(said)));
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}});
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let reply = cluster.post("/apis/apps/v1/namespaces/quota/deployments", body).await;
    let said = "deployments.apps \"d\" is forbidden: exceeded quota: few, requested: count/deployments.apps=1, used: \
                count/deployments.apps=0, limited: count/deployments.apps=0";
    assert_eq!((reply.code, &reply.body["message"]), (403, &json!(said)));
}

async fn large_objects_are_refused(cluster: &AnyCluster) {
    cluster.namespace("large").await;
    let path = "/api/v1/namespaces/large/configmaps";
    let body = |bytes: usize| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "x".repeat(bytes)}});
    let reply = cluster.post(path, body((1 << 20) + 1)).await;
    assert_eq!(reply.code, 422, "{}", reply.text);
    let message = "Too long: may not be more than 1048576 bytes";
    let cause = json!({"reason": "FieldValueTooLong", "message": message, "field": "[]"});
    assert_eq!(reply.body["details"]["causes"], json!([cause]));
    let reply = cluster.post(path, body(4 << 20)).await;
    assert_eq!((reply.code, &reply.body["reason"]), (413, &json!("RequestEntityTooLarge")), "{}", reply.text);
    assert_eq!(reply.body["message"], "Request entity too large: limit is 3145728");
    let spec = json!({"metadata": {"name": "b"}, "spec": {"containers": [{"name": "c", "image": "i:1", "args": ["x".repeat(1_700_000)]}]}});
    let reply = cluster.post("/api/v1/namespaces/large/pods", spec).await;
    assert_eq!(
        (reply.code, &reply.body["message"]),
        (500, &json!("etcdserver: request is too large")),
        "{}",
        reply.text
    );
}
