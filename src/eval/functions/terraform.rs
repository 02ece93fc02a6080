//! The functions of Terraform's built-in provider: `provider::terraform::encode_tfvars`, `decode_tfvars`, `encode_expr`. A
//! module may call them if its `required_providers` name that provider, which loading checks.

use super::argument::{spend_bytes, text};
use super::build::{Called, function};
use super::template::is_identifier;
use super::{CallContext, Function, FunctionError, hcl_write, place};
use crate::eval::Calls;
use crate::value::{Map, Type, Value};

/// What the text is called in messages.
const ARGUMENT: &str = "<decode_tfvars argument>";

pub(super) fn functions() -> Vec<Function> {
    let a_string = |_: &[Type]| Type::String;
    vec![
        function(
            "provider::terraform::decode_tfvars",
            "The values in the text of a variable file, as an object.",
            |_| Type::Any,
            decode_tfvars,
        )
        .takes("src", Type::String),
        function("provider::terraform::encode_expr", "A value as an expression of the language.", a_string, |c, a| {
            made(c, hcl_write::expression(&a[0]))
        })
        .takes("value", Type::Any),
        function(
            "provider::terraform::encode_tfvars",
            "An object as the text of a variable file.",
            a_string,
            encode_tfvars,
        )
        .takes("value", Type::Any),
    ]
}

fn made(context: &CallContext<'_>, text: String) -> Called {
    spend_bytes(context, text.len())?;
    Ok(Value::string(text))
}

fn encode_tfvars(context: &CallContext<'_>, args: &[Value]) -> Called {
    let Some(variables) = args[0].as_map() else {
        return Err(FunctionError::new(
            "invalid value to encode: must be an object whose attribute names will become the encoded variable names",
        ));
    };
    if let Some(bad) = variables.keys().find(|name| !is_identifier(name)) {
        return Err(FunctionError::new(format!(
            "invalid variable name {bad:?}: must be a valid identifier, per Terraform's rules for input variable declarations"
        )));
    }
    made(context, hcl_write::arguments(variables.iter().map(|(name, value)| (&**name, value))))
}

fn decode_tfvars(context: &CallContext<'_>, args: &[Value]) -> Called {
    let source = text(&args[0])?;
    let syntax = context.host.syntax().ok_or_else(|| FunctionError::new("no variable file can be read here"))?;
    // Reading a text costs more than copying it.
    (context.spend)(1 + source.len() as u64 / 4)?;
    let arguments = (syntax.arguments)(source, place::FILE).map_err(|why| {
        let blocks = why.iter().all(|d| d.summary.starts_with("Unexpected \""));
        let part = if blocks { "content" } else { "syntax" };
        FunctionError::new(format!("invalid tfvars {part}: {}", place::all(&why, ARGUMENT, source)))
    })?;
    let mut out = Vec::new();
    for (name, term) in arguments {
        let value = (context.render)(&term, &Map::new(), Calls::None).map_err(|e| {
            let why = place::one(&e, ARGUMENT, source);
            FunctionError::new(format!("invalid expression for variable \"{name}\": {why}"))
        })?;
        out.push((name, value));
    }
    Ok(Value::object(out.into_iter().collect()))
}
