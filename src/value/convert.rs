//! Conversion of values between types: Terraform's rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    Attribute, Deferred, Kind, Map, Number, Path, PathStep, Refinement, Residual, Results, Type, Unfinished, Unknown,
    Value, conversion, unify,
};
use crate::addr::Address;

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
            let parts: Vec<Value> = m.values().cloned().collect();
            let element = match &value.kind {
                Kind::Map(given, _) => element_of_collection(given, &parts, t)?,
                _ => match common_or_open(&parts, t)? {
                    Type::Any if parts.iter().any(|part| part.ty() != Type::Any) => {
                        return Ok(open_map(value, m, ty).mark(value.marks));
                    }
                    common => common,
                },
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

/// A map whose elements' type is open, because one of them is of open type: which type they share, and what they are as
/// such, shows when that is known. Its keys are known.
fn open_map(object: &Value, m: &Map, ty: &Type) -> Value {
    let element = |key: &Arc<str>| -> Value {
        let part = ElementOfConverted { object: object.clone(), ty: ty.clone(), key: key.clone() };
        let residual = (!object.lacks_residual()).then(|| Residual::Deferred(Arc::new(part)));
        Value::from(Kind::Unknown(Unknown { refinement: None, residual, ty: Type::Any }))
    };
    Value::map(Type::Any, m.iter().map(|(key, v)| (key.clone(), element(key).mark(v.marks_deep()))).collect())
}

/// An element of an object that becomes a map once all of it is known.
#[derive(Debug)]
struct ElementOfConverted {
    object: Value,
    ty: Type,
    key: Arc<str>,
}

impl Deferred for ElementOfConverted {
    fn finish(&self, results: &dyn Results) -> Result<Value, Unfinished> {
        let map = convert(&self.object.finish(results)?, &self.ty).map_err(|e| super::residual::unsuitable(&e))?;
        Ok(map.get(&self.key).cloned().unwrap_or_else(|| Value::null(Type::Any)))
    }

    fn needs(&self, nodes: &mut BTreeSet<Address>) {
        self.object.needs(nodes);
    }

    fn text(&self) -> String {
        let whole = Residual::Converted(Arc::new((self.object.clone(), self.ty.clone())));
        format!("{} at [{:?}]", whole.text(), self.key)
    }
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
    match items {
        [] => conversion(given, wanted).ok_or_else(|| ConvertError::new(article(wanted))),
        _ if *wanted == Type::Any => Ok(given.clone()),
        items => common_element(items, wanted),
    }
}

/// The element type of a list or set: the wanted one, or, where it leaves the type open, the one that all items share.
fn common_element(items: &[Value], wanted: &Type) -> Result<Type, ConvertError> {
    closed(common_or_open(items, wanted)?, items)
}

/// The element type of a map, which may stay open beside elements of open type.
fn common_or_open(items: &[Value], wanted: &Type) -> Result<Type, ConvertError> {
    if !wanted.has_any() {
        return Ok(wanted.clone());
    }
    if items.is_empty() {
        return Ok(wanted.plain());
    }
    let converted: Result<Vec<Value>, ConvertError> = items.iter().map(|v| convert(v, wanted)).collect();
    shared_type(&converted?)
}

/// The type that all values share. A bare null fits each.
fn shared_type(values: &[Value]) -> Result<Type, ConvertError> {
    let types: Vec<Type> = typed(values).map(Value::ty).collect();
    unify(&types).ok_or_else(disagree)
}

/// The type that all these values share, unless one of open type beside the others leaves open whether there will be one.
fn closed(shared: Type, values: &[Value]) -> Result<Type, ConvertError> {
    let open = shared == Type::Any && typed(values).any(|v| v.ty() != Type::Any);
    if open { Err(disagree()) } else { Ok(shared) }
}

fn typed(values: &[Value]) -> impl Iterator<Item = &Value> {
    values.iter().filter(|v| !matches!(v.kind, Kind::Null(Type::Any)))
}

fn disagree() -> ConvertError {
    ConvertError::new("all elements must have the same type")
}

fn object(m: &Map, attributes: &BTreeMap<Arc<str>, Attribute>) -> Result<Value, ConvertError> {
    let mut out = Map::with_capacity(attributes.len());
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
    let ty = closed(shared_type(values)?, values)?;
    let values: Result<Vec<Value>, ConvertError> = values.iter().map(|v| convert(v, &ty)).collect();
    Ok((ty, values?))
}
