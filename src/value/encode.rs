//! Values as JSON for records, plan files and digests: exact, and with secrets as keyed digests.
//!
//! A number is `{"$number": "1.5"}`, a sensitive part `{"$hmac": "…"}`, or `{"$hmac": "…", "$age": "…"}` where it is sealed so
//! that it can come back, a part known after apply `{"$unknown": "TERM"}`; names that start with `$` get another one, so that no
//! user's map can be taken for one of these. Types are not in it:
//! whoever decodes knows them from a schema or a variable's declaration; where nobody does, [`encode_typed`] adds them as
//! `{"$typed": {"type": …, "value": …}}`.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::{Attribute, Kind, Marks, Number, Sealed, Type, Unknown, Value};

/// The name under which a keyed digest stands for a sensitive part.
pub const HMAC: &str = "$hmac";
/// The name under which the canonical term of a part stands that is known after apply.
pub const UNKNOWN: &str = "$unknown";
/// The name under which, beside its digest, a sensitive part stands that is sealed for those who may open it.
pub const AGE: &str = "$age";
const NUMBER: &str = "$number";
const TYPED: &str = "$typed";

/// Digests what is sensitive under a ledger's key.
pub type Seal<'a> = &'a dyn Fn(&[u8]) -> String;

/// Seals what is sensitive for whoever may open it again.
pub trait Sealer: Send + Sync {
    /// The sealed form of a text; `digest` is its keyed digest, by which the same text is known again.
    fn seal(&self, digest: &str, text: &[u8]) -> Arc<str>;
}

/// Opens what a [`Sealer`] sealed.
pub trait Opener: Send + Sync {
    /// The text that was sealed; `None` where nobody here may open it.
    fn open(&self, sealed: &str) -> Option<Vec<u8>>;
}

/// How what is sensitive is kept: by its digest alone, or sealed beside it.
#[derive(Clone, Copy)]
pub struct Keep<'a> {
    digest: Seal<'a>,
    sealer: Option<&'a dyn Sealer>,
    /// Whether what somebody else sealed, and nobody opened here, stays beside its digest.
    carries: bool,
}

impl<'a> Keep<'a> {
    /// Digests, and sealed forms where there is somebody to seal.
    #[must_use]
    pub fn new(digest: Seal<'a>, sealer: Option<&'a dyn Sealer>) -> Self {
        Self { digest, sealer, carries: true }
    }

    /// Digests only: for comparing, and for what nobody gets back.
    #[must_use]
    pub fn digests(digest: Seal<'a>) -> Self {
        Self { digest, sealer: None, carries: false }
    }

    /// Sealed is only what is at hand now, so that a seal tells that it was.
    #[must_use]
    pub fn at_hand(self) -> Self {
        Self { carries: false, ..self }
    }

    /// Whether anything is sealed.
    #[must_use]
    pub fn seals(&self) -> bool {
        self.sealer.is_some()
    }

    /// How a text that is a secret as it stands is kept.
    #[must_use]
    pub fn bytes(&self, text: &[u8]) -> Sealed {
        let digest = (self.digest)(text);
        Sealed { text: self.sealer.map(|s| s.seal(&digest, text)), digest: digest.into() }
    }
}

/// A value as JSON. Sensitive parts become keyed digests of their own encoding, ephemeral ones null.
#[must_use]
pub fn encode(value: &Value, seal: Seal<'_>) -> Json {
    encode_kept(value, Keep::digests(seal))
}

