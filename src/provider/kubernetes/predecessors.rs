//! Taking an imported object over from the tools that managed it until then.
//!
//! The server keeps an account of who set which field (`managedFields`), and takes a field out of an object when the last of its
//! managers stops applying it. What kubectl or Helm set would therefore stay for ever, whatever the manifest says later. So their
//! entries are taken out of the account before the first apply, as `kubectl apply --server-side` does when it comes after a
//! client-side apply (client-go's `csaupgrade`), but for one thing: their fields are not made ours. Those that the manifest names
//! become so by the apply; those that it does not name stay on the object, since no plan has shown that they would go.

use serde_json::{Value as Json, json};

use super::kinds::Kind;
use super::object::{Name, OP};
use super::target::{Cluster, uid};
use super::wire::{Failure, JSON_PATCH, Refusal, Request};

/// How often it is tried while others write the object.
const TRIES: usize = 5;

/// Whether a manager of fields is a tool that people use who import its objects: kubectl in all its ways, and Helm.
fn is_tool(manager: &str) -> bool {
    manager == "kubectl" || manager.starts_with("kubectl-") || ["before-first-apply", "helm", "Helm"].contains(&manager)
}

/// Whether a server refuses an apply only because such tools own fields.
pub(super) fn own_all(refusal: &Refusal) -> bool {
    let conflicts = refusal.conflicts();
    let tools = |message: &String| message.split('"').nth(1).is_some_and(is_tool);
    refusal.code == 409 && !conflicts.is_empty() && conflicts.iter().all(|(_, message)| tools(message))
}

/// The account of an object without the tools' entries; `None` where it has none.
fn without_tools(there: &Json, manager: &str) -> Option<Json> {
    let entries = there.pointer("/metadata/managedFields")?.as_array()?;
    let text = |entry: &Json, name: &str| entry.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let is_theirs = |entry: &&Json| is_tool(&text(entry, "manager")) && text(entry, "subresource").is_empty();
    let mut kept: Vec<Json> = entries.iter().filter(|entry| !is_theirs(entry)).cloned().collect();
    if kept.len() == entries.len() {
        return None;
    }
    // Of an object without any account the server would say that somebody "before-first-apply" owned all of it.
    if kept.is_empty() {
        let mark = format!("f:{OP}");
        kept.push(json!({
            "manager": manager,
            "operation": "Apply",
            "apiVersion": there.get("apiVersion"),
            "fieldsType": "FieldsV1",
            "fieldsV1": { "f:metadata": { "f:annotations": { mark: {} } } },
        }));
    }
    Some(Json::Array(kept))
}

/// Takes the tools' entries out of an object's account. Nothing else of the object changes.
///
/// # Errors
/// When the server refuses, does not answer, or others write the object all the time.
pub(super) async fn dismiss(cluster: Cluster<'_>, kind: &Kind, name: &Name, of: &str) -> Result<(), Failure> {
    let path = kind.object(name.namespace.as_deref(), &name.name);
    let mut last = None;
    for _ in 0..TRIES {
        // What is gone, or another by now, is the apply's to tell.
        let Some(there) = cluster.get(kind, name).await?.filter(|there| uid(there) == of) else { return Ok(()) };
        let Some(account) = without_tools(&there, cluster.manager) else { return Ok(()) };
        let version = there.pointer("/metadata/resourceVersion").cloned().unwrap_or(Json::Null);
        let patch = json!([
            { "op": "replace", "path": "/metadata/managedFields", "value": account },
            // The server refuses it if somebody has written the object since.
            { "op": "replace", "path": "/metadata/resourceVersion", "value": version },
        ]);
        let query = format!("{path}?fieldManager={}", cluster.manager);
        match cluster.send(Request::with("PATCH", query, JSON_PATCH, &patch)).await {
            Ok(_) => return Ok(()),
            Err(Failure::Refused(refusal)) if refusal.code == 409 => last = Some(Failure::Refused(refusal)),
            Err(failure) => return Err(failure),
        }
    }
    last.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(managers: &[(&str, &str, &str)]) -> Json {
        let entry = |(manager, operation, subresource): &(&str, &str, &str)| {
            let mut entry = json!({ "manager": manager, "operation": operation, "fieldsV1": {} });
            if !subresource.is_empty() {
                entry["subresource"] = json!(subresource);
            }
            entry
        };
        json!({
            "apiVersion": "apps/v1",
            "metadata": { "managedFields": managers.iter().map(entry).collect::<Vec<_>>() },
        })
    }

    fn managers(account: &Json) -> Vec<&str> {
        account.as_array().into_iter().flatten().filter_map(|entry| entry["manager"].as_str()).collect()
    }

    #[test]
    fn tools_go_and_controllers_stay() {
        let object = account(&[
            ("kubectl-client-side-apply", "Update", ""),
            ("helm", "Update", ""),
            ("kubectl", "Apply", ""),
            ("kubectl", "Update", "scale"),
            ("kube-controller-manager", "Update", "status"),
            ("argocd-controller", "Apply", ""),
        ]);
        let left = without_tools(&object, "gantry-abc").unwrap();
        assert_eq!(managers(&left), ["kubectl", "kube-controller-manager", "argocd-controller"]);
        assert_eq!(without_tools(&account(&[("argocd-controller", "Apply", "")]), "gantry-abc"), None);
        assert_eq!(without_tools(&json!({}), "gantry-abc"), None);
    }

    #[test]
    fn an_account_is_never_left_empty() {
        let left = without_tools(&account(&[("kubectl-create", "Update", "")]), "gantry-abc").unwrap();
        assert_eq!(managers(&left), ["gantry-abc"]);
        assert_eq!(left[0]["fieldsV1"], json!({ "f:metadata": { "f:annotations": { "f:gantry.dev/op": {} } } }));
    }

    #[test]
    fn who_owns_is_read_from_the_servers_words() {
        let refusal = |managers: &[&str]| Refusal {
            code: 409,
            causes: managers
                .iter()
                .map(|manager| {
                    let message = format!("conflict with \"{manager}\" using v1");
                    ("FieldManagerConflict".to_owned(), ".data.a".to_owned(), message)
                })
                .collect(),
            ..Refusal::default()
        };
        assert!(own_all(&refusal(&["helm", "kubectl-edit"])));
        assert!(!own_all(&refusal(&["helm", "argocd-controller"])));
        assert!(!own_all(&refusal(&[])));
    }
}
