//! The stand-in controllers against an API server: what a deployment tool sees of a rollout.

use std::time::Duration;

use kube::Client;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::runtime::wait::await_condition;
use serde_json::{Value as Json, json};

use super::controllers::{Controllers, Fates};

/// Long enough for a machine that does much else.
const LIMIT: Duration = Duration::from_secs(20);

fn api(client: &Client, namespace: &str, version: &str, kind: &str) -> Api<DynamicObject> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    if namespace.is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), namespace, &resource)
    }
}

/// A world with its own namespace.
pub(crate) struct Scene {
    pub(crate) client: Client,
    namespace: String,
    _controllers: Controllers,
    _cluster: super::Cluster,
}

impl Scene {
    pub(crate) async fn new(name: &str, fates: Fates) -> Self {
        let cluster = super::Cluster::start().await;
        let client = super::any::client(&cluster.kubeconfig("test")).await;
        let namespace = format!("{name}-{}", jiff::Timestamp::now().as_millisecond());
        let controllers = Controllers::start(client.clone(), fates);
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        let spaces = api(&client, "", "v1", "Namespace");
        spaces.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
        Self { client, namespace, _controllers: controllers, _cluster: cluster }
    }

    fn api(&self, version: &str, kind: &str) -> Api<DynamicObject> {
        api(&self.client, &self.namespace, version, kind)
    }

