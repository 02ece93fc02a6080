//! Validation: what is required, what is malformed and what must not change.

use serde_json::{Value, json};

use super::custom;
use super::schema::Kind;
use super::status::Cause;
use super::validate_pod;

pub(crate) const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
/// What a ConfigMap or Secret holds at most.
const MOST_DATA: usize = 1 << 20;
const IMMUTABLE: &str = "field is immutable";

/// Letters at both ends, and some more within.
fn is_made_of(text: &str, ends: fn(char) -> bool, within: &str) -> bool {
    let fits = |c: char| ends(c) || within.contains(c);
    !text.is_empty() && text.chars().all(fits) && text.starts_with(ends) && text.ends_with(ends)
}

fn is_small(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

pub(crate) fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_made_of(text, is_small, "-")
}

fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|part| is_made_of(part, is_small, "-"))
}

fn is_name_part(text: &str) -> bool {
    text.len() <= 63 && is_made_of(text, |c| c.is_ascii_alphanumeric(), "-_.")
}

fn items<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    object[name].as_array().into_iter().flatten().enumerate()
}

pub(crate) fn metadata(kind: &Kind, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let mut causes = Vec::new();
    match metadata["name"].as_str() {
        None | Some("") => causes.push(Cause::required("metadata.name", "name or generateName is required")),
        Some(name) => {
            let rbac = kind.group == "rbac.authorization.k8s.io";
            let wrong = match kind.kind.as_str() {
                "Namespace" | "Service" if kind.group.is_empty() => (!is_label(name)).then_some(LABEL),
                _ if rbac => None,
                _ => (!is_subdomain(name)).then_some(SUBDOMAIN),
            };
            causes.extend(wrong.map(|why| Cause::invalid("metadata.name", &metadata["name"], why)));
        }
    }
    labels(&metadata["labels"], "metadata.labels", &mut causes);
    for (name, _) in metadata["annotations"].as_object().into_iter().flatten() {
        qualified(&name.to_lowercase(), "metadata.annotations", &mut causes);
    }
    causes
}

fn labels(labels: &Value, path: &str, causes: &mut Vec<Cause>) {
    for (name, value) in labels.as_object().into_iter().flatten() {
        qualified(name, path, causes);
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            causes.push(Cause::invalid(path, value, "must be no more than 63 bytes"));
        }
        if !text.is_empty() && !is_made_of(text, |c| c.is_ascii_alphanumeric(), "-_.") {
            causes.push(Cause::invalid(path, value, LABEL_VALUE));
        }
    }
}

fn qualified(name: &str, path: &str, causes: &mut Vec<Cause>) {
    let part = name.rsplit('/').next().unwrap_or(name);
    if !is_name_part(part) {
        causes.push(Cause::invalid(path, &json!(name), QUALIFIED));
    }
}

/// What is wrong with an object by itself.
pub(crate) fn object(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(schema) = kind.ty.as_struct().and_then(|shape| shape.custom.as_ref()) {
        custom::validate(schema, object, "", &mut causes);
        return causes;
    }
    let spec = &object["spec"];
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "ConfigMap" | "Secret") => {
            for name in object["data"].as_object().into_iter().flatten().map(|(name, _)| name) {
                if !name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)) {
                    causes.push(Cause::invalid(format!("data[{name}]"), &json!(name), CONFIG_KEY));
                }
            }
            let data = object["data"].as_object().into_iter().flatten();
            if data.map(|(_, one)| one.as_str().map_or(0, str::len)).sum::<usize>() > MOST_DATA {
                let message = format!("Too long: may not be more than {MOST_DATA} bytes");
                causes.push(Cause { reason: "FieldValueTooLong", message, field: "[]".into() });
            }
        }
        ("", "Service") => service(spec, &mut causes),
        ("", "Pod") => validate_pod::spec(spec, "spec", &mut causes),
        ("", "PersistentVolumeClaim") => claim(spec, &mut causes),
        ("apps", name) => workload(name, spec, &mut causes),
        ("batch", "Job") => validate_pod::job_template(&spec["template"], "spec.template", &mut causes),
        ("batch", "CronJob") => cron_job(spec, &mut causes),
        ("autoscaling", _) => {
            let most = spec["maxReplicas"].as_i64().unwrap_or(0);
            if most == 0 {
                causes.push(Cause::required("spec.maxReplicas", "must be set and greater than 0"));
            }
            if most < spec["minReplicas"].as_i64().unwrap_or(1) {
                let why = "must be greater than or equal to `minReplicas`";
                causes.push(Cause::invalid("spec.maxReplicas", &json!(most), why));
            }
        }
        _ => {}
    }
    causes
}