/// [`encode`] for what is written down: sensitive parts are sealed beside their digests, where there is somebody to seal.
#[must_use]
pub fn encode_kept(value: &Value, keep: Keep<'_>) -> Json {
    if value.marks.has(Marks::EPHEMERAL) {
        return Json::Null;
    }
    if let Some(Sealed { digest, text }) = value.sealed_form() {
        return secret(digest, text.as_deref().filter(|_| keep.carries && keep.seals()));
    }
    if value.marks.is_sensitive() && !value.is_null() {
        if !value.is_wholly_known() {
            return json!({ UNKNOWN: "(sensitive)" });
        }
        let (plain, marks) = value.unmark_deep();
        let digest = (keep.digest)(encode(&plain, keep.digest).to_string().as_bytes());
        // What is ephemeral must not come back, whatever it stands in.
        let sealer = keep.sealer.filter(|_| !marks.has(Marks::EPHEMERAL));
        let sealed = sealer.map(|s| s.seal(&digest, encode_typed(&plain, keep.digest).to_string().as_bytes()));
        return secret(&digest, sealed.as_deref());
    }
    match &value.kind {
        Kind::Null(_) => Json::Null,
        Kind::Bool(b) => Json::Bool(*b),
        Kind::Number(n) => json!({ NUMBER: n.to_string() }),
        Kind::String(s) => Json::String((**s).to_owned()),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            items.iter().map(|v| encode_kept(v, keep)).collect()
        }
        Kind::Map(_, m) | Kind::Object(m) => {
            Json::Object(m.iter().map(|(k, v)| (escape(k), encode_kept(v, keep))).collect())
        }
        Kind::Unknown(Unknown { residual, .. }) => {
            json!({ UNKNOWN: residual.as_ref().map_or_else(String::new, super::Residual::text) })
        }
    }
}

fn secret(digest: &str, sealed: Option<&str>) -> Json {
    match sealed {
        Some(sealed) => json!({ HMAC: digest, AGE: sealed }),
        None => json!({ HMAC: digest }),
    }
}

/// Recorded JSON with the digests alone of what is sealed: two sealings of one secret differ, their digests do not.
#[must_use]
pub fn without_seals(json: &Json) -> Json {
    match json {
        Json::Object(o) if o.contains_key(HMAC) && o.contains_key(AGE) => json!({ HMAC: o[HMAC] }),
        Json::Object(o) => Json::Object(o.iter().map(|(k, v)| (k.clone(), without_seals(v))).collect()),
        Json::Array(items) => items.iter().map(without_seals).collect(),
        other => other.clone(),
    }
}

/// The value with everything open in it that is sealed and can be opened. What opens to another text than its digest says stays
/// as it was: somebody put it there.
#[must_use]
pub fn open_sealed(value: &Value, seal: Seal<'_>, opener: &dyn Opener) -> Value {
    if !value.has_sealed() {
        return value.clone();
    }
    value.map_parts(&mut |part| {
        let Kind::Unknown(unknown) = &part.kind else { return part };
        match part.sealed_form().and_then(|sealed| open_one(sealed, &unknown.ty, seal, opener)) {
            Some(open) => open.mark(part.marks),
            None => part,
        }
    })
}

fn open_one(sealed: &Sealed, ty: &Type, seal: Seal<'_>, opener: &dyn Opener) -> Option<Value> {
    let text = opener.open(sealed.text.as_deref()?)?;
    let value = decode(&serde_json::from_slice(&text).ok()?, ty).ok()?;
    let same = |v: &Value| seal(encode(v, seal).to_string().as_bytes()) == *sealed.digest;
    // The type that it is wanted as may have been widened since; the digest is that of the value as it was.
    let was = decode(&serde_json::from_slice(&text).ok()?, &Type::Any).ok()?;
    (same(&value) || same(&was)).then_some(value)
}

/// A value as plain JSON with the marks dropped and unknown parts as null: the shape in which targets and people's tools
/// want it. Numbers that fit a double or an integer become JSON numbers.
#[must_use]
pub fn encode_shape(value: &Value) -> Json {
    match &value.kind {
        Kind::Null(_) | Kind::Unknown(_) => Json::Null,
        Kind::Bool(b) => Json::Bool(*b),
        Kind::Number(n) => n
            .to_i64()
            .map_or_else(|| n.to_string().parse::<serde_json::Number>().map_or(Json::Null, Json::Number), |n| json!(n)),
        Kind::String(s) => Json::String((**s).to_owned()),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => items.iter().map(encode_shape).collect(),
        Kind::Map(_, m) | Kind::Object(m) => {
            Json::Object(m.iter().map(|(k, v)| ((**k).to_owned(), encode_shape(v))).collect())
        }
    }
}

