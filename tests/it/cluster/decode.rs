//! Reading an object as Go would: unknown fields are found, what does not fit is refused, and what a Go value cannot
//! tell from nothing is gone afterwards. Quantities come out in their canonical form.

use serde_json::{Map, Value, json};

use super::schema::{Kind, Struct, Ty};
use super::status::{Answer, Failure};

/// What is lenient and what is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Strictness {
    Ignore,
    Warn,
    Strict,
}

/// An object as its Go type holds it, and the unknown fields that were dropped.
pub(crate) fn decode(kind: &Kind, value: &Value) -> Answer<(Value, Vec<String>)> {
    let mut reader = Reader { unknown: Vec::new(), lenient: kind.custom };
    let fits = misfit(kind, value);
    let decoded = fits.and_then(|()| reader.read(&kind.ty, value, &kind.kind, "")).map_err(|why| {
        Failure::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {why}",
            kind.kind, kind.version, kind.kind
        ))
    })?;
    Ok((decoded.unwrap_or_else(|| json!({})), reader.unknown))
}

/// Why Go could not read an object.
pub(crate) fn misfit(kind: &Kind, value: &Value) -> Result<(), String> {
    let mut reader = Reader { unknown: Vec::new(), lenient: kind.custom };
    reader.read(&kind.ty, value, &kind.kind, "")?;
    let data = (kind.kind == "Secret" && kind.group.is_empty()).then(|| value["data"].as_object()).flatten();
    for text in data.into_iter().flatten().filter_map(|(_, one)| one.as_str()) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        if let Some(at) = text.find(|c| !plain(c)) {
            return Err(format!("illegal base64 data at input byte {at}"));
        }
    }
    Ok(())
}

/// The answer to unknown fields where they are refused.
pub(crate) fn refuse_unknown(kind: &Kind, unknown: &[String], strictness: Strictness) -> Answer<()> {
    if unknown.is_empty() || strictness != Strictness::Strict {
        return Ok(());
    }
    let (name, said) = (&kind.kind, strict_error(unknown));
    Err(Failure::bad_request(format!("{name} in version \"{}\" cannot be handled as a {name}: {said}", kind.version)))
}

/// `strict decoding error: unknown field "a", unknown field "b"`
pub(crate) fn strict_error(unknown: &[String]) -> String {
    let fields: Vec<String> = unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect();
    format!("strict decoding error: {}", fields.join(", "))
}

struct Reader {
    unknown: Vec<String>,
    /// What does not fit is kept for the validation to find.
    lenient: bool,
}

/// Booleans that are no pointers in Go: `false` is nothing.
const PLAIN_BOOLS: [&str; 9] = [
    "paused",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "stdin",
    "stdinOnce",
    "tty",
    "readOnly",
    "publishNotReadyAddresses",
];
/// Numbers that are no pointers in Go: zero is nothing.
const PLAIN_NUMBERS: [&str; 4] = ["minReadySeconds", "initialDelaySeconds", "hostPort", "nodePort"];
/// Texts that are pointers in Go: the empty one is something.
const POINTER_TEXTS: [&str; 4] = ["storageClassName", "ingressClassName", "runtimeClassName", "type"];

impl Reader {
    /// None if nothing is left of it.
    fn read(&mut self, ty: &Ty, value: &Value, owner: &str, path: &str) -> Result<Option<Value>, String> {
        let owner = match ty {
            Ty::Ref(name) => name.rsplit('.').next().unwrap_or(owner),
            _ => owner,
        };
        let misfit = |go: &str| Err(mismatch(value, owner, path, go));
        let is_kept = self.lenient && !fits(ty, value);
        Ok(match (ty.resolved(), value) {
            (_, Value::Null) => None,
            (_, value) if is_kept => Some(value.clone()),
            (Ty::Atomic(inner), value) => return self.read(inner, value, owner, path),
            (Ty::Struct(shape), Value::Object(members)) => {
                Some(Value::Object(self.read_struct(shape, members, owner, path)?))
            }
            (Ty::Map { item, .. }, Value::Object(members)) => {
                let mut map = Map::new();
                for (name, one) in members {
                    let read = self.read(item, one, owner, path)?;
                    map.insert(name.clone(), read.unwrap_or_else(|| json!("")));
                }
                Some(Value::Object(map))
            }
            (Ty::List { item, .. }, Value::Array(items)) => {
                let mut list = Vec::new();
                for (index, one) in items.iter().enumerate() {
                    list.push(self.read(item, one, owner, &format!("{path}[{index}]"))?.unwrap_or(Value::Null));
                }
                Some(Value::Array(list))
            }
            (Ty::Struct(_), _) => return misfit(&format!("v1.{owner}")),
            (Ty::Map { .. }, _) => return misfit("map[string]string"),
            (Ty::List { .. }, _) => return misfit("[]string"),
            (Ty::String, value) if !value.is_string() => return misfit("string"),
            (Ty::Bool, value) if !value.is_boolean() => return misfit("bool"),
            (Ty::Int, value) if !value.is_number() => return misfit("int32"),
            (Ty::Quantity, value) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let why = "quantities must match the regular expression \
                           '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                Some(json!(quantity(&text).ok_or(why)?))
            }
            (_, value) => Some(value.clone()),
        })
    }

    fn read_struct(
        &mut self,
        shape: &Struct,
        members: &Map<String, Value>,
        owner: &str,
        path: &str,
    ) -> Result<Map<String, Value>, String> {
        let mut out = Map::new();
        for (name, one) in members {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let Some(field) = shape.fields.get(name) else {
                if shape.open {
                    out.insert(name.clone(), one.clone());
                } else {
                    self.unknown.push(path);
                }
                continue;
            };
            let read = self.read(field, one, owner, &path)?;
            if let Some(read) =
                read.filter(|read| shape.custom.is_some() || !is_nothing(shape, owner, name, field, read))
            {
                out.insert(name.clone(), read);
            }
        }
        if shape.go || shape.custom.is_some() {
            for name in &shape.zero {
                let mut empty = Map::new();
                fill_zero(&shape.fields[name], &mut empty);
                out.entry(name.clone()).or_insert(Value::Object(empty));
            }
        }
        Ok(out)
    }
}