fn workload(kind: &str, spec: &Value, causes: &mut Vec<Cause>) {
    if let Some(replicas) = spec["replicas"].as_i64()
        && replicas < 0
    {
        causes.push(Cause::invalid("spec.replicas", &spec["replicas"], "must be greater than or equal to 0"));
    }
    let selector = &spec["selector"];
    let labels_of_template = &spec["template"]["metadata"]["labels"];
    let is_empty = selector.as_object().is_some_and(serde_json::Map::is_empty);
    if selector.is_null() {
        causes.push(Cause::required("spec.selector", ""));
    } else if is_empty {
        let what = format!("empty selector is invalid for {}", kind.to_lowercase());
        causes.push(Cause::invalid("spec.selector", selector, &what));
    }
    let wanted = selector["matchLabels"].as_object();
    let matches = wanted.into_iter().flatten().all(|(name, value)| labels_of_template[name] == *value);
    if !is_empty && (selector.is_null() || !matches) {
        let why = "`selector` does not match template `labels`";
        causes.push(Cause::invalid("spec.template.metadata.labels", labels_of_template, why));
    }
    labels(labels_of_template, "spec.template.labels", causes);
    validate_pod::spec(&spec["template"]["spec"], "spec.template.spec", causes);
    let restart = spec["template"]["spec"]["restartPolicy"].as_str().unwrap_or_default();
    if restart != "Always" {
        causes.push(Cause::unsupported("spec.template.spec.restartPolicy", restart, &["Always"]));
    }
}

fn cron_job(spec: &Value, causes: &mut Vec<Cause>) {
    let schedule = spec["schedule"].as_str().unwrap_or_default();
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if schedule.is_empty() {
        causes.push(Cause::required("spec.schedule", ""));
    } else if fields.len() != 5 && !schedule.starts_with('@') {
        let what = format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" "));
        causes.push(Cause::invalid("spec.schedule", &spec["schedule"], &what));
    }
    let path = "spec.jobTemplate.spec.template";
    validate_pod::job_template(&spec["jobTemplate"]["spec"]["template"], path, causes);
}

fn service(spec: &Value, causes: &mut Vec<Cause>) {
    let is_headless = spec["clusterIP"] == "None";
    let count = items(spec, "ports").count();
    if count == 0 && !is_headless && spec["type"] != "ExternalName" {
        causes.push(Cause::required("spec.ports", ""));
    }
    if spec["type"] == "ExternalName" && spec["externalName"].as_str().is_none_or(str::is_empty) {
        causes.push(Cause::required("spec.externalName", ""));
    }
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let ty = spec["type"].as_str().unwrap_or_default();
    for (index, port) in items(spec, "ports") {
        let path = format!("spec.ports[{index}]");
        let name = port["name"].as_str().unwrap_or_default();
        if name.is_empty() && count > 1 {
            causes.push(Cause::required(format!("{path}.name"), ""));
        } else if !name.is_empty() && !is_label(name) {
            causes.push(Cause::invalid(format!("{path}.name"), &port["name"], LABEL));
        }
        let number = port["port"].as_i64().unwrap_or(0);
        if !(1..=65535).contains(&number) {
            causes.push(Cause::invalid(
                format!("{path}.port"),
                &json!(number),
                "must be between 1 and 65535, inclusive",
            ));
        }
        if let Some(number) = port["targetPort"].as_i64().filter(|number| !(1..=65535).contains(number)) {
            causes.push(Cause::invalid(
                format!("{path}.targetPort"),
                &json!(number),
                "must be between 1 and 65535, inclusive",
            ));
        }
    }
    if !types.contains(&ty) {
        causes.push(Cause::unsupported("spec.type", ty, &types));
    }
}

