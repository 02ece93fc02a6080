//! Kubernetes manifests: `manifest_decode`, `manifest_decode_multi` and `manifest_encode`, Gantry's own. They are what the
//! functions of these names in Terraform's `kubernetes` provider are, without its prefix.

use super::argument::{spend_bytes, string, text};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError, yaml, yaml_write};
use crate::value::{Type, Value};

/// What every manifest has.
const FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

pub(super) fn functions() -> Vec<Function> {
    let anything = |_: &[Type]| Type::Any;
    vec![
        function("manifest_decode", "The object of a Kubernetes manifest in YAML. Gantry's own.", anything, |c, a| {
            let mut all = decoded(c, text(&a[0])?)?;
            match (all.pop(), all.len()) {
                (Some(only), 0) => Ok(only),
                (None, _) => Err(FunctionError::at(0, "the text holds no manifest")),
                (Some(_), more) => Err(FunctionError::at(
                    0,
                    format!("the text holds {} manifests; manifest_decode_multi() reads several", more + 1),
                )),
            }
        })
        .takes("manifest", Type::String),
        function(
            "manifest_decode_multi",
            "The objects of all Kubernetes manifests in a YAML stream; empty documents are left out. Gantry's own.",
            anything,
            |c, a| Ok(Value::tuple(decoded(c, text(&a[0])?)?)),
        )
        .takes("manifest", Type::String),
        function(
            "manifest_encode",
            "A Kubernetes manifest, or a list of them, as YAML. Gantry's own.",
            |_| Type::String,
            encode,
        )
        .takes("manifest", Type::Any),
    ]
}

/// The manifests in a text.
fn decoded(context: &CallContext<'_>, source: &str) -> Result<Vec<Value>, FunctionError> {
    let mut all = Vec::new();
    for (line, document) in yaml::documents(context, source)? {
        let empty = document.is_null() || document.as_map().is_some_and(crate::value::Map::is_empty);
        if !empty {
            check(&document).map_err(|why| {
                FunctionError::at(0, format!("the document on line {line} is no Kubernetes manifest: {why}"))
            })?;
            all.push(document);
        }
    }
    Ok(all)
}

fn check(manifest: &Value) -> Result<(), String> {
    let Some(fields) = manifest.as_map() else { return Err(format!("it is {}", kind(manifest))) };
    match FIELDS.into_iter().find(|field| !fields.contains_key(field)) {
        Some(missing) => Err(format!("it has no {missing:?}")),
        None => Ok(()),
    }
}

fn kind(value: &Value) -> String {
    match value.ty() {
        Type::Tuple(_) => "a list".into(),
        ty => format!("a {}", ty.friendly()),
    }
}

fn encode(context: &CallContext<'_>, args: &[Value]) -> Called {
    let (all, list) = match args[0].as_items() {
        Some(items) => (items, true),
        None => (&args[..1], false),
    };
    let mut out = String::new();
    for (i, manifest) in all.iter().enumerate() {
        check(manifest).map_err(|why| {
            let which = if list { format!("element {i}") } else { "the value".into() };
            FunctionError::at(0, format!("{which} is no Kubernetes manifest: {why}"))
        })?;
        if list {
            out.push_str("---\n");
        }
        out.push_str(&yaml_write::encode(manifest)?);
        spend_bytes(context, out.len())?;
    }
    Ok(string(out))
}