/// A value as JSON together with its type where the JSON alone would give another one back: for what no schema or declaration
/// tells the type of, as outputs and attributes of any type. Of what is sensitive as a whole nothing but the digest is told.
#[must_use]
pub fn encode_typed(value: &Value, seal: Seal<'_>) -> Json {
    encode_typed_kept(value, Keep::digests(seal))
}

/// [`encode_typed`] for what is written down, as [`encode_kept`].
#[must_use]
pub fn encode_typed_kept(value: &Value, keep: Keep<'_>) -> Json {
    let plain = encode_kept(value, keep);
    if value.marks.is_sensitive() || value.is_unknown() {
        return plain;
    }
    if tells_its_type(value) {
        return plain;
    }
    json!({ TYPED: { "type": encode_type(&value.ty()), "value": plain } })
}

/// Whether what [`encode`] makes of a value comes back with the same type where no other is asked for.
fn tells_its_type(value: &Value) -> bool {
    match &value.kind {
        Kind::Null(ty) | Kind::Unknown(Unknown { ty, .. }) => *ty == Type::Any,
        _ if value.marks.is_sensitive() || value.marks.has(super::Marks::EPHEMERAL) => false,
        Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => true,
        Kind::Tuple(items) => items.iter().all(tells_its_type),
        Kind::Object(attributes) => attributes.values().all(tells_its_type),
        Kind::List(..) | Kind::Set(..) | Kind::Map(..) => false,
    }
}

fn escape(name: &str) -> String {
    if name.starts_with('$') { format!("${name}") } else { name.to_owned() }
}

/// Why JSON is not a value of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a recorded value does not fit: {0}")]
pub struct DecodeError(String);

/// A value back from its JSON. What was kept by its digest or sealed comes back sensitive and not known; [`open_sealed`] opens it.
///
/// # Errors
/// When the JSON is not one that [`encode`] gives for a value of this type.
pub fn decode(json: &Json, ty: &Type) -> Result<Value, DecodeError> {
    if let Json::Object(o) = json
        && let Some(sealed) = sealed(o)
    {
        return Ok(Value::unknown(ty.clone(), super::Residual::from(sealed)).sensitive());
    }
    if let Json::Object(o) = json
        && o.len() == 1
    {
        if o.contains_key(UNKNOWN) {
            return Ok(Value::opaque(ty.clone()));
        }
        if let Some(typed) = o.get(TYPED) {
            let recorded = parse_type(&typed["type"]).ok_or_else(|| DecodeError("its type cannot be read".into()))?;
            let value = decode(&typed["value"], &recorded)?;
            return super::convert(&value, &open(ty)).map_err(|e| DecodeError(e.to_string()));
        }
    }
    let plain = match json {
        Json::Null => return Ok(Value::null(ty.clone())),
        Json::Bool(b) => Value::bool(*b),
        Json::String(s) => Value::string(s.as_str()),
        Json::Number(n) => number(&n.to_string())?,
        Json::Array(items) => {
            let element = |i: usize| match ty {
                Type::List(t) | Type::Set(t) => (**t).clone(),
                Type::Tuple(all) => all.get(i).cloned().unwrap_or(Type::Any),
                _ => Type::Any,
            };
            let items: Result<Vec<Value>, DecodeError> =
                items.iter().enumerate().map(|(i, j)| decode(j, &element(i))).collect();
            Value::tuple(items?)
        }
        Json::Object(o) => match o.get(NUMBER) {
            Some(Json::String(text)) if o.len() == 1 => number(text)?,
            _ => decode_object(o, ty)?,
        },
    };
    super::convert(&plain, &open(ty)).map_err(|e| DecodeError(e.to_string()))
}

