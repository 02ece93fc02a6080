//! Admission: whether a namespace takes anything in, quotas, webhooks, size.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::decode::quantity_nano;
use super::route::Target;
use super::schema::Kind;
use super::status::{Answer, Cause, Failure};
use super::store::{State, key};

/// The largest object; etcd refuses a request of 1.5 MiB.
const MOST_BYTES: usize = 1_572_864;

pub(crate) fn namespace(state: &State, target: &Target, kind: &Kind, name: &str) -> Answer<()> {
    let namespace = target.storage_namespace();
    if !kind.namespaced || namespace.is_empty() {
        return Ok(());
    }
    let namespaces = state.kind_of("", "namespaces").unwrap();
    let Some(found) = state.get(&key("", "namespaces", "", namespace)) else {
        return Err(Failure::not_found(&namespaces, namespace));
    };
    if found["metadata"].get("deletionTimestamp").is_some() {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".into(),
        };
        return Err(Failure::forbidden(&kind.group, &kind.plural, name, &why).with_causes(&[cause]));
    }
    Ok(())
}

pub(crate) fn webhooks(state: &State, kind: &Kind, object: &mut Value) -> Answer<()> {
    for (name, plural, admit) in &state.webhooks {
        if plural == "*" || *plural == kind.plural {
            admit(object).map_err(|why| {
                let message = format!("admission webhook \"{name}\" denied the request: {why}");
                Failure::new(403, "Forbidden", message)
            })?;
        }
    }
    Ok(())
}

pub(crate) fn size(object: &Value) -> Answer<()> {
    if object.to_string().len() > MOST_BYTES {
        return Err(Failure::plain("etcdserver: request is too large"));
    }
    Ok(())
}

/// Counts of objects are limited by `pods`, `configmaps` and so on, or `count/deployments.apps`.
pub(crate) fn quota(state: &State, kind: &Kind, target: &Target, name: &str) -> Answer<()> {
    let namespace = target.storage_namespace();
    let counted = format!("count/{}", kind.qualified());
    for (key, quota) in state.list("", "resourcequotas", namespace) {
        let mut exceeded: BTreeMap<String, (String, usize)> = BTreeMap::new();
        for (what, hard) in quota["spec"]["hard"].as_object().into_iter().flatten() {
            if *what != counted && !(kind.group.is_empty() && *what == kind.plural) {
                continue;
            }
            let used = state.list(&kind.group, &kind.plural, namespace).len();
            let hard = hard.as_str().unwrap_or_default();
            let most = quantity_nano(hard).unwrap_or_default() / 1_000_000_000;
            if i128::try_from(used).unwrap_or(i128::MAX) >= most {
                exceeded.insert(what.clone(), (hard.to_owned(), used));
            }
        }
        if !exceeded.is_empty() {
            let list = |of: &dyn Fn(&str, &(String, usize)) -> String| {
                exceeded.iter().map(|(what, one)| of(what, one)).collect::<Vec<_>>().join(",")
            };
            let why = format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                key.3,
                list(&|what, _| format!("{what}=1")),
                list(&|what, one| format!("{what}={}", one.1)),
                list(&|what, one| format!("{what}={}", one.0)),
            );
            return Err(Failure::forbidden(&kind.group, &kind.plural, name, &why));
        }
    }
    Ok(())
}

/// The status of every quota, as its controller would write it.
pub(crate) fn quota_status(state: &State) -> Vec<(super::store::Key, Value)> {
    let mut changed = Vec::new();
    for (key, quota) in state.list("", "resourcequotas", "") {
        let mut used = json!({});
        for what in quota["spec"]["hard"].as_object().into_iter().flatten().map(|(what, _)| what) {
            let name = what.strip_prefix("count/").unwrap_or(what);
            let (plural, group) = name.split_once('.').unwrap_or((name, ""));
            if state.kind_of(group, plural).is_some() {
                used[what] = json!(state.list(group, plural, &key.2).len().to_string());
            }
        }
        let status = json!({"hard": quota["spec"]["hard"], "used": used});
        if quota["status"] != status {
            let mut quota = (*quota).clone();
            quota["status"] = status;
            changed.push((key, quota));
        }
    }
    changed
}
