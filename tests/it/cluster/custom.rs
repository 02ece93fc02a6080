//! Custom resources: defaults and validation by the schema of their definition.

use serde_json::{Value, json};

use super::status::Cause;

/// Fills in the defaults of an OpenAPI schema.
pub(crate) fn fill_in(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = field.get("default")
                    && !members.contains_key(name)
                {
                    members.insert(name.clone(), default.clone());
                }
                if let Some(member) = members.get_mut(name) {
                    fill_in(field, member);
                }
            }
            if let Some(item) = schema.get("additionalProperties") {
                members.values_mut().for_each(|one| fill_in(item, one));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|one| fill_in(&schema["items"], one)),
        _ => {}
    }
}

/// What does not fit a schema.
pub(crate) fn validate(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    if let Some(expected) = schema["type"].as_str()
        && !fits(expected, value)
        && schema["x-kubernetes-int-or-string"] != true
    {
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let message = format!("Invalid value: \"{is}\": {path} in body must be of type {expected}: \"{is}\"");
        causes.push(Cause { reason: "FieldValueTypeInvalid", message, field: path.into() });
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let allowed: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        causes.push(Cause::unsupported(path, value.as_str().unwrap_or_default(), &allowed));
    }
    limits(schema, value, path, causes);
    match value {
        Value::Object(members) => {
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(name) {
                    causes.push(Cause::required(join(path, name), ""));
                }
            }
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(member) = members.get(name).filter(|_| !(path.is_empty() && name == "metadata")) {
                    validate(field, member, &join(path, name), causes);
                }
            }
            if let Some(item) = schema.get("additionalProperties").filter(|item| item.is_object()) {
                members.iter().for_each(|(name, one)| validate(item, one, &join(path, name), causes));
            }
        }
        Value::Array(items) => {
            for (index, one) in items.iter().enumerate() {
                validate(&schema["items"], one, &format!("{path}[{index}]"), causes);
            }
        }
        _ => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn fits(expected: &str, value: &Value) -> bool {
    match expected {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    }
}

fn limits(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    if let Some(number) = value.as_f64() {
        if schema["minimum"].as_f64().is_some_and(|least| number < least) {
            let what = format!("{path} in body should be greater than or equal to {}", schema["minimum"]);
            causes.push(Cause::invalid(path, value, &what));
        }
        if schema["maximum"].as_f64().is_some_and(|most| number > most) {
            let what = format!("{path} in body should be less than or equal to {}", schema["maximum"]);
            causes.push(Cause::invalid(path, value, &what));
        }
    }
    if let Some(text) = value.as_str() {
        if let Some(pattern) = schema["pattern"].as_str()
            && !regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
        {
            let what = format!("{path} in body should match '{pattern}'");
            causes.push(Cause::invalid(path, &json!(text), &what));
        }
        if schema["minLength"].as_u64().is_some_and(|least| (text.len() as u64) < least) {
            let what = format!("{path} in body should be at least {} chars long", schema["minLength"]);
            causes.push(Cause::invalid(path, &json!(text), &what));
        }
        if schema["maxLength"].as_u64().is_some_and(|most| (text.len() as u64) > most) {
            let message = format!("Too long: may not be more than {} bytes", schema["maxLength"]);
            causes.push(Cause { reason: "FieldValueTooLong", message, field: path.into() });
        }
    }
}