    pub(crate) async fn apply(&self, version: &str, kind: &str, name: &str, spec: Json) {
        let object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec});
        let by = PatchParams::apply("test").force();
        self.api(version, kind).patch(name, &by, &Patch::Apply(&object)).await.unwrap();
    }

    /// Waits until an object is so, and answers it.
    pub(crate) async fn until(&self, version: &str, kind: &str, name: &str, is_so: impl Fn(&Json) -> bool) -> Json {
        let last = std::sync::Mutex::new(Json::Null);
        let seen = |object: Option<&DynamicObject>| {
            let json = object.map(|object| serde_json::to_value(object).unwrap()).unwrap_or_default();
            let so = is_so(&json);
            *last.lock().unwrap() = json;
            so
        };
        let wait = await_condition(self.api(version, kind), name, seen);
        if !matches!(tokio::time::timeout(LIMIT, wait).await, Ok(Ok(_))) {
            panic!("{kind} {name} stays as {:#}", last.lock().unwrap()["status"]);
        }
        last.into_inner().unwrap()
    }

    /// Waits until one of the pods is so.
    pub(crate) async fn pod(&self, is_so: impl Fn(&Json) -> bool) -> Json {
        let pods = self.api("v1", "Pod");
        let mut last = Vec::new();
        for _ in 0..LIMIT.as_millis() / 20 {
            last = pods.list(&ListParams::default()).await.unwrap().items;
            let found = last.iter().map(|pod| serde_json::to_value(pod).unwrap()).find(&is_so);
            if let Some(found) = found {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no pod of {last:#?}")
    }

    pub(crate) async fn events(&self, reason: &str) -> Vec<String> {
        let events = self.api("v1", "Event").list(&ListParams::default()).await.unwrap();
        let events = events.iter().filter(|event| event.data["reason"] == reason);
        events.map(|event| event.data["message"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

pub(crate) fn template(image: &str, more: &Json) -> Json {
    let mut container = json!({"name": "api", "image": image});
    for (key, value) in more.as_object().into_iter().flatten() {
        container[key] = value.clone();
    }
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}})
}

pub(crate) fn workload(replicas: u32, image: &str) -> Json {
    json!({"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template(image, &json!({}))})
}

pub(crate) fn complete(replicas: u32) -> impl Fn(&Json) -> bool {
    move |object| {
        let status = &object["status"];
        status["observedGeneration"] == object["metadata"]["generation"]
            && ["replicas", "updatedReplicas", "availableReplicas"].iter().all(|one| status[*one] == replicas)
    }
}

pub(crate) fn condition<'a>(object: &'a Json, ty: &str) -> &'a Json {
    let all = object["status"]["conditions"].as_array();
    all.and_then(|all| all.iter().find(|one| one["type"] == ty)).unwrap_or(&Json::Null)
}

pub(crate) fn waits(reason: &'static str) -> impl Fn(&Json) -> bool {
    move |pod| pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == reason
}

#[tokio::test]
async fn a_deployment_rolls_out_and_back() {
    let scene = Scene::new("roll", Fates::default()).await;
    scene.apply("apps/v1", "Deployment", "web", workload(3, "shop/api:1")).await;
    let first = scene.until("apps/v1", "Deployment", "web", complete(3)).await;
    assert_eq!(first["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(condition(&first, "Available")["reason"], "MinimumReplicasAvailable");
    scene.apply("apps/v1", "Deployment", "web", workload(3, "shop/api:2")).await;
    let second =
        scene.until("apps/v1", "Deployment", "web", |o| complete(3)(o) && o["metadata"]["generation"] == 2).await;
    assert_eq!(second["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    let sets = scene.api("apps/v1", "ReplicaSet").list(&ListParams::default()).await.unwrap();
    assert_eq!(sets.items.len(), 2);
    let done = |o: &Json| condition(o, "Progressing")["reason"] == "NewReplicaSetAvailable";
    scene.until("apps/v1", "Deployment", "web", done).await;
    scene.apply("apps/v1", "Deployment", "web", workload(3, "shop/api:1")).await;
    let back =
        scene.until("apps/v1", "Deployment", "web", |o| complete(3)(o) && o["metadata"]["generation"] == 3).await;
    assert_eq!(back["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
    assert_eq!(scene.api("apps/v1", "ReplicaSet").list(&ListParams::default()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn a_bad_version_leaves_the_old_one_serving() {
    let scene = Scene::new("bad", Fates { back_off: Duration::from_millis(300), ..Fates::default() }).await;
    scene.apply("apps/v1", "Deployment", "web", workload(2, "shop/api:1")).await;
    scene.until("apps/v1", "Deployment", "web", complete(2)).await;
    scene.apply("apps/v1", "Deployment", "web", workload(2, "shop/crash:2")).await;
    let pod = scene.pod(|pod| waits("CrashLoopBackOff")(pod)).await;
    let status = &pod["status"]["containerStatuses"][0];
    assert_eq!((&status["lastState"]["terminated"]["exitCode"], &status["restartCount"]), (&json!(1), &json!(1)));
    scene.pod(|pod| pod["status"]["containerStatuses"][0]["restartCount"] == 3).await;
    let now = scene.until("apps/v1", "Deployment", "web", |o| o["status"]["updatedReplicas"] == 1).await;
    assert_eq!(now["status"]["availableReplicas"], 2);
    scene.apply("apps/v1", "Deployment", "web", workload(2, "shop/oom:2")).await;
    scene.pod(|pod| pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"] == "OOMKilled").await;
    scene.apply("apps/v1", "Deployment", "web", workload(2, "shop/notfound:2")).await;
    let pod = scene.pod(|pod| waits("ImagePullBackOff")(pod)).await;
    let message = pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("Back-off pulling image \"shop/notfound:2\"") && message.ends_with("not found"),
        "{message}"
    );
    scene.apply("apps/v1", "Deployment", "web", workload(2, "shop/unschedulable:2")).await;
    scene.pod(|pod| condition(pod, "PodScheduled")["reason"] == "Unschedulable").await;
    scene.apply("apps/v1", "Deployment", "web", workload(2, "shop/unhealthy:2")).await;
    scene
        .pod(|pod| pod["status"]["phase"] == "Running" && condition(pod, "Ready")["reason"] == "ContainersNotReady")
        .await;
    while scene.events("Unhealthy").await.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scene.apply("apps/v1", "Deployment", "web", workload(2, "shop/api:3")).await;
    scene.until("apps/v1", "Deployment", "web", |o| complete(2)(o) && o["metadata"]["generation"] == 7).await;
}

#[tokio::test]
async fn a_secret_that_comes_late() {
    let scene = Scene::new("late", Fates::default()).await;
    let env = json!({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}]});
    let mut spec = workload(1, "shop/api:1");
    spec["template"] = template("shop/api:1", &env);
    scene.apply("apps/v1", "Deployment", "web", spec).await;
    let pod = scene.pod(waits("CreateContainerConfigError")).await;
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"], "secret \"db\" not found");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"url": "x"}});
    scene.api("v1", "Secret").create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    scene.until("apps/v1", "Deployment", "web", complete(1)).await;
}

#[tokio::test]
async fn stateful_sets_update_in_order_and_daemon_sets_on_one_node() {
    let scene = Scene::new("set", Fates::default()).await;
    let spec = |image: &str| {
        let mut spec = workload(2, image);
        spec["serviceName"] = "web".into();
        spec["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
        spec
    };
    let done = |o: &Json| {
        let status = &o["status"];
        status["observedGeneration"] == o["metadata"]["generation"]
            && status["readyReplicas"] == 2
            && status["updatedReplicas"] == 2
            && status["currentRevision"] == status["updateRevision"]
    };
    scene.apply("apps/v1", "StatefulSet", "db", spec("shop/db:1")).await;
    let first = scene.until("apps/v1", "StatefulSet", "db", done).await;
    scene.until("v1", "PersistentVolumeClaim", "data-db-1", |claim| claim["status"]["phase"] == "Bound").await;
    scene.apply("apps/v1", "StatefulSet", "db", spec("shop/db:2")).await;
    let second = scene.until("apps/v1", "StatefulSet", "db", |o| done(o) && o["metadata"]["generation"] == 2).await;
    assert_ne!(first["status"]["updateRevision"], second["status"]["updateRevision"]);
    let daemon =
        |image: &str| json!({"selector": {"matchLabels": {"app": "web"}}, "template": template(image, &json!({}))});
    let ready = |o: &Json| {
        o["status"]["numberAvailable"] == 1
            && o["status"]["updatedNumberScheduled"] == 1
            && o["status"]["observedGeneration"] == o["metadata"]["generation"]
    };
    scene.apply("apps/v1", "DaemonSet", "agent", daemon("shop/agent:1")).await;
    scene.until("apps/v1", "DaemonSet", "agent", ready).await;
    scene.apply("apps/v1", "DaemonSet", "agent", daemon("shop/agent:2")).await;
    scene.until("apps/v1", "DaemonSet", "agent", |o| ready(o) && o["metadata"]["generation"] == 2).await;
}

#[tokio::test]
async fn jobs_end_with_both_conditions() {
    let scene = Scene::new("job", Fates { back_off: Duration::from_millis(50), ..Fates::default() }).await;
    let job = |image: &str| {
        let mut template = template(image, &json!({}));
        template["spec"]["restartPolicy"] = "Never".into();
        json!({"backoffLimit": 1, "template": template})
    };
    scene.apply("batch/v1", "Job", "good", job("shop/migrate:1")).await;
    let good = scene.until("batch/v1", "Job", "good", |o| condition(o, "Complete")["status"] == "True").await;
    assert_eq!(
        (&condition(&good, "SuccessCriteriaMet")["status"], &good["status"]["succeeded"]),
        (&json!("True"), &json!(1))
    );
    scene.apply("batch/v1", "Job", "bad", job("shop/crash:1")).await;
    let bad = scene.until("batch/v1", "Job", "bad", |o| condition(o, "Failed")["status"] == "True").await;
    assert_eq!(
        (&condition(&bad, "FailureTarget")["reason"], &bad["status"]["failed"]),
        (&json!("BackoffLimitExceeded"), &json!(2))
    );
}

#[tokio::test]
async fn the_rest_is_observed_and_collected() {
    let scene = Scene::new("rest", Fates::default()).await;
    scene.apply("v1", "Service", "web", json!({"type": "LoadBalancer", "ports": [{"port": 80}]})).await;
    scene.until("v1", "Service", "web", |o| o["status"]["loadBalancer"]["ingress"][0]["ip"] == "192.0.2.80").await;
    scene.apply("apps/v1", "Deployment", "web", workload(2, "shop/api:1")).await;
    scene
        .apply(
            "policy/v1",
            "PodDisruptionBudget",
            "web",
            json!({"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}),
        )
        .await;
    scene.until("policy/v1", "PodDisruptionBudget", "web", |o| o["status"]["disruptionsAllowed"] == 1).await;
    let hpa =
        json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 3});
    scene.apply("autoscaling/v2", "HorizontalPodAutoscaler", "web", hpa).await;
    scene
        .until("autoscaling/v2", "HorizontalPodAutoscaler", "web", |o| condition(o, "AbleToScale")["status"] == "True")
        .await;
    scene.until("apps/v1", "Deployment", "web", complete(2)).await;
    scene.api("apps/v1", "Deployment").delete("web", &DeleteParams::background()).await.unwrap();
    while !scene.api("v1", "Pod").list(&ListParams::default()).await.unwrap().items.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    scene.apply("apps/v1", "Deployment", "web", workload(2, "shop/api:1")).await;
    scene.until("apps/v1", "Deployment", "web", complete(2)).await;
    scene.api("apps/v1", "Deployment").delete("web", &DeleteParams::foreground()).await.unwrap();
    scene.until("apps/v1", "Deployment", "web", Json::is_null).await;
    assert!(scene.api("apps/v1", "ReplicaSet").list(&ListParams::default()).await.unwrap().items.is_empty());
    let spaces = api(&scene.client, "", "v1", "Namespace");
    spaces.delete(&scene.namespace, &DeleteParams::default()).await.unwrap();
    let gone = kube::runtime::wait::await_condition(spaces, &scene.namespace, |o: Option<&DynamicObject>| o.is_none());
    tokio::time::timeout(LIMIT, gone).await.unwrap().unwrap();
}
