//! What the API server fills in: the defaults of a kind, and what it sets itself at a creation.

use serde_json::{Value, json};

use super::schema::Kind;

/// Sets a member where there is none.
fn fill(object: &mut Value, name: &str, value: Value) {
    if object.get(name).is_none_or(Value::is_null) {
        object[name] = value;
    }
}

fn fill_all(object: &mut Value, values: Value) {
    let Value::Object(values) = values else { return };
    for (name, value) in values {
        fill(object, &name, value);
    }
}

fn items<'a>(object: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The defaults of a kind's version, which whoever writes the object owns.
pub(crate) fn fill_in(kind: &Kind, object: &mut Value) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => {
            let name = object["metadata"]["name"].clone();
            if !name.is_null() {
                fill(&mut object["metadata"], "labels", json!({}));
                object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
            }
        }
        ("", "Pod") => pod(object),
        ("", "Service") => service(&mut object["spec"]),
        ("", "Secret") => {
            fill(object, "type", json!("Opaque"));
            string_data(object);
        }
        ("", "PersistentVolumeClaim") => {
            fill(&mut object["spec"], "volumeMode", json!("Filesystem"));
            fill(&mut object["status"], "phase", json!("Pending"));
        }
        ("", "LimitRange") => items(&mut object["spec"], "limits").for_each(limit_range),
        ("apps", _) => {
            apps(kind, &mut object["spec"]);
            if kind.kind == "DaemonSet" {
                fill(&mut object["metadata"], "annotations", json!({}));
                let annotations = &mut object["metadata"]["annotations"];
                fill(annotations, "deprecated.daemonset.template.generation", json!("1"));
            }
            for one in object.get_mut("status").into_iter().flat_map(|status| items(status, "conditions")) {
                if kind.kind == "Deployment" {
                    for time in ["lastUpdateTime", "lastTransitionTime"] {
                        one.as_object_mut().unwrap().entry(time).or_insert(Value::Null);
                    }
                }
            }
        }
        ("apiregistration.k8s.io", _) => {
            if let Some(service) = object["spec"].get_mut("service") {
                fill(service, "port", json!(443));
            }
        }
        ("batch", "Job") => job(&mut object["spec"]),
        ("batch", "CronJob") => cron_job(&mut object["spec"]),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(&mut object["spec"]),
        ("autoscaling", "HorizontalPodAutoscaler") => fill(&mut object["spec"], "minReplicas", json!(1)),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(object),
        ("apiextensions.k8s.io", _) => definition(&mut object["spec"]),
        _ => {}
    }
    if (kind.group.as_str(), kind.kind.as_str()) == ("autoscaling", "HorizontalPodAutoscaler") {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        let cpu = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
        fill(&mut object["spec"], "metrics", cpu);
    }
}

