//! `/version`, `/api`, `/apis` and what is below them: which resources there are, in both forms.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::route::Asked;
use super::schema::Kind;
use super::store::State;

/// The content type of the aggregated form.
pub(crate) const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The answer and its content type, if the path is one of discovery.
pub(crate) fn answer(state: &State, asked: &Asked) -> Option<(Value, &'static str)> {
    let accept = asked.header("accept").unwrap_or_default();
    let is_aggregated = accept.contains("g=apidiscovery.k8s.io") && accept.contains("v=v2;");
    let parts: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
    let plain = |value: Value| Some((value, "application/json"));
    match &parts[..] {
        ["version"] => plain(json!({
            "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1",
            "minCompatibilityMinor": "35", "gitVersion": "v1.36.0", "gitCommit": "in-process", "gitTreeState": "",
            "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc", "platform": "linux/amd64",
        })),
        ["api" | "apis"] if is_aggregated => Some((aggregated(state, parts[0] == "api"), AGGREGATED)),
        ["api"] => plain(json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:443"}],
        })),
        ["apis"] => {
            let groups: Vec<Value> = groups(state).iter().map(|(name, versions)| group(name, versions)).collect();
            plain(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => {
            let groups = groups(state);
            let mut one = group(name, groups.get(*name)?);
            one["kind"] = json!("APIGroup");
            one["apiVersion"] = json!("v1");
            plain(one)
        }
        ["api", version] => plain(resources(state, "", version)?),
        ["apis", group, version] => plain(resources(state, group, version)?),
        _ => None,
    }
}

fn groups(state: &State) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for kind in state.kinds.iter().filter(|kind| !kind.group.is_empty()) {
        let versions = groups.entry(kind.group.clone()).or_default();
        if !versions.contains(&kind.version) {
            versions.push(kind.version.clone());
        }
    }
    groups
}

fn group(name: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions[0]})
}

fn of_version<'a>(state: &'a State, group: &str, version: &str) -> Vec<&'a Arc<Kind>> {
    state.kinds.iter().filter(|kind| kind.group == group && kind.version == version).collect()
}

fn resources(state: &State, group: &str, version: &str) -> Option<Value> {
    let kinds = of_version(state, group, version);
    let first = kinds.first()?;
    let mut list = Vec::new();
    for kind in &kinds {
        let mut one = json!({
            "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": kind.verbs,
        });
        if !kind.short.is_empty() {
            one["shortNames"] = json!(kind.short);
        }
        if !kind.categories.is_empty() {
            one["categories"] = json!(kind.categories);
        }
        list.push(one);
        for sub in &kind.subs {
            let mut one = sub.json.clone();
            one["name"] = json!(format!("{}/{}", kind.plural, sub.name));
            one["singularName"] = json!("");
            one["namespaced"] = json!(kind.namespaced);
            list.push(one);
        }
    }
    let group_version = first.api_version();
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list}))
}

fn aggregated(state: &State, is_core: bool) -> Value {
    let groups = if is_core { BTreeMap::from([(String::new(), vec!["v1".to_owned()])]) } else { groups(state) };
    let items: Vec<Value> = groups
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let kinds = of_version(state, group, version);
                    let resources: Vec<Value> = kinds.iter().map(|kind| aggregated_kind(kind)).collect();
                    json!({"version": version, "freshness": "Current", "resources": resources})
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    let kind = "APIGroupDiscoveryList";
    json!({"kind": kind, "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_kind(kind: &Kind) -> Value {
    let response = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let mut one = json!({
        "resource": kind.plural, "responseKind": response,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular, "verbs": kind.verbs,
    });
    if !kind.short.is_empty() {
        one["shortNames"] = json!(kind.short);
    }
    if !kind.categories.is_empty() {
        one["categories"] = json!(kind.categories);
    }
    if !kind.subs.is_empty() {
        let subs = kind.subs.iter().map(|sub| {
            let text = |name: &str, or: &str| sub.json[name].as_str().unwrap_or(or).to_owned();
            let response = json!({
                "group": text("group", &kind.group), "version": text("version", &kind.version),
                "kind": sub.json["kind"],
            });
            json!({"subresource": sub.name, "responseKind": response, "verbs": sub.json["verbs"]})
        });
        one["subresources"] = subs.collect();
    }
    one
}
