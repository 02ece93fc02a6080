//! What can be told to be wrong with a check before it is asked, so that a plan says it and not a run.

use crate::addr::NodeKind;
use crate::probe::Secrets;
use crate::value::{Kind, Map, Type, Value};

/// The largest threshold: more attempts than that are a slip, not a wish.
const THRESHOLD_MAX: u64 = 10_000;

/// What is wrong with a check's configuration, in a sentence without secrets. What of it is known after apply only is taken
/// to be right.
#[must_use]
pub fn unsound(configuration: &Value, kind: NodeKind) -> Option<String> {
    let (plain, _) = configuration.unmark_deep();
    for name in ["success_threshold", "failure_threshold"] {
        let Some(number) = plain.get(name).and_then(Value::as_number) else { continue };
        if !number.to_u64().is_some_and(|n| (1..=THRESHOLD_MAX).contains(&n)) {
            return Some(format!("\"{name}\" must be a whole number from 1 to {THRESHOLD_MAX}, but it is {number}."));
        }
    }
    let why = super::check::read(&filled(&plain, ""), kind).err()?;
    let mut secrets = Vec::new();
    super::check::collect_secrets(configuration, false, &mut secrets);
    let why = Secrets::new(secrets.iter().map(String::as_str)).hide(&why);
    Some(if why.ends_with('.') { why } else { format!("{why}.") })
}

/// The value with something that is right in the place of what is not known yet.
fn filled(value: &Value, name: &str) -> Value {
    let each = |m: &Map| m.iter().map(|(n, v)| (n.clone(), filled(v, n))).collect::<Map>();
    match &value.kind {
        Kind::Unknown(unknown) => match (&unknown.ty, name) {
            (_, "url") => Value::string("http://unknown.invalid/"),
            (_, "address") => Value::string("unknown.invalid:1"),
            (Type::List(_) | Type::Set(_) | Type::Tuple(_), _) => Value::tuple([Value::string("unknown")]),
            (Type::Map(_) | Type::Object(_), _) => Value::object(Map::new()),
            (Type::Any | Type::Number, _) => Value::number(200_i64),
            (_, "method") => Value::string("GET"),
            _ => Value::string("1s"),
        },
        Kind::Object(m) | Kind::Map(_, m) => Value::object(each(m)),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            Value::tuple(items.iter().map(|v| filled(v, name)).collect::<Vec<_>>())
        }
        _ => value.clone(),
    }
}
