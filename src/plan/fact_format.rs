//! Facts as JSON, for saved plans and for going on with a run after a crash.

use serde_json::{Value as Json, json};

use super::fact::{Fact, Facts, Imported, JournalEntry};
use crate::provider::{Observation, Readiness};
use crate::value::{Keep, Sealed, Value, encode_kept, encode_type, parse_type};

pub(super) fn encode(facts: &Facts, keep: Keep<'_>) -> Json {
    let one = |key: &str, fact: &Fact| match fact {
        // What an environment variable holds is a secret until somebody says otherwise.
        Fact::Text(Some(text)) if key.starts_with("env ") => keep.bytes(text.as_bytes()).to_json(),
        Fact::Text(text) => json!({ "text": text }),
        Fact::Sealed(kept) => kept.to_json(),
        Fact::Observed(Observation::Absent) => json!({ "absent": true }),
        Fact::Observed(Observation::Unreadable(why)) => json!({ "unreadable": why }),
        Fact::Observed(Observation::Present { attributes, readiness }) => {
            json!({ "present": typed(attributes, keep), "readiness": readiness })
        }
        Fact::Read(Ok(value)) => json!({ "read": typed(value, keep) }),
        Fact::Read(Err(why)) => json!({ "not_read": why }),
        Fact::Imported(Imported::Present { attributes, identity }) => {
            json!({ "imported": typed(attributes, keep), "identity": identity })
        }
        Fact::Imported(Imported::Absent) => json!({ "not_there": true }),
        Fact::Imported(Imported::Failed(why)) => json!({ "not_imported": why }),
        Fact::Imported(Imported::NotAsked) => json!({ "not_asked": true }),
        Fact::Digest(Ok((digest, size))) => json!({ "digest": digest, "size": size }),
        Fact::Digest(Err(why)) => json!({ "no_digest": why }),
        Fact::Previewed(preview) => json!({ "previewed": preview }),
        Fact::Journal(Ok(entries)) => json!({ "journal": entries }),
        Fact::Journal(Err(why)) => json!({ "no_journal": why }),
    };
    Json::Object(facts.0.iter().map(|(key, fact)| (key.clone(), one(key, fact))).collect())
}

/// A value with its type, for whoever decodes a fact has no schema at hand.
fn typed(value: &Value, keep: Keep<'_>) -> Json {
    json!({ "type": encode_type(&value.ty()), "value": encode_kept(value, keep) })
}

fn untyped(json: &Json) -> Result<Value, String> {
    let ty = json.get("type").and_then(parse_type).ok_or("a fact's type is missing")?;
    crate::value::decode(json.get("value").unwrap_or(&Json::Null), &ty).map_err(|e| e.to_string())
}

pub(super) fn decode(json: &Json) -> Result<Facts, String> {
    let all = json.as_object().ok_or("the facts are no object")?;
    let mut facts = Facts::default();
    for (key, json) in all {
        facts.0.insert(key.clone(), decode_one(json).map_err(|e| format!("the fact {key:?}: {e}"))?);
    }
    Ok(facts)
}

fn decode_one(json: &Json) -> Result<Fact, String> {
    let text = |name: &str| json.get(name).and_then(Json::as_str).map(str::to_owned);
    if let Some(value) = json.get("text") {
        return Ok(Fact::Text(value.as_str().map(str::to_owned)));
    }
    if let Some(sealed) = Sealed::from_json(json) {
        return Ok(Fact::Sealed(sealed));
    }
    if json.get("absent").is_some() {
        return Ok(Fact::Observed(Observation::Absent));
    }
    if let Some(why) = text("unreadable") {
        return Ok(Fact::Observed(Observation::Unreadable(why)));
    }
    if let Some(present) = json.get("present") {
        let readiness = json.get("readiness").cloned().unwrap_or(Json::Null);
        let readiness: Readiness = serde_json::from_value(readiness).map_err(|e| e.to_string())?;
        return Ok(Fact::Observed(Observation::Present { attributes: untyped(present)?, readiness }));
    }
    if let Some(read) = json.get("read") {
        return Ok(Fact::Read(Ok(untyped(read)?)));
    }
    if let Some(why) = text("not_read") {
        return Ok(Fact::Read(Err(why)));
    }
    if let Some(imported) = json.get("imported") {
        let identity = json.get("identity").cloned().unwrap_or(Json::Null);
        return Ok(Fact::Imported(Imported::Present { attributes: untyped(imported)?, identity }));
    }
    if json.get("not_there").is_some() {
        return Ok(Fact::Imported(Imported::Absent));
    }
    if let Some(why) = text("not_imported") {
        return Ok(Fact::Imported(Imported::Failed(why)));
    }
    if json.get("not_asked").is_some() {
        return Ok(Fact::Imported(Imported::NotAsked));
    }
    if let Some(digest) = text("digest") {
        return Ok(Fact::Digest(Ok((digest, json.get("size").and_then(Json::as_u64)))));
    }
    if let Some(why) = text("no_digest") {
        return Ok(Fact::Digest(Err(why)));
    }
    if let Some(entries) = json.get("journal") {
        let entries: Vec<JournalEntry> = serde_json::from_value(entries.clone()).map_err(|e| e.to_string())?;
        return Ok(Fact::Journal(Ok(entries)));
    }
    if let Some(preview) = json.get("previewed") {
        return Ok(Fact::Previewed(serde_json::from_value(preview.clone()).map_err(|e| e.to_string())?));
    }
    if let Some(why) = text("no_journal") {
        return Ok(Fact::Journal(Err(why)));
    }
    Err("an unknown kind of fact".into())
}