/// What stands in an object for a secret, if it is one.
fn sealed(o: &serde_json::Map<String, Json>) -> Option<Sealed> {
    let text = |name: &str| o.get(name).and_then(Json::as_str).map(Arc::from);
    match o.len() {
        1 => Some(Sealed { digest: text(HMAC)?, text: None }),
        2 => Some(Sealed { digest: text(HMAC)?, text: Some(text(AGE)?) }),
        _ => None,
    }
}

fn number(text: &str) -> Result<Value, DecodeError> {
    text.parse::<Number>().map(Value::number).map_err(|e| DecodeError(e.to_string()))
}

fn decode_object(o: &serde_json::Map<String, Json>, ty: &Type) -> Result<Value, DecodeError> {
    let mut out = Vec::with_capacity(o.len());
    for (k, j) in o {
        let name = k.strip_prefix('$').unwrap_or(k);
        let t = match ty {
            Type::Map(t) => (**t).clone(),
            Type::Object(all) => all.get(name).map_or(Type::Any, |a| a.ty.clone()),
            _ => Type::Any,
        };
        out.push((name.into(), decode(j, &t)?));
    }
    Ok(Value::object(out.into_iter().collect()))
}

/// The type with every attribute optional: a record of an older schema lacks newer attributes.
fn open(ty: &Type) -> Type {
    match ty {
        Type::Object(all) => Type::Object(Arc::new(
            all.iter()
                .map(|(n, a)| (n.clone(), Attribute { ty: open(&a.ty), optional: true, default: None }))
                .collect(),
        )),
        other => other.clone(),
    }
}

/// A type as JSON in Terraform's notation: `"string"`, `["list","string"]`, `["object",{"a":"bool"}]`.
#[must_use]
pub fn encode_type(ty: &Type) -> Json {
    match ty {
        Type::Any => json!("dynamic"),
        Type::Bool => json!("bool"),
        Type::Number => json!("number"),
        Type::String => json!("string"),
        Type::List(t) => json!(["list", encode_type(t)]),
        Type::Set(t) => json!(["set", encode_type(t)]),
        Type::Map(t) => json!(["map", encode_type(t)]),
        Type::Tuple(all) => json!(["tuple", all.iter().map(encode_type).collect::<Vec<_>>()]),
        Type::Object(all) => {
            let attributes: serde_json::Map<String, Json> =
                all.iter().map(|(n, a)| ((**n).to_owned(), encode_type(&a.ty))).collect();
            json!(["object", attributes])
        }
    }
}

