//! `state import-terraform`: which objects of a Terraform state (version 4) Gantry can take on, and under which addresses.
//!
//! What is taken on is asked for as `gantry import` asks for one object: it is looked at where it stands, compared with its
//! block, and shown in a plan before anything is recorded.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::addr::{Address, Key, ModulePath, NodeKind};
use crate::diag::Diagnostic;
use crate::ops::error::{Failure, FailureKind, Result};
use crate::ports::fs;
use crate::provider::Role;
use crate::provider::catalog::Catalog;

/// The largest state that is read, in bytes.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The version of Terraform's state format since Terraform 0.12.
const VERSION: u64 = 4;

/// What of a Terraform state can be taken on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Adoption {
    /// Addresses and what their targets call the objects.
    pub imports: Vec<(Address, String)>,
    /// Addresses of what stays behind, each with the reason.
    pub rest: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct StateFile {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    module: Option<String>,
    mode: String,
    #[serde(rename = "type")]
    ty: String,
    name: String,
    #[serde(default)]
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    #[serde(default)]
    index_key: Option<Json>,
    #[serde(default)]
    deposed: Option<String>,
    #[serde(default)]
    attributes: Json,
}

/// Reads a Terraform state: what `terraform state pull` prints, or the file of the local backend.
///
/// # Errors
/// When it cannot be read or is no state of version 4.
pub fn terraform(path: &Path, recorded: &dyn Fn(&Address) -> bool) -> Result<Adoption> {
    let catalog = &Catalog::built_in();
    let bytes = fs::read(path, MAX_BYTES)
        .map_err(|e| Failure::error("Unreadable Terraform state", format!("{e}: {}.", e.source)))?;
    let bad = |why: String| {
        let detail = format!("The file {} is no Terraform state that can be read: {why}.", path.display());
        Failure::new(FailureKind::Error, Diagnostic::error("Unreadable Terraform state", detail))
            .hint("Get one with: terraform state pull > FILE")
    };
    if bytes.is_empty() {
        // What a crash leaves of Terraform's local state; to take it for no resources would hide that.
        return Err(bad("it is empty".to_owned()));
    }
    let json: Json = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
    match json.get("version").and_then(Json::as_u64) {
        Some(VERSION) => {}
        Some(other) => {
            return Err(bad(format!(
                "it has version {other}, and Gantry reads version {VERSION} (Terraform 0.12 and later)"
            )));
        }
        None => return Err(bad("it names no version".to_owned())),
    }
    let state: StateFile = serde_json::from_value(json).map_err(|e| bad(e.to_string()))?;
    let mut adoption = Adoption::default();
    for resource in &state.resources {
        for instance in &resource.instances {
            let shown = name_of(resource, instance);
            match take(resource, instance, catalog, recorded) {
                Ok(Some(import)) => adoption.imports.push(import),
                Ok(None) => {}
                Err(why) => adoption.rest.push((shown, why)),
            }
        }
    }
    Ok(adoption)
}

/// The address and id of an instance, `None` for what is read anew by every plan, or why it stays behind.
fn take(
    resource: &Resource,
    instance: &Instance,
    catalog: &Catalog,
    recorded: &dyn Fn(&Address) -> bool,
) -> std::result::Result<Option<(Address, String)>, String> {
    if resource.mode == "data" {
        return Ok(None);
    }
    if catalog.get(Role::Managed, &resource.ty).is_none() {
        return Err(format!("this Gantry has no resource type {}", resource.ty));
    }
    if let Some(deposed) = &instance.deposed {
        return Err(format!("it is the deposed object {deposed}, which Terraform was about to destroy"));
    }
    let module = match &resource.module {
        None => ModulePath::root(),
        Some(text) => match text.parse() {
            Ok(crate::addr::Selection::Module(module)) => module,
            _ => return Err(format!("{text} is no module's address")),
        },
    };
    let key = match &instance.index_key {
        None => None,
        Some(Json::String(name)) => Some(Key::Name(Arc::from(name.as_str()))),
        Some(index) => Some(Key::Index(index.as_u64().ok_or("its key is neither a text nor a number")?)),
    };
    let address = Address::new(module, NodeKind::Resource, resource.ty.as_str(), resource.name.as_str()).with_key(key);
    if recorded(&address) {
        return Err("it is in Gantry's ledger already".to_owned());
    }
    match instance.attributes.get("id").and_then(Json::as_str).filter(|id| !id.is_empty()) {
        Some(id) => Ok(Some((address, id.to_owned()))),
        None => Err("it has no id".to_owned()),
    }
}

