//! Conversion of values between types: Terraform's rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    Attribute, Kind, Map, Number, Path, PathStep, Refinement, Residual, Type, Unknown, Value, conversion, unify,
};

/// Why a value cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if path.0.is_empty() { String::new() } else { format!("{path}: ") })]
pub struct ConvertError {
    /// Where in the value.
    pub path: Path,
    /// What is needed there, as in "a number is required".
    pub message: String,
}

impl ConvertError {
    fn new(message: impl Into<String>) -> Self {
        Self { path: Path::default(), message: message.into() }
    }

    fn within(mut self, step: PathStep) -> Self {
        self.path.0.insert(0, step);
        self
    }
}

fn article(ty: &Type) -> String {
    match ty {
        Type::Object(_) => "an object is required".into(),
        Type::Tuple(all) => format!("a tuple of {} elements is required", all.len()),
        Type::Any => "a value is required".into(),
        other => format!("a {} is required", other.friendly()),
    }
}

/// Converts a value to a type, as assigning it to a variable or attribute of that type does. Marks stay; what is known
/// after apply stays so, with the new type and what its refinement still says of it.
///
/// # Errors
/// When Terraform has no conversion for it.
pub fn convert(value: &Value, ty: &Type) -> Result<Value, ConvertError> {
    let converted = match (&value.kind, ty) {
        (_, Type::Any) => return Ok(value.clone()),
        (Kind::Null(given), _) => Value::null(conversion(given, ty).ok_or_else(|| ConvertError::new(article(ty)))?),
        (Kind::Unknown(unknown), _) => unknown_as(value, unknown, ty)?,
        (Kind::Bool(_), Type::Bool) | (Kind::Number(_), Type::Number) | (Kind::String(_), Type::String) => {
            return Ok(value.clone());
        }
        (kind, Type::String | Type::Number | Type::Bool) => primitive(kind, ty)?,
        (Kind::Set(given, items), Type::List(t) | Type::Set(t))
            if !items.iter().all(Value::is_wholly_known)
                && !(matches!(ty, Type::Set(_)) && (**t == Type::Any || given == &**t)) =>
        {
            open_set(value, ty)?
        }
        (Kind::Set(given, _), Type::Set(t)) if **t == Type::Any || given == &**t => return Ok(value.clone()),
        (Kind::List(given, items) | Kind::Set(given, items), Type::List(t)) => {
            let element = element_of_collection(given, items, t)?;
            let items = convert_items(items, &element)?;
            Value::list(element, items)
        }
        (Kind::List(given, items) | Kind::Set(given, items), Type::Set(t)) => {
            let element = element_of_collection(given, items, t)?;
            Value::set(element.clone(), convert_items(items, &element)?)
        }
        (Kind::Tuple(items), Type::List(t)) => {
            let element = common_element(items, t)?;
            let items = convert_items(items, &element)?;
            Value::list(element, items)
        }
        (Kind::Tuple(items), Type::Set(t)) => {
            let element = common_element(items, t)?;
            Value::set(element.clone(), convert_items(items, &element)?)
        }
        (Kind::Tuple(items) | Kind::List(_, items), Type::Tuple(types)) if items.len() == types.len() => {
            let items: Result<Vec<Value>, ConvertError> = items
                .iter()
                .zip(types.iter())
                .enumerate()
                .map(|(i, (item, t))| convert(item, t).map_err(|e| e.within(PathStep::Index(i))))
                .collect();
            Value::tuple(items?)
        }
        (Kind::Map(_, m) | Kind::Object(m), Type::Map(t)) => {
            let element = match &value.kind {
                Kind::Map(given, _) if **t == Type::Any => given.clone(),
                _ => common_element(&m.values().cloned().collect::<Vec<_>>(), t)?,
            };
            let convert_one = |(k, v): (&Arc<str>, &Value)| match convert(v, &element) {
                Ok(v) => Ok((k.clone(), v)),
                Err(e) => Err(e.within(PathStep::Key(k.clone()))),
            };
            let map: Map = m.iter().map(convert_one).collect::<Result<_, _>>()?;
            Value::map(element, map)
        }
        (Kind::Map(_, m) | Kind::Object(m), Type::Object(attributes)) => object(m, attributes)?,
        _ => return Err(ConvertError::new(article(ty))),
    };
    Ok(converted.mark(value.marks))
}

/// A value known after apply with another type. If it has its own way to be computed, the conversion is put behind that.
fn unknown_as(value: &Value, unknown: &Unknown, ty: &Type) -> Result<Value, ConvertError> {
    let to = conversion(&unknown.ty, ty).ok_or_else(|| ConvertError::new(article(ty)))?;
    // A constraint with defaults changes values of its own plain type as well.
    if to == unknown.ty && !ty.has_defaults() {
        return Ok(value.clone());
    }
    Ok(Value::from(Kind::Unknown(Unknown {
        residual: unknown.residual.as_ref().map(|_| Residual::Converted(Arc::new((value.clone(), ty.clone())))),
        refinement: None,
        ty: to.clone(),
    }))
    .refined(&converted_refinement(value, &to)))
}