fn apps(kind: &Kind, spec: &mut Value) {
    pod_template(&mut spec["template"]);
    match kind.kind.as_str() {
        "Deployment" => {
            fill_all(spec, json!({"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}));
            let strategy = &mut spec["strategy"];
            fill(strategy, "type", json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate" {
                fill(strategy, "rollingUpdate", json!({}));
                fill_all(&mut strategy["rollingUpdate"], json!({"maxUnavailable": "25%", "maxSurge": "25%"}));
            }
        }
        "StatefulSet" => {
            let more = json!({"podManagementPolicy": "OrderedReady", "replicas": 1, "revisionHistoryLimit": 10});
            fill_all(spec, more);
            let strategy = &mut spec["updateStrategy"];
            fill(strategy, "type", json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate" {
                fill(strategy, "rollingUpdate", json!({}));
                fill(&mut strategy["rollingUpdate"], "partition", json!(0));
            }
            fill(spec, "persistentVolumeClaimRetentionPolicy", json!({}));
            let retain = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
            fill_all(&mut spec["persistentVolumeClaimRetentionPolicy"], retain);
            for claim in items(spec, "volumeClaimTemplates") {
                fill_all(claim, json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim"}));
                fill(&mut claim["spec"], "volumeMode", json!("Filesystem"));
                fill(&mut claim["status"], "phase", json!("Pending"));
            }
        }
        "DaemonSet" => {
            fill(spec, "revisionHistoryLimit", json!(10));
            let strategy = &mut spec["updateStrategy"];
            fill(strategy, "type", json!("RollingUpdate"));
            if strategy["type"] == "RollingUpdate" {
                fill(strategy, "rollingUpdate", json!({}));
                fill_all(&mut strategy["rollingUpdate"], json!({"maxUnavailable": 1, "maxSurge": 0}));
            }
        }
        _ => fill(spec, "replicas", json!(1)),
    }
}

fn job(spec: &mut Value) {
    pod_template(&mut spec["template"]);
    if spec.get("completions").is_none() && spec.get("parallelism").is_none() {
        fill(spec, "completions", json!(1));
    }
    fill(spec, "parallelism", json!(1));
    let more = json!({
        "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": false, "manualSelector": false,
        "podReplacementPolicy": "TerminatingOrFailed",
    });
    fill_all(spec, more);
}

fn cron_job(spec: &mut Value) {
    pod_template(&mut spec["jobTemplate"]["spec"]["template"]);
    let more = json!({
        "concurrencyPolicy": "Allow", "suspend": false, "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
    });
    fill_all(spec, more);
}

fn pod_template(template: &mut Value) {
    if template.is_null() {
        *template = json!({"metadata": {}, "spec": {}});
    }
    pod_spec(&mut template["spec"]);
}

fn pod(object: &mut Value) {
    pod_spec(&mut object["spec"]);
    let is_host_network = object["spec"]["hostNetwork"] == true;
    for port in items(&mut object["spec"], "containers").flat_map(|one| items(one, "ports")) {
        if is_host_network && let Some(number) = port.get("containerPort").cloned() {
            fill(port, "hostPort", number);
        }
    }
    for list in ["containers", "initContainers"] {
        for container in items(&mut object["spec"], list) {
            let Some(limits) = container["resources"].get("limits").cloned() else { continue };
            fill(&mut container["resources"], "requests", json!({}));
            fill_all(&mut container["resources"]["requests"], limits);
        }
    }
    fill(&mut object["spec"], "enableServiceLinks", json!(true));
    fill(&mut object["status"], "phase", json!("Pending"));
}

fn pod_spec(spec: &mut Value) {
    let more = json!({
        "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst",
        "securityContext": {}, "schedulerName": "default-scheduler",
    });
    fill_all(spec, more);
    // The old name of the field and the new one follow each other.
    for (from, to) in [("serviceAccountName", "serviceAccount"), ("serviceAccount", "serviceAccountName")] {
        if let Some(name) = spec.get(from).cloned() {
            fill(spec, to, name);
        }
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        items(spec, list).for_each(container);
    }
    items(spec, "volumes").for_each(volume);
}

fn container(one: &mut Value) {
    let image = one["image"].as_str().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let is_latest = !last.contains('@') && (!last.contains(':') || last.ends_with(":latest"));
    let pull = if is_latest { "Always" } else { "IfNotPresent" };
    let more = json!({
        "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File", "imagePullPolicy": pull,
        "resources": {},
    });
    fill_all(one, more);
    for port in items(one, "ports") {
        fill(port, "protocol", json!("TCP"));
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = one.get_mut(probe) {
            let more = json!({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3});
            fill_all(probe, more);
            http_get(probe);
            if let Some(grpc) = probe.get_mut("grpc") {
                fill(grpc, "service", json!(""));
            }
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook) = one.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(hook)) {
            http_get(hook);
        }
    }
    for env in items(one, "env") {
        if let Some(field) = env.get_mut("valueFrom").and_then(|from| from.get_mut("fieldRef")) {
            fill(field, "apiVersion", json!("v1"));
        }
    }
}

fn http_get(action: &mut Value) {
    if let Some(get) = action.get_mut("httpGet") {
        fill_all(get, json!({"path": "/", "scheme": "HTTP"}));
    }
}

fn volume(one: &mut Value) {
    if one.as_object().is_some_and(|one| one.len() == 1 && one.contains_key("name")) {
        one["emptyDir"] = json!({});
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = one.get_mut(source) {
            fill(source, "defaultMode", json!(420));
        }
    }
    if let Some(path) = one.get_mut("hostPath") {
        fill(path, "type", json!(""));
    }
    for source in one.get_mut("projected").into_iter().flat_map(|projected| items(projected, "sources")) {
        if let Some(token) = source.get_mut("serviceAccountToken") {
            fill(token, "expirationSeconds", json!(3600));
        }
    }
    for source in ["downwardAPI", "projected"] {
        for item in one.get_mut(source).into_iter().flat_map(|source| items(source, "items")) {
            if let Some(field) = item.get_mut("fieldRef") {
                fill(field, "apiVersion", json!("v1"));
            }
        }
    }
}

fn service(spec: &mut Value) {
    fill_all(spec, json!({"type": "ClusterIP", "sessionAffinity": "None"}));
    let ty = spec["type"].as_str().unwrap_or_default().to_owned();
    if ty != "ExternalName" {
        fill(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if ty == "NodePort" || ty == "LoadBalancer" {
        fill(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if ty == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    if spec["sessionAffinity"] == "ClientIP" {
        fill(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10800}}));
    }
    for port in items(spec, "ports") {
        fill(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        if port.get("targetPort").is_none_or(|target| *target == 0 || *target == "") {
            port["targetPort"] = number;
        }
    }
}

fn string_data(secret: &mut Value) {
    use base64::Engine as _;
    let Some(Value::Object(texts)) = secret.as_object_mut().and_then(|secret| secret.remove("stringData")) else {
        return;
    };
    for (name, text) in texts {
        let text = text.as_str().unwrap_or_default();
        secret["data"][name] = json!(base64::engine::general_purpose::STANDARD.encode(text));
    }
}

fn network_policy(spec: &mut Value) {
    if spec.get("policyTypes").is_none() {
        spec["policyTypes"] =
            if spec.get("egress").is_some() { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    }
    for direction in ["ingress", "egress"] {
        for rule in items(spec, direction) {
            items(rule, "ports").for_each(|port| fill(port, "protocol", json!("TCP")));
        }
    }
}

fn binding(object: &mut Value) {
    let group = json!("rbac.authorization.k8s.io");
    fill(&mut object["roleRef"], "apiGroup", group.clone());
    for subject in items(object, "subjects") {
        match subject["kind"].as_str() {
            Some("ServiceAccount") => {}
            _ => fill(subject, "apiGroup", group.clone()),
        }
    }
}

fn limit_range(limit: &mut Value) {
    if limit["type"] != "Container" {
        return;
    }
    for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
        if let Some(values) = limit.get(from).cloned() {
            fill(limit, to, json!({}));
            fill_all(&mut limit[to], values);
        }
    }
}

fn definition(spec: &mut Value) {
    fill(spec, "conversion", json!({"strategy": "None"}));
    let names = &mut spec["names"];
    let kind = names["kind"].as_str().unwrap_or_default().to_owned();
    fill(names, "listKind", json!(format!("{kind}List")));
    fill(names, "singular", json!(kind.to_lowercase()));
}