/// An instance as Terraform names it.
fn name_of(resource: &Resource, instance: &Instance) -> String {
    let module = resource.module.as_ref().map(|m| format!("{m}.")).unwrap_or_default();
    let data = if resource.mode == "data" { "data." } else { "" };
    let key = instance.index_key.as_ref().map(|key| format!("[{key}]")).unwrap_or_default();
    format!("{module}{data}{}.{}{key}", resource.ty, resource.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopted(text: &str) -> Result<Adoption> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("terraform.tfstate");
        std::fs::write(&path, text).unwrap();
        terraform(&path, &|address| &*address.name == "known")
    }

    #[test]
    fn what_has_a_type_and_an_id_is_taken_and_the_rest_has_its_reason() {
        let resource = |mode: &str, ty: &str, name: &str, rest: &str| {
            format!(r#"{{"mode":"{mode}","type":"{ty}","name":"{name}",{rest}}}"#)
        };
        let id = |key: &str| format!(r#"{{{key}"attributes":{{"id":"i-1"}}}}"#);
        let all = [
            resource("managed", "terraform_data", "a", &format!(r#""instances":[{}]"#, id(""))),
            resource(
                "managed",
                "terraform_data",
                "b",
                &format!(r#""instances":[{},{}]"#, id(r#""index_key":0,"#), id(r#""index_key":"x.y","#)),
            ),
            resource(
                "managed",
                "terraform_data",
                "c",
                &format!(r#""module":"module.m[\"k\"].module.n","instances":[{}]"#, id("")),
            ),
            resource("managed", "terraform_data", "known", &format!(r#""instances":[{}]"#, id(""))),
            resource(
                "managed",
                "terraform_data",
                "d",
                r#""instances":[{"deposed":"ab","attributes":{"id":"x"}},{"attributes":{}}]"#,
            ),
            resource("managed", "google_thing", "e", &format!(r#""instances":[{}]"#, id(""))),
            resource("data", "google_thing", "f", &format!(r#""instances":[{}]"#, id(""))),
        ];
        let adoption = adopted(&format!(r#"{{"version":4,"resources":[{}]}}"#, all.join(","))).unwrap();
        let taken: Vec<String> = adoption.imports.iter().map(|(a, id)| format!("{a} {id}")).collect();
        assert_eq!(
            taken,
            [
                "terraform_data.a i-1",
                "terraform_data.b[0] i-1",
                "terraform_data.b[\"x.y\"] i-1",
                "module.m[\"k\"].module.n.terraform_data.c i-1"
            ]
        );
        let rest: Vec<String> = adoption.rest.iter().map(|(a, why)| format!("{a}: {why}")).collect();
        assert_eq!(
            rest,
            [
                "terraform_data.known: it is in Gantry's ledger already",
                "terraform_data.d: it is the deposed object ab, which Terraform was about to destroy",
                "terraform_data.d: it has no id",
                "google_thing.e: this Gantry has no resource type google_thing",
            ]
        );
    }

    #[test]
    fn what_is_no_state_is_refused() {
        for text in
            ["", "{}", "[]", "{\"version\":3}", "{\"version\":5}", "{\"version\":4,\"resources\":{}}", "nonsense"]
        {
            assert!(adopted(text).is_err(), "{text}");
        }
        assert_eq!(adopted("{\"version\":4}").unwrap(), Adoption::default());
    }
}
