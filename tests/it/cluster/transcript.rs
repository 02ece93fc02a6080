//! A long conversation with a server, whose answers were taken down from a real one (`transcript.jsonl`): each line is a
//! request, the code and the answer, with all that differs from run to run replaced.
//!
//! `GANTRY_BLESS=1` with `KUBEBUILDER_ASSETS` takes the answers down anew. A line that begins with `#` is a heading.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::AnyCluster;

const RECORDED: &str = include_str!("transcript.jsonl");

/// What differs from run to run within a text, and what stands in its place.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
        (r"\b10\.0\.\d+\.\d+\b", "ADDRESS"),
        (r"\bgen-[a-z0-9]{5}\b", "gen-RANDOM"),
        (r"in record \(\d+\)", "in record (VERSION)"),
        // An object within a message has its fields in the order of Go.
        (r#""\{.*\}": "#, "OBJECT: "),
    ]
    .map(|(pattern, by)| (Regex::new(pattern).unwrap(), by))
    .into()
});

/// Plays all requests and says where the answers differ from those that were taken down.
pub(crate) async fn differences(cluster: &AnyCluster, blesses: bool) -> Vec<String> {
    let mut differences = Vec::new();
    let mut lines = Vec::new();
    for (number, line) in RECORDED.lines().enumerate() {
        if line.starts_with('#') {
            lines.push(line.to_owned());
            continue;
        }
        let recorded: Value = serde_json::from_str(line).unwrap();
        let (method, path) = recorded["do"].as_str().unwrap().split_once(' ').unwrap();
        let content = recorded["as"].as_str().filter(|content| !content.is_empty()).unwrap_or("application/json");
        let reply = cluster.ask(method, path, content, &recorded["send"]).await;
        let answer = if reply.body.is_null() { json!(reply.text) } else { reply.body };
        let answer = normal(answer);
        if reply.code != recorded["code"].as_u64().unwrap_or(0) as u16 {
            let (was, is) = (&recorded["code"], reply.code);
            differences.push(format!("{}: {} {}\n  code {was}, now {is}: {answer}", number + 1, method, path));
        }
        let mut found = Vec::new();
        differ(&recorded["answer"], &answer, "", &mut found);
        differences.extend(found.iter().map(|one| format!("{}: {method} {path}\n  {one}", number + 1)));
        lines.push(
            json!({
                "do": recorded["do"], "as": recorded["as"], "send": recorded["send"], "code": reply.code, "answer": answer
            })
            .to_string(),
        );
    }
    if blesses {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/cluster/transcript.jsonl");
        std::fs::write(file, lines.join("\n") + "\n").unwrap();
    }
    differences
}

fn differ(was: &Value, is: &Value, path: &str, found: &mut Vec<String>) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
            for name in names {
                let none = Value::Null;
                let one = |of: &Map<String, Value>| of.get(name).unwrap_or(&none).clone();
                let is_present = was.contains_key(name) == is.contains_key(name);
                if is_present {
                    differ(&one(was), &one(is), &format!("{path}.{name}"), found);
                } else {
                    let missing = |of: &Map<String, Value>| of.get(name).map_or("nothing".into(), Value::to_string);
                    found.push(format!("{path}.{name}: was {}, is {}", missing(was), missing(is)));
                }
            }
        }
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            for (index, (was, is)) in was.iter().zip(is).enumerate() {
                differ(was, is, &format!("{path}[{index}]"), found);
            }
        }
        _ if was != is => found.push(format!("{path}:\n    was {was}\n    is  {is}")),
        _ => {}
    }
}

/// Without what differs from run to run.
fn normal(mut value: Value) -> Value {
    sort_managers(&mut value);
    walk(&mut value);
    value
}

/// Managers are sorted by the second at which they came: here by their names, whatever the second.
fn sort_managers(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Array(book)) = members.get_mut("managedFields") {
                book.sort_by_key(|one| {
                    format!("{} {} {}", one["operation"], one["manager"], one.get("subresource").unwrap_or(&json!("")))
                });
            }
            members.values_mut().for_each(sort_managers);
        }
        Value::Array(items) => items.iter_mut().for_each(sort_managers),
        _ => {}
    }
}

fn walk(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, one) in members.iter_mut() {
                match name.as_str() {
                    "resourceVersion" if one.is_string() => *one = json!("VERSION"),
                    "nodePort" => *one = json!("PORT"),
                    "continue" if *one != "" => *one = json!("CONTINUE"),
                    _ => walk(one),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::String(text) => {
            let replaced =
                PATTERNS.iter().fold(text.clone(), |text, (pattern, by)| pattern.replace_all(&text, *by).into_owned());
            // What Go prints of its own structs, and the differences between them, are no one's to imitate.
            *text = match replaced.find("\n@@").or_else(|| {
                replaced.find("Invalid value: {\"labels\":").or_else(|| replaced.find("Invalid value: {\"metadata\":"))
            }) {
                Some(at) => replaced[..at].to_owned(),
                None => replaced,
            };
        }
        _ => {}
    }
}
