//! Arguments as the functions want them, and results as they make them.
//!
//! The evaluator has converted every argument already, so that a wrong kind here would be a slip in the table; it is
//! answered as an error all the same, for a user's input must never bring the process down.

use super::{CallContext, FunctionError};
use crate::value::{Kind, Map, Marks, Number, Type, Value, normal, unify};

/// A string.
pub(super) fn text(value: &Value) -> Result<&str, FunctionError> {
    value.as_str().ok_or_else(|| FunctionError::new("a string is required"))
}

/// A number.
pub(super) fn number(value: &Value) -> Result<&Number, FunctionError> {
    value.as_number().ok_or_else(|| FunctionError::new("a number is required"))
}

/// A machine integer.
pub(super) fn whole(value: &Value) -> Result<i64, FunctionError> {
    number(value)?.to_i64().ok_or_else(|| {
        FunctionError::new("value must be a whole number, between -9223372036854775808 and 9223372036854775807")
    })
}

/// The items of a list, set or tuple.
pub(super) fn items(value: &Value) -> Result<&[Value], FunctionError> {
    value.as_items().ok_or_else(|| FunctionError::new("a list is required"))
}

/// The elements of a map or object.
pub(super) fn map(value: &Value) -> Result<&Map, FunctionError> {
    value.as_map().ok_or_else(|| FunctionError::new("a map is required"))
}

/// A new string. Terraform keeps all text in normalization form C, so that equal-looking texts are equal.
pub(super) fn string(text: impl AsRef<str>) -> Value {
    Value::string(normal(text.as_ref()).as_ref())
}

/// Spends for that many bytes.
pub(super) fn spend_bytes(context: &CallContext<'_>, bytes: usize) -> Result<(), FunctionError> {
    (context.spend)(bytes as u64 / 64 + 1)
}

/// Spends for that many elements.
pub(super) fn spend_items(context: &CallContext<'_>, items: usize) -> Result<(), FunctionError> {
    (context.spend)(items as u64)
}

/// The type of what is in a collection of this type, [`Type::Any`] where that is open.
pub(super) fn element_type(ty: &Type) -> Type {
    match ty {
        Type::List(t) | Type::Set(t) | Type::Map(t) => (**t).clone(),
        Type::Tuple(all) => unify(all).unwrap_or(Type::Any),
        Type::Object(all) => unify(&all.values().map(|a| a.ty.clone()).collect::<Vec<_>>()).unwrap_or(Type::Any),
        _ => Type::Any,
    }
}

/// Not known yet: of this type, with these marks.
pub(super) fn opaque(ty: Type, marks: Marks) -> Value {
    Value::opaque(ty).mark(marks)
}

/// A list of the items if they are of one type already and `list` says so; else a tuple.
pub(super) fn sequence_like(model: &Value, items: Vec<Value>) -> Value {
    match &model.kind {
        Kind::List(t, _) | Kind::Set(t, _) => Value::list(t.clone(), items),
        _ => Value::tuple(items),
    }
}

/// Whether two values are the same, as `==` has it: values of different types never are. `None` while that is not known.
pub(super) fn equal(a: &Value, b: &Value) -> Option<bool> {
    let (a, _) = a.unmark_deep();
    let (b, _) = b.unmark_deep();
    if !a.is_wholly_known() || !b.is_wholly_known() {
        return None;
    }
    // Null equals null whatever its type.
    Some((a.is_null() && b.is_null()) || a == b)
}
