//! Validation of pods and their templates.

use serde_json::{Value, json};

use super::decode::quantity_nano;
use super::status::Cause;
use super::validate::{LABEL, is_label};

pub(crate) const FIXED: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// What of a pod never changes.
pub(crate) fn fixed(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(members) = spec.as_object_mut() {
        members.retain(|name, _| !["activeDeadlineSeconds", "tolerations", "nodeName"].contains(&name.as_str()));
    }
    for list in ["containers", "initContainers"] {
        for one in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            one["image"] = Value::Null;
        }
    }
    spec
}

pub(crate) fn job_template(template: &Value, path: &str, causes: &mut Vec<Cause>) {
    let spec_path = format!("{path}.spec");
    spec(&template["spec"], &spec_path, causes);
    if template["spec"]["restartPolicy"] == "Always" {
        let detail = "valid values: \"OnFailure\", \"Never\"";
        causes.push(Cause::required(format!("{path}.spec.restartPolicy"), detail));
    }
}

pub(crate) fn spec(spec: &Value, path: &str, causes: &mut Vec<Cause>) {
    let list = |name: &str| spec[name].as_array().into_iter().flatten();
    let volumes: Vec<&Value> = list("volumes").map(|one| &one["name"]).collect();
    for (index, volume) in list("volumes").enumerate() {
        name(&volume["name"], &format!("{path}.volumes[{index}].name"), causes);
    }
    if list("containers").next().is_none() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut seen: Vec<&Value> = Vec::new();
    for part in ["containers", "initContainers"] {
        for (index, one) in list(part).enumerate() {
            let path = format!("{path}.{part}[{index}]");
            container(one, &path, &volumes, causes);
            if one["name"].is_string() && seen.contains(&&one["name"]) {
                causes.push(Cause::duplicate(format!("{path}.name"), &one["name"]));
            }
            seen.push(&one["name"]);
        }
    }
    let policies = ["Always", "OnFailure", "Never"];
    let restart = spec["restartPolicy"].as_str().unwrap_or_default();
    if !policies.contains(&restart) {
        causes.push(Cause::unsupported(format!("{path}.restartPolicy"), restart, &policies));
    }
}

fn name(value: &Value, path: &str, causes: &mut Vec<Cause>) {
    match value.as_str() {
        None | Some("") => causes.push(Cause::required(path, "")),
        Some(name) if !is_label(name) => causes.push(Cause::invalid(path, value, LABEL)),
        _ => {}
    }
}

fn container(one: &Value, path: &str, volumes: &[&Value], causes: &mut Vec<Cause>) {
    let list = |name: &str| one[name].as_array().into_iter().flatten().enumerate();
    name(&one["name"], &format!("{path}.name"), causes);
    match one["image"].as_str() {
        None | Some("") => causes.push(Cause::required(format!("{path}.image"), "")),
        _ => {}
    }
    for (index, port) in list("ports") {
        let path = format!("{path}.ports[{index}].containerPort");
        match port["containerPort"].as_i64() {
            None | Some(0) => causes.push(Cause::required(path, "")),
            Some(number) if !(1..=65535).contains(&number) => {
                causes.push(Cause::invalid(path, &json!(number), "must be between 1 and 65535, inclusive"));
            }
            _ => {}
        }
    }
    for (index, env) in list("env") {
        if env["name"].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{path}.env[{index}].name"), ""));
        }
    }
    for (index, mount) in list("volumeMounts") {
        if !volumes.contains(&&mount["name"]) {
            causes.push(Cause::not_found(format!("{path}.volumeMounts[{index}].name"), &mount["name"]));
        }
    }
    let pull = one["imagePullPolicy"].as_str().unwrap_or_default();
    let policies = ["Always", "IfNotPresent", "Never"];
    if !policies.contains(&pull) {
        causes.push(Cause::unsupported(format!("{path}.imagePullPolicy"), pull, &policies));
    }
    for (what, request) in one["resources"]["requests"].as_object().into_iter().flatten() {
        let Some(limit) = one["resources"]["limits"][what].as_str() else { continue };
        if quantity_nano(request.as_str().unwrap_or_default()) > quantity_nano(limit) {
            let why = format!("must be less than or equal to {what} limit of {limit}");
            causes.push(Cause::invalid(format!("{path}.resources.requests"), request, &why));
        }
    }
}
