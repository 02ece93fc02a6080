//! The lines of the event stream and their parts.

use jiff::Timestamp;
use serde_json::{Map as JsonMap, Value as Json, json};

use super::values::index;
use crate::addr::Address;
use crate::diag::{Caller, Diagnostic, Position, Severity, SourceMap, escape_controls};

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

/// A call of the module that a diagnostic is in.
fn caller(caller: &Caller, sources: &SourceMap) -> Json {
    let mut out = json!({ "module": caller.module });
    if let Some(place) = caller.at.and_then(|span| sources.place(span)) {
        out["filename"] = json!(place.name);
        out["line"] = json!(place.line);
        out["column"] = json!(place.column);
    }
    out
}

/// A diagnostic as Terraform's machine-readable UI has it. Terraform has neither `hints` nor the calls of the module
/// (`module_calls`, innermost first, and `also_in` for further calls in which the same is wrong).
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
    if let Some(extent) = diagnostic.span.and_then(|span| sources.extent(span)) {
        let position = |p: Position| json!({ "line": p.line, "column": p.column, "byte": p.byte });
        let values = diagnostic.values().iter();
        let values: Vec<Json> =
            values.map(|note| json!({ "traversal": note.traversal, "statement": note.statement })).collect();
        let range = json!({ "filename": extent.name, "start": position(extent.start), "end": position(extent.end) });
        let snippet = json!({
            "context": extent.context,
            "code": extent.code,
            "start_line": extent.start.line,
            "highlight_start_offset": extent.highlight_start,
            "highlight_end_offset": extent.highlight_end,
            "values": values,
        });
        out.insert("range".into(), range);
        out.insert("snippet".into(), snippet);
    }
    for (name, callers) in [("module_calls", diagnostic.chain()), ("also_in", diagnostic.also())] {
        if !callers.is_empty() {
            out.insert(name.into(), callers.iter().map(|one| caller(one, sources)).collect());
        }
    }
    if !diagnostic.hints.is_empty() {
        out.insert("hints".into(), json!(diagnostic.hints));
    }
    Json::Object(out)
}