fn fits(ty: &Ty, value: &Value) -> bool {
    match ty.resolved() {
        Ty::Struct(_) | Ty::Map { .. } => value.is_object(),
        Ty::List { .. } => value.is_array(),
        Ty::String => value.is_string(),
        Ty::Bool => value.is_boolean(),
        Ty::Int => value.is_number(),
        _ => true,
    }
}

fn fill_zero(ty: &Ty, out: &mut Map<String, Value>) {
    let Some(shape) = ty.as_struct() else { return };
    for name in &shape.zero {
        let mut empty = Map::new();
        fill_zero(&shape.fields[name], &mut empty);
        out.insert(name.clone(), Value::Object(empty));
    }
}

/// Whether Go leaves a field out when it writes the value again.
fn is_nothing(shape: &Struct, owner: &str, name: &str, field: &Ty, value: &Value) -> bool {
    if !shape.go || shape.required.iter().any(|one| one == name) {
        return false;
    }
    match (field.resolved(), value) {
        (Ty::List { .. }, Value::Array(items)) => items.is_empty(),
        (Ty::Map { .. }, Value::Object(members)) => members.is_empty(),
        (_, Value::String(text)) => text.is_empty() && !POINTER_TEXTS.contains(&name),
        (_, Value::Bool(on)) => !on && PLAIN_BOOLS.contains(&name),
        (_, Value::Number(number)) => {
            number.as_i64() == Some(0)
                && (PLAIN_NUMBERS.contains(&name) || (owner.ends_with("Status") && name != "collisionCount"))
        }
        _ => false,
    }
}

fn mismatch(value: &Value, owner: &str, path: &str, go: &str) -> String {
    let what = match value {
        Value::String(_) => "string".to_owned(),
        Value::Number(_) => "number".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Array(_) => "array".to_owned(),
        _ => "object".to_owned(),
    };
    let mut plain = String::new();
    let mut is_index = false;
    for c in path.chars() {
        is_index = (is_index || c == '[') && c != ']';
        if !is_index && c != ']' {
            plain.push(c);
        }
    }
    format!("json: cannot unmarshal {what} into Go struct field {owner}.{plain} of type {go}")
}

/// The canonical form of a quantity (`apimachinery/pkg/api/resource`).
pub(crate) fn quantity(text: &str) -> Option<String> {
    let nano = quantity_nano(text)?;
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let suffix = &text[end..];
    if suffix.starts_with(['e', 'E']) && suffix.len() > 1 {
        return Some(text.to_owned());
    }
    let unit = 1_000_000_000_i128;
    let is_binary = suffix.ends_with('i');
    if is_binary && nano % unit == 0 && (nano / unit).abs() >= 1024 {
        let (mut whole, mut power) = (nano / unit, 0);
        while whole % 1024 == 0 && power < 6 {
            whole /= 1024;
            power += 1;
        }
        return Some(format!("{whole}{}", ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power]));
    }
    if nano == 0 {
        return Some("0".into());
    }
    let (mut number, mut power) = (nano, 0);
    while number % 1000 == 0 && power < 9 {
        number /= 1000;
        power += 1;
    }
    Some(format!("{number}{}", ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"][power]))
}

/// A quantity in thousand-millionths.
pub(crate) fn quantity_nano(text: &str) -> Option<i128> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !"+-.".contains(c)).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let scale: i128 = match suffix {
        "n" => 1,
        "u" => 1_000,
        "m" => 1_000_000,
        "" => 1_000_000_000,
        "k" => 10_i128.pow(12),
        "M" => 10_i128.pow(15),
        "G" => 10_i128.pow(18),
        "T" => 10_i128.pow(21),
        "P" => 10_i128.pow(24),
        "E" => 10_i128.pow(27),
        "Ki" => 1_000_000_000 << 10,
        "Mi" => 1_000_000_000 << 20,
        "Gi" => 1_000_000_000 << 30,
        "Ti" => 1_000_000_000 << 40,
        "Pi" => 1_000_000_000 << 50,
        "Ei" => 1_000_000_000 << 60,
        exponent => {
            let power: u32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            10_i128.pow(power.min(18)) * 1_000_000_000
        }
    };
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let power = 10_i128.pow(u32::try_from(part.len()).ok()?);
    // What is finer than can be held is rounded up.
    let fraction = (fraction * scale + power - 1) / power;
    Some(sign * (whole * scale + fraction))
}