fn claim(spec: &Value, causes: &mut Vec<Cause>) {
    if items(spec, "accessModes").count() == 0 {
        causes.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    if spec["resources"]["requests"].get("storage").is_none() {
        causes.push(Cause::required("spec.resources[storage]", ""));
    }
}

/// What must not change.
pub(crate) fn change(kind: &Kind, old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let (was, is) = (&old["spec"], &new["spec"]);
    if old["metadata"].get("deletionTimestamp").is_some() {
        let list = |object: &Value| object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
        let before = list(old);
        let more: Vec<Value> = list(new).into_iter().filter(|one| !before.contains(one)).collect();
        if !more.is_empty() {
            let why = "no new finalizers can be added if the object is being deleted, found new finalizers ";
            let list: Vec<String> = more.iter().map(ToString::to_string).collect();
            causes.push(Cause::forbidden("metadata.finalizers", &format!("{why}[]string{{{}}}", list.join(", "))));
        }
    }
    let mut keeps = |name: &str, why: &str| {
        if was[name] != is[name] {
            causes.push(Cause::invalid(format!("spec.{name}"), &is[name], why));
        }
    };
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") => keeps("selector", IMMUTABLE),
        ("apps", "StatefulSet") => {
            let free = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            if bare(was, &free) != bare(is, &free) {
                let list: Vec<String> = free.iter().map(|name| format!("'{name}'")).collect();
                let (last, first) = list.split_last().unwrap();
                let why = format!(
                    "updates to statefulset spec for fields other than {} and {last} are forbidden",
                    first.join(", ")
                );
                causes.push(Cause::forbidden("spec", &why));
            }
        }
        ("batch", "Job") => {
            ["selector", "template", "completions"].iter().for_each(|name| keeps(name, IMMUTABLE));
        }
        ("", "Service") => {
            let stays = was["type"] == "ExternalName" || is["type"] == "ExternalName";
            let address = is["clusterIP"].as_str().unwrap_or_default();
            if !stays && !address.is_empty() && was["clusterIP"] != is["clusterIP"] {
                let value = json!([address]);
                causes.push(Cause::invalid("spec.clusterIPs[0]", &value, "may not change once set"));
            }
        }
        ("", "PersistentVolumeClaim") => {
            let free = ["resources", "volumeAttributesClassName", "volumeName"];
            if bare(was, &free) != bare(is, &free) {
                let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
                causes.push(Cause::forbidden("spec", why));
            }
        }
        ("", "Pod") if validate_pod::fixed(was) != validate_pod::fixed(is) => {
            causes.push(Cause::forbidden("spec", validate_pod::FIXED));
        }
        ("", "ConfigMap" | "Secret") => frozen(old, new, &mut causes),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") if old["roleRef"] != new["roleRef"] => {
            let role = &new["roleRef"];
            let value = json!({"APIGroup": role["apiGroup"], "Kind": role["kind"], "Name": role["name"]});
            causes.push(Cause::invalid("roleRef", &value, "cannot change roleRef"));
        }
        _ => {}
    }
    causes
}

fn frozen(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    let why = "field is immutable when `immutable` is set";
    if old["type"] != new["type"] {
        causes.push(Cause::invalid("type", &new["type"], IMMUTABLE));
    }
    if old["immutable"] != true {
        return;
    }
    if new["immutable"] != true {
        causes.push(Cause::forbidden("immutable", why));
    }
    for name in ["data", "binaryData"] {
        if old[name] != new[name] {
            causes.push(Cause::forbidden(name, why));
        }
    }
}

/// Without some members.
fn bare(object: &Value, without: &[&str]) -> Value {
    let mut object = object.clone();
    if let Some(members) = object.as_object_mut() {
        members.retain(|name, _| !without.contains(&name.as_str()));
    }
    object
}
