//! The lines of the event stream and their parts.

use jiff::Timestamp;
use serde_json::{Map as JsonMap, Value as Json, json};

use super::values::index;
use crate::addr::Address;
use crate::diag::{Diagnostic, Severity, SourceMap, escape_controls};

/// One line of the stream, without its end.
pub(super) fn line(now: Timestamp, level: &str, message: &str, ty: &str, rest: Vec<(&str, Json)>) -> String {
    let mut out = JsonMap::new();
    out.insert("@level".into(), json!(level));
    out.insert("@message".into(), json!(escape_controls(message)));
    out.insert("@module".into(), json!("gantry.ui"));
    out.insert("@timestamp".into(), json!(now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()));
    out.insert("type".into(), json!(ty));
    for (name, value) in rest {
        out.insert(name.into(), value);
    }
    Json::Object(out).to_string()
}

/// A node as the stream names it.
pub(super) fn resource(address: &Address) -> Json {
    let ty = address.kind.keyword().unwrap_or(&address.ty);
    let bare = Address { module: crate::addr::ModulePath::root(), ..address.clone() };
    json!({
        "addr": address.to_string(),
        "module": address.module.to_string(),
        "resource": bare.to_string(),
        "implied_provider": ty.split('_').next().unwrap_or_default(),
        "resource_type": ty,
        "resource_name": &*address.name,
        "resource_key": index(address.key.as_ref()),
    })
}

/// A diagnostic as Terraform's machine-readable UI has it; hints, which Terraform has not, as an array.
#[must_use]
pub fn diagnostic(diagnostic: &Diagnostic, sources: &SourceMap) -> Json {
    let mut out = JsonMap::new();
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    out.insert("severity".into(), json!(severity));
    out.insert("summary".into(), json!(diagnostic.summary));
    out.insert("detail".into(), json!(diagnostic.detail));
    if let Some(address) = &diagnostic.address {
        out.insert("address".into(), json!(address));
    }
    if let Some((span, place)) = diagnostic.span.and_then(|s| Some((s, sources.place(s)?))) {
        let highlighted = place.text[place.start..place.end].chars().count();
        out.insert(
            "range".into(),
            json!({
                "filename": place.name,
                "start": { "line": place.line, "column": place.column, "byte": span.start },
                "end": { "line": place.line, "column": place.column + highlighted, "byte": span.start as usize + (place.end - place.start) },
            }),
        );
        out.insert(
            "snippet".into(),
            json!({
                "context": null,
                "code": place.masked(),
                "start_line": place.line,
                "highlight_start_offset": place.start,
                "highlight_end_offset": place.end,
                "values": [],
            }),
        );
    }
    if !diagnostic.hints.is_empty() {
        out.insert("hints".into(), json!(diagnostic.hints));
    }
    Json::Object(out)
}