/// A type back from [`encode_type`]'s notation; `None` for anything else.
#[must_use]
pub fn parse_type(json: &Json) -> Option<Type> {
    match json {
        Json::String(s) => match s.as_str() {
            "dynamic" => Some(Type::Any),
            "bool" => Some(Type::Bool),
            "number" => Some(Type::Number),
            "string" => Some(Type::String),
            _ => None,
        },
        Json::Array(pair) => match (pair.first()?.as_str()?, pair.get(1)?) {
            ("list", t) => Some(Type::list(parse_type(t)?)),
            ("set", t) => Some(Type::set(parse_type(t)?)),
            ("map", t) => Some(Type::map(parse_type(t)?)),
            ("tuple", Json::Array(all)) => {
                Some(Type::Tuple(all.iter().map(parse_type).collect::<Option<Vec<_>>>()?.into()))
            }
            ("object", Json::Object(all)) => {
                let all: Option<Vec<(&str, Type)>> =
                    all.iter().map(|(n, t)| Some((n.as_str(), parse_type(t)?))).collect();
                Some(Type::object(all?))
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_seal(bytes: &[u8]) -> String {
        format!("digest of {} bytes", bytes.len())
    }

    #[test]
    fn encodes_exactly_and_back() {
        let value = Value::object_of([
            ("$number", Value::string("mine")),
            ("big", Value::number("123456789012345678901234567890".parse::<Number>().unwrap())),
            ("list", Value::strings(["a", "b"])),
            ("none", Value::null(Type::String)),
        ]);
        let json = encode(&value, &no_seal);
        assert_eq!(json["$$number"], "mine");
        assert_eq!(decode(&json, &value.ty()).unwrap(), value);
    }

    #[test]
    fn a_type_that_nobody_knows_comes_back() {
        let list = Value::strings(["a"]);
        let all = [
            super::super::convert(&list, &Type::set(Type::String)).unwrap(),
            super::super::convert(&Value::tuple(Vec::new()), &Type::list(Type::Number)).unwrap(),
            Value::object_of([("n", Value::null(Type::String)), ("l", list)]),
        ];
        for value in all {
            let json = encode_typed(&value, &no_seal);
            let back = decode(&json, &Type::Any).unwrap();
            assert_eq!((back.ty(), &back), (value.ty(), &value), "{json}");
        }
        let plain = Value::object_of([("a", Value::tuple(vec![Value::bool(true)]))]);
        assert_eq!(encode_typed(&plain, &no_seal), encode(&plain, &no_seal), "nothing is added where nothing is lost");
        let secret = Value::strings(["hunter2"]).sensitive();
        assert_eq!(encode_typed(&secret, &no_seal), encode(&secret, &no_seal));
    }

    /// Seals by turning the bytes around, and opens what it sealed.
    struct Turned;

    impl Sealer for Turned {
        fn seal(&self, _: &str, text: &[u8]) -> Arc<str> {
            text.iter().rev().map(|b| char::from(*b)).collect::<String>().into()
        }
    }

    impl Opener for Turned {
        fn open(&self, sealed: &str) -> Option<Vec<u8>> {
            Some(sealed.bytes().rev().collect())
        }
    }

    #[test]
    fn what_is_sealed_comes_back_with_its_type() {
        let set = super::super::convert(&Value::strings(["hunter2"]), &Type::set(Type::String)).unwrap();
        let value = Value::object_of([
            ("set", set.sensitive()),
            ("number", Value::number("1.5".parse::<Number>().unwrap()).sensitive()),
            ("plain", Value::string("seen")),
        ]);
        let json = encode_kept(&value, Keep::new(&no_seal, Some(&Turned)));
        assert_eq!(without_seals(&json), encode(&value, &no_seal), "the digests are those that stand without seals");
        for ty in [value.ty(), Type::Any] {
            let closed = decode(&json, &ty).unwrap();
            assert!(closed.has_sealed() && !closed.is_wholly_known());
            assert_eq!(encode(&closed, &no_seal), encode(&value, &no_seal));
            assert_eq!(
                encode_kept(&closed, Keep::new(&no_seal, Some(&Turned))),
                json,
                "what nobody opened stays sealed"
            );
            let open = open_sealed(&closed, &no_seal, &Turned);
            assert_eq!((open.get("set"), open.get("number")), (value.get("set"), value.get("number")), "{ty}");
            assert!(open.get("set").unwrap().marks.is_sensitive());
        }
        let closed = decode(&json, &value.ty()).unwrap();
        let other_key = |bytes: &[u8]| format!("other digest of {} bytes", bytes.len());
        assert!(
            open_sealed(&closed, &other_key, &Turned).has_sealed(),
            "what is sealed under this digest is another text"
        );
    }

    #[test]
    fn what_is_ephemeral_is_not_sealed() {
        let inner = Value::string("once").mark(Marks::EPHEMERAL);
        let value = Value::object_of([("a", inner)]).sensitive();
        let json = encode_kept(&value, Keep::new(&no_seal, Some(&Turned)));
        assert!(json.get(AGE).is_none(), "{json}");
    }

    #[test]
    fn what_is_sensitive_leaves_no_trace() {
        let value = Value::object_of([("password", Value::string("hunter2").sensitive())]);
        let json = encode(&value, &no_seal);
        assert!(!json.to_string().contains("hunter2"));
        assert!(decode(&json, &value.ty()).unwrap().get("password").unwrap().marks.is_sensitive());
        assert!(!format!("{value:?}").contains("hunter2"));
    }
}