/// A set whose elements are not all known, as a list or another set: which elements there are shows when they are known.
fn open_set(value: &Value, ty: &Type) -> Result<Value, ConvertError> {
    let to = conversion(&value.ty(), ty).ok_or_else(|| ConvertError::new(article(ty)))?;
    let residual = (!value.lacks_residual()).then(|| Residual::Converted(Arc::new((value.clone(), ty.clone()))));
    let unknown = Unknown { refinement: None, residual, ty: to.clone() };
    Ok(Value::from(Kind::Unknown(unknown)).refined(&converted_refinement(value, &to)))
}

/// What is still known of a value after its conversion.
fn converted_refinement(value: &Value, to: &Type) -> Refinement {
    let not_null = value.is_never_null();
    if !to.is_collection() || matches!(value.ty(), Type::Any) {
        return Refinement { not_null, ..Refinement::default() };
    }
    let (shortest, longest) = value.length_bounds();
    // Elements of a set may turn out equal, but not so many that none is left.
    let shortest = if matches!(to, Type::Set(_)) { shortest.min(1) } else { shortest };
    Refinement { not_null, shortest, longest, ..Refinement::default() }
}

fn primitive(kind: &Kind, ty: &Type) -> Result<Value, ConvertError> {
    let fail = || ConvertError::new(article(ty));
    match (kind, ty) {
        (Kind::Number(n), Type::String) => Ok(Value::string(n.to_string())),
        (Kind::Bool(b), Type::String) => Ok(Value::string(if *b { "true" } else { "false" })),
        (Kind::String(s), Type::Number) => s.parse::<Number>().map(Value::number).map_err(|_| fail()),
        (Kind::String(s), Type::Bool) => match &**s {
            "true" | "1" => Ok(Value::bool(true)),
            "false" | "0" => Ok(Value::bool(false)),
            _ => Err(fail()),
        },
        _ => Err(fail()),
    }
}

fn convert_items(items: &[Value], ty: &Type) -> Result<Vec<Value>, ConvertError> {
    let one = |(i, item): (usize, &Value)| convert(item, ty).map_err(|e| e.within(PathStep::Index(i)));
    items.iter().enumerate().map(one).collect()
}

/// The element type of what a list or set becomes; its own where the wanted one leaves all open.
fn element_of_collection(given: &Type, items: &[Value], wanted: &Type) -> Result<Type, ConvertError> {
    if *wanted == Type::Any { Ok(given.clone()) } else { common_element(items, wanted) }
}

/// The element type of a collection: the wanted one, or, where it leaves the type open, the one that all items share.
fn common_element(items: &[Value], wanted: &Type) -> Result<Type, ConvertError> {
    if !wanted.has_any() {
        return Ok(wanted.clone());
    }
    let converted: Result<Vec<Value>, ConvertError> = items.iter().map(|v| convert(v, wanted)).collect();
    common_type(&converted?)
}

/// The type that all values share. A bare null fits each.
fn common_type(values: &[Value]) -> Result<Type, ConvertError> {
    let types: Vec<Type> = values.iter().filter(|v| !matches!(v.kind, Kind::Null(Type::Any))).map(Value::ty).collect();
    let failed = || ConvertError::new("all elements must have the same type");
    let ty = unify(&types).ok_or_else(failed)?;
    // Beside a value of open type it is open as well whether there will be one type.
    if ty == Type::Any && types.iter().any(|t| *t != Type::Any) {
        return Err(failed());
    }
    Ok(ty)
}

fn object(m: &Map, attributes: &BTreeMap<Arc<str>, Attribute>) -> Result<Value, ConvertError> {
    let mut out = Map::new();
    for (name, attribute) in attributes {
        let given = m.get(name).filter(|v| !(v.is_null() && attribute.default.is_some()));
        let value = match (given, &attribute.default) {
            (Some(v), _) => v.clone(),
            (None, Some(default)) => default.clone(),
            (None, None) if attribute.optional => Value::null(attribute.ty.clone()),
            (None, None) => return Err(ConvertError::new(format!("attribute \"{name}\" is required"))),
        };
        let value = convert(&value, &attribute.ty).map_err(|e| e.within(PathStep::Attribute(name.clone())))?;
        out.insert(name.clone(), value);
    }
    Ok(Value::object(out))
}

/// The values converted to the type that they have in common.
///
/// # Errors
/// When they have none.
pub fn unify_values(values: &[Value]) -> Result<(Type, Vec<Value>), ConvertError> {
    let ty = common_type(values)?;
    let values: Result<Vec<Value>, ConvertError> = values.iter().map(|v| convert(v, &ty)).collect();
    Ok((ty, values?))
}
