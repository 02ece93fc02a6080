//! Conversion between types, and the type that several have in common: Terraform's rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Attribute, Kind, Map, Number, Path, PathStep, Type, Unknown, Value};

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
/// after apply stays so, with the new type.
///
/// # Errors
/// When Terraform has no conversion for it.
pub fn convert(value: &Value, ty: &Type) -> Result<Value, ConvertError> {
    let converted = match (&value.kind, ty) {
        (_, Type::Any) => return Ok(value.clone()),
        (Kind::Null(_), _) => Value::null(ty.clone()),
        (Kind::Unknown(unknown), _) => {
            let ty = if ty.has_any() && unknown.ty != Type::Any { unknown.ty.clone() } else { ty.clone() };
            Kind::Unknown(Unknown { ty, residual: unknown.residual.clone() }).into()
        }
        (Kind::Bool(_), Type::Bool) | (Kind::Number(_), Type::Number) | (Kind::String(_), Type::String) => {
            return Ok(value.clone());
        }
        (kind, Type::String | Type::Number | Type::Bool) => primitive(kind, ty)?,
        (Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items), Type::List(t)) => {
            let element = common_element(items, t)?;
            let items = convert_items(items, &element)?;
            Value::list(element, items)
        }
        (Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items), Type::Set(t)) => {
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
            let values: Vec<Value> = m.values().cloned().collect();
            let element = common_element(&values, t)?;
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

/// The element type of a collection: the wanted one, or, where it leaves the type open, the one that all items share.
fn common_element(items: &[Value], wanted: &Type) -> Result<Type, ConvertError> {
    if !wanted.has_any() {
        return Ok(wanted.clone());
    }
    let converted: Result<Vec<Value>, ConvertError> = items.iter().map(|v| convert(v, wanted)).collect();
    let types: Vec<Type> = converted?.iter().map(Value::ty).collect();
    unify(&types).ok_or_else(|| ConvertError::new("all elements must have the same type"))
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

/// The one type that values of all these types can be converted to without loss, if there is one.
#[must_use]
pub fn unify(types: &[Type]) -> Option<Type> {
    let mut types = types.iter();
    let first = types.next().cloned().unwrap_or(Type::Any);
    types.try_fold(first, |common, ty| unify_two(&common, ty))
}

fn unify_two(a: &Type, b: &Type) -> Option<Type> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (Type::Any, other) | (other, Type::Any) => Some(other.clone()),
        (Type::String, t) | (t, Type::String) if t.is_primitive() => Some(Type::String),
        (Type::List(s), Type::List(t)) => Some(Type::list(unify_two(s, t)?)),
        (Type::Set(s), Type::Set(t)) | (Type::Set(s), Type::List(t)) | (Type::List(t), Type::Set(s)) => {
            Some(Type::set(unify_two(s, t)?))
        }
        (Type::Map(s), Type::Map(t)) => Some(Type::map(unify_two(s, t)?)),
        (Type::Tuple(s), Type::Tuple(t)) => {
            if s.len() == t.len() {
                let all: Option<Vec<Type>> = s.iter().zip(t.iter()).map(|(s, t)| unify_two(s, t)).collect();
                return Some(Type::Tuple(all?.into()));
            }
            let all: Vec<Type> = s.iter().chain(t.iter()).cloned().collect();
            Some(Type::list(unify(&all)?))
        }
        (Type::Tuple(s), Type::List(t)) | (Type::List(t), Type::Tuple(s)) => {
            let all: Vec<Type> = s.iter().cloned().chain([(**t).clone()]).collect();
            Some(Type::list(unify(&all)?))
        }
        (Type::Tuple(s), Type::Set(t)) | (Type::Set(t), Type::Tuple(s)) => {
            let all: Vec<Type> = s.iter().cloned().chain([(**t).clone()]).collect();
            Some(Type::set(unify(&all)?))
        }
        (Type::Object(s), Type::Object(t)) if s.keys().eq(t.keys()) => {
            let all: Option<BTreeMap<Arc<str>, Attribute>> = s
                .iter()
                .zip(t.values())
                .map(|((n, s), t)| Some((n.clone(), Attribute::required(unify_two(&s.ty, &t.ty)?))))
                .collect();
            Some(Type::Object(Arc::new(all?)))
        }
        (Type::Object(s), Type::Object(t)) => {
            let all: Vec<Type> = s.values().chain(t.values()).map(|a| a.ty.clone()).collect();
            Some(Type::map(unify(&all)?))
        }
        (Type::Object(s), Type::Map(t)) | (Type::Map(t), Type::Object(s)) => {
            let all: Vec<Type> = s.values().map(|a| a.ty.clone()).chain([(**t).clone()]).collect();
            Some(Type::map(unify(&all)?))
        }
        _ => None,
    }
}

/// The values converted to the type that they have in common.
///
/// # Errors
/// When they have none.
pub fn unify_values(values: &[Value]) -> Result<(Type, Vec<Value>), ConvertError> {
    let types: Vec<Type> = values.iter().map(Value::ty).collect();
    let ty = unify(&types).ok_or_else(|| ConvertError::new("all elements must have the same type"))?;
    let values: Result<Vec<Value>, ConvertError> = values.iter().map(|v| convert(v, &ty)).collect();
    Ok((ty, values?))
}
