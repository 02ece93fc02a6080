//! Type conversion, and the functions that set and take marks. (`type` belongs to the console, `try` and `can` to the
//! evaluator.)

use super::argument::{spend_items, text};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError};
use crate::eval::Answer;
use crate::value::{Kind, Marks, Type, Value, convert};

pub(super) fn functions() -> Vec<Function> {
    let mut all = conversions();
    all.extend(marks());
    all
}

fn conversions() -> Vec<Function> {
    vec![
        function("tobool", "The value as a bool.", |_| Type::Bool, |_, a| to(&a[0], &Type::Bool))
            .takes("v", Type::Any)
            .null()
            .unknown(),
        function("tonumber", "The value as a number.", |_| Type::Number, |_, a| to(&a[0], &Type::Number))
            .takes("v", Type::Any)
            .null()
            .unknown(),
        function("tostring", "The value as a string.", |_| Type::String, |_, a| to(&a[0], &Type::String))
            .takes("v", Type::Any)
            .null()
            .unknown(),
        function("tolist", "The value as a list.", |_| Type::Any, |c, a| collection(c, &a[0], Type::list))
            .takes("v", Type::Any)
            .null()
            .unknown()
            .marked(),
        function("tomap", "The value as a map.", |_| Type::Any, |c, a| collection(c, &a[0], Type::map))
            .takes("v", Type::Any)
            .null()
            .unknown()
            .marked(),
        function("toset", "The value as a set.", |_| Type::Any, |c, a| collection(c, &a[0], Type::set))
            .takes("v", Type::Any)
            .null()
            .unknown()
            .marked(),
    ]
}

fn marks() -> Vec<Function> {
    vec![
        function("env", "The text of an environment variable, marked sensitive.", |_| Type::String, env)
            .takes("name", Type::String),
        function(
            "ephemeralasnull",
            "The value with every ephemeral part as null.",
            |t| t[0].clone(),
            |_, a| {
                let as_null = |part: Value| {
                    if part.marks.has(Marks::EPHEMERAL) {
                        return Value::null(part.ty()).mark(part.marks.without(Marks::EPHEMERAL));
                    }
                    part
                };
                Ok(a[0].map_parts(&mut { as_null }))
            },
        )
        .takes("value", Type::Any)
        .null()
        .unknown()
        .marked(),
        function(
            "issensitive",
            "Whether the value is marked sensitive.",
            |_| Type::Bool,
            |_, a| {
                Ok(match &a[0].kind {
                    _ if a[0].marks.is_sensitive() => Value::bool(true),
                    Kind::Unknown(_) => Value::opaque(Type::Bool),
                    _ => Value::bool(false),
                })
            },
        )
        .takes("value", Type::Any)
        .null()
        .unknown()
        .marked(),
        function(
            "nonsensitive",
            "The value without its mark as sensitive.",
            |t| t[0].clone(),
            |_, a| Ok(Value { kind: a[0].kind.clone(), marks: a[0].marks.without(Marks::SENSITIVE) }),
        )
        .takes("value", Type::Any)
        .null()
        .unknown()
        .marked(),
        function("sensitive", "The value marked sensitive.", |t| t[0].clone(), |_, a| Ok(a[0].clone().sensitive()))
            .takes("value", Type::Any)
            .null()
            .unknown()
            .marked(),
    ]
}

fn to(value: &Value, ty: &Type) -> Called {
    convert(value, ty).map_err(|_| refuse(value, ty))
}

fn refuse(value: &Value, ty: &Type) -> FunctionError {
    let wanted = match ty {
        Type::List(_) => "list of any single type".to_owned(),
        Type::Set(_) => "set of any single type".to_owned(),
        Type::Map(_) => "map of any single type".to_owned(),
        other => other.friendly(),
    };
    let discreet = match ty {
        Type::Bool => "it is neither \"true\" nor \"false\"",
        Type::Number => "it is not the decimal representation of a number",
        _ => "it cannot be converted to that type",
    };
    let error = FunctionError::at(
        0,
        match (value.as_str(), ty) {
            _ if value.marks.is_sensitive() => {
                format!("cannot convert this sensitive {} to {wanted}", value.ty().friendly())
            }
            (Some(s), Type::Bool) => {
                format!("cannot convert {s:?} to bool; only the strings \"true\" or \"false\" are allowed")
            }
            (Some(s), Type::Number) => {
                format!("cannot convert {s:?} to number; given string must be a decimal representation of a number")
            }
            _ => format!("cannot convert {} to {wanted}", value.ty().friendly()),
        },
    );
    // What stays marked the message does not show.
    if value.marks.is_sensitive() { error } else { error.discreetly(discreet) }
}

fn collection(context: &CallContext<'_>, value: &Value, wrap: fn(Type) -> Type) -> Called {
    let open = wrap(Type::Any);
    spend_items(context, value.children().count())?;
    convert(value, &open).map_err(|_| refuse(value, &open))
}

fn env(context: &CallContext<'_>, args: &[Value]) -> Called {
    let name = text(&args[0])?;
    Ok(match context.host.variable(name) {
        Answer::Known(value) => super::argument::string(value).sensitive(),
        Answer::Pending => Value::opaque(Type::String).sensitive(),
        Answer::Missing(why) => {
            let named = if why.contains(name) { why } else { format!("environment variable \"{name}\": {why}") };
            let unset = named.ends_with("is not set");
            let error = FunctionError::at(0, named);
            if !unset {
                return Err(error);
            }
            let hint = format!(
                "Set it where gantry runs (export {name}=…), or say what holds without it: try(env(\"{name}\"), \"…\")."
            );
            return Err(error.hint(hint));
        }
    })
}
