//! Collection functions over maps and objects, and those that look into any collection.

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::argument::{element_type, equal, items, map, opaque, spend_items, text, whole};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError};
use crate::value::{Kind, Map, Marks, Type, Unknown, Value, convert, unify};

pub(super) fn functions() -> Vec<Function> {
    let mut all = looking();
    all.extend(maps());
    all.extend(choosing());
    all
}

fn looking() -> Vec<Function> {
    vec![
        function(
            "alltrue",
            "Whether all elements are true.",
            |_| Type::Bool,
            |_, a| Ok(Value::bool(items(&a[0])?.iter().all(|v| v.as_bool() == Some(true)))),
        )
        .takes("list", Type::list(Type::Bool)),
        function(
            "anytrue",
            "Whether any element is true.",
            |_| Type::Bool,
            |_, a| Ok(Value::bool(items(&a[0])?.iter().any(|v| v.as_bool() == Some(true)))),
        )
        .takes("list", Type::list(Type::Bool)),
        function("contains", "Whether a list, tuple or set has an element.", |_| Type::Bool, contains)
            .takes("list", Type::Any)
            .unknown()
            .takes("value", Type::Any)
            .unknown(),
        function("element", "The element at an index, counted round and round.", |t| element_type(&t[0]), element)
            .takes("list", Type::Any)
            .unknown()
            .marked()
            .takes("index", Type::Number),
        function("index", "The index of the first element that equals a value.", |_| Type::Number, index)
            .takes("list", Type::Any)
            .takes("value", Type::Any),
        function("length", "How many elements a collection has, or characters a string.", |_| Type::Number, length)
            .takes("value", Type::Any)
            .unknown()
            .marked(),
        function("one", "The only element, or null if there is none.", |t| element_type(&t[0]), one)
            .takes("list", Type::Any)
            .unknown()
            .marked(),
    ]
}

fn maps() -> Vec<Function> {
    vec![
        function("keys", "The names in a map or object, in order.", |_| Type::list(Type::String), keys)
            .takes("inputMap", Type::Any)
            .unknown()
            .marked(),
        function("values", "The values in a map or object, in the order of their names.", |_| Type::Any, values)
            .takes("mapping", Type::Any)
            .unknown()
            .marked(),
        function("lookup", "The value of a name in a map or object, or a default.", |t| element_type(&t[0]), lookup)
            .takes("inputMap", Type::Any)
            .unknown()
            .marked()
            .takes("key", Type::String)
            .unknown()
            .marked()
            .rest("default", Type::Any)
            .null()
            .unknown()
            .marked(),
        function("merge", "Maps or objects as one; later ones win.", |_| Type::Any, merge)
            .rest("maps", Type::Any)
            .null()
            .unknown()
            .marked(),
        function("transpose", "A map of lists with values and names exchanged.", transposed, transpose)
            .takes("values", Type::map(Type::list(Type::String))),
        function("zipmap", "A map of a list of names and a list of values.", |_| Type::Any, zipmap)
            .takes("keys", Type::list(Type::String))
            .takes("values", Type::Any)
            .unknown()
            .marked(),
    ]
}

fn choosing() -> Vec<Function> {
    vec![
        function("coalesce", "The first argument that is neither null nor an empty string.", common, coalesce)
            .rest("vals", Type::Any)
            .null()
            .unknown(),
        function("coalescelist", "The first list that is not empty.", common, coalescelist)
            .rest("vals", Type::Any)
            .null()
            .unknown(),
    ]
}

fn transposed(_: &[Type]) -> Type {
    Type::map(Type::list(Type::String))
}

/// The type of what is one of several. Beside one of open type that may be text, which numbers and bools become then.
fn common(types: &[Type]) -> Type {
    match unify(types) {
        Some(Type::Number | Type::Bool) if types.contains(&Type::Any) => Type::Any,
        found => found.unwrap_or(Type::Any),
    }
}

fn contains(_: &CallContext<'_>, args: &[Value]) -> Called {
    if args[0].is_unknown() {
        return Ok(Value::opaque(Type::Bool));
    }
    let all = args[0].as_items().ok_or_else(|| FunctionError::new("argument must be list, tuple, or set"))?;
    let answers: Vec<Option<bool>> = all.iter().map(|v| equal(v, &args[1])).collect();
    if answers.contains(&Some(true)) {
        return Ok(Value::bool(true));
    }
    Ok(if answers.contains(&None) { Value::opaque(Type::Bool) } else { Value::bool(false) })
}

fn element(_: &CallContext<'_>, args: &[Value]) -> Called {
    let (list, index) = (&args[0], &args[1]);
    let known = match (&list.kind, list.ty()) {
        (_, Type::Any) => return Ok(opaque(Type::Any, list.marks)),
        (_, Type::List(_) | Type::Tuple(_)) => list.as_items(),
        (_, other) => {
            return Err(FunctionError::new(format!("cannot read elements from {}", other.friendly())));
        }
    };
    let index = whole(index).map_err(|e| FunctionError::new(format!("invalid index: {}", e.message)))?;
    let types = match list.ty() {
        Type::Tuple(types) => types.to_vec(),
        other => vec![element_type(&other); known.map_or(0, <[Value]>::len)],
    };
    if known.is_none() && types.is_empty() && !matches!(list.ty(), Type::Tuple(_)) {
        return Ok(opaque(element_type(&list.ty()), list.marks));
    }
    let count = i64::try_from(types.len()).unwrap_or(i64::MAX);
    if count == 0 {
        return Err(FunctionError::new("cannot use element function with an empty list"));
    }
    let place = usize::try_from(index.rem_euclid(count)).unwrap_or(0);
    Ok(match known {
        Some(items) => items[place].clone().mark(list.marks),
        None => opaque(types[place].clone(), list.marks),
    })
}

fn index(_: &CallContext<'_>, args: &[Value]) -> Called {
    let (Kind::List(_, all) | Kind::Tuple(all)) = &args[0].kind else {
        return Err(FunctionError::new("argument must be a list or tuple"));
    };
    if all.is_empty() {
        return Err(FunctionError::new("cannot search an empty list"));
    }
    let place = all.iter().position(|v| equal(v, &args[1]) == Some(true));
    place.map(Value::number).ok_or_else(|| FunctionError::new("item not found"))
}

fn length(context: &CallContext<'_>, args: &[Value]) -> Called {
    let value = &args[0];
    let count = match &value.kind {
        Kind::String(s) => {
            super::argument::spend_bytes(context, s.len())?;
            s.graphemes(true).count()
        }
        // Elements of a set that are not known may turn out equal.
        Kind::Set(_, items) if !items.iter().all(Value::is_wholly_known) && items.len() > 1 => {
            return Ok(opaque(Type::Number, value.marks));
        }
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => items.len(),
        Kind::Map(_, m) | Kind::Object(m) => m.len(),
        Kind::Unknown(Unknown { ty: Type::Tuple(types), .. }) => types.len(),
        Kind::Unknown(Unknown { ty: Type::Object(attributes), .. }) => attributes.len(),
        Kind::Unknown(Unknown { ty, .. }) if !matches!(ty, Type::Number | Type::Bool) => {
            return Ok(opaque(Type::Number, value.marks));
        }
        _ => {
            let message = "argument must be a string, a collection type, or a structural type";
            return Err(FunctionError::new(message));
        }
    };
    Ok(Value::number(count).mark(value.marks))
}

fn one(_: &CallContext<'_>, args: &[Value]) -> Called {
    let list = &args[0];
    let fail = || FunctionError::at(0, "must be a list, set, or tuple value with either zero or one elements");
    if let Kind::Unknown(unknown) = &list.kind {
        return match &unknown.ty {
            Type::Any | Type::List(_) | Type::Set(_) => Ok(opaque(element_type(&unknown.ty), list.marks)),
            Type::Tuple(types) if types.len() < 2 => {
                let value = types.first().map_or_else(|| Value::null(Type::Any), |t| Value::opaque(t.clone()));
                Ok(value.mark(list.marks))
            }
            _ => Err(fail()),
        };
    }
    match list.as_items().ok_or_else(fail)? {
        [] => Ok(Value::null(element_type(&list.ty())).mark(list.marks)),
        [only] => Ok(only.clone().mark(list.marks)),
        _ => Err(fail()),
    }
}

fn keys(context: &CallContext<'_>, args: &[Value]) -> Called {
    let input = &args[0];
    let names = |names: Vec<Value>, list: bool| {
        let names = if list { Value::list(Type::String, names) } else { Value::tuple(names) };
        Ok(names.mark(input.marks))
    };
    match &input.kind {
        Kind::Map(_, m) | Kind::Object(m) => {
            spend_items(context, m.len())?;
            names(m.keys().cloned().map(Value::string).collect(), matches!(input.kind, Kind::Map(..)))
        }
        Kind::Unknown(Unknown { ty: Type::Object(attributes), .. }) => {
            names(attributes.keys().cloned().map(Value::string).collect(), false)
        }
        Kind::Unknown(Unknown { ty: Type::Map(_), .. }) => Ok(opaque(Type::list(Type::String), input.marks)),
        Kind::Unknown(Unknown { ty: Type::Any, .. }) => Ok(opaque(Type::Any, input.marks)),
        _ => Err(FunctionError::at(0, "must have map or object type")),
    }
}

fn values(context: &CallContext<'_>, args: &[Value]) -> Called {
    let input = &args[0];
    let made = match &input.kind {
        Kind::Map(t, m) => Value::list(t.clone(), m.values().cloned().collect::<Vec<_>>()),
        Kind::Object(m) => Value::tuple(m.values().cloned().collect::<Vec<_>>()),
        Kind::Unknown(Unknown { ty: Type::Object(attributes), .. }) => {
            Value::tuple(attributes.values().map(|a| Value::opaque(a.ty.clone())).collect::<Vec<_>>())
        }
        Kind::Unknown(Unknown { ty: Type::Map(t), .. }) => Value::opaque(Type::list((**t).clone())),
        Kind::Unknown(Unknown { ty: Type::Any, .. }) => Value::opaque(Type::Any),
        _ => return Err(FunctionError::new("values() requires a map as the first argument")),
    };
    spend_items(context, made.as_items().map_or(0, <[Value]>::len))?;
    Ok(made.mark(input.marks))
}

fn lookup(_: &CallContext<'_>, args: &[Value]) -> Called {
    let (input, key) = (&args[0], &args[1]);
    if args.len() > 3 {
        return Err(FunctionError::new(format!("lookup() takes two or three arguments, got {}", args.len())));
    }
    let marks = input.marks.union(key.marks);
    let ty = input.ty();
    let mut default = args.get(2).cloned();
    match &ty {
        Type::Object(_) | Type::Any => {}
        Type::Map(element) => {
            if let Some(given) = &default {
                let message = "the default value must have the same type as the map elements";
                default = Some(convert(given, element).map_err(|_| FunctionError::at(2, message))?);
            }
        }
        _ => return Err(FunctionError::at(0, "lookup() requires a map as the first argument")),
    }
    if input.is_unknown() || key.is_unknown() {
        let found = match (&ty, key.as_str()) {
            (Type::Map(element), _) => (**element).clone(),
            (Type::Object(attributes), Some(name)) => match attributes.get(name) {
                Some(attribute) => attribute.ty.clone(),
                None => return missing(&ty, name, default, marks),
            },
            _ => Type::Any,
        };
        let default = default.map_or(Marks::NONE, |d| d.marks_deep());
        return Ok(opaque(found, marks.union(input.marks_deep()).union(default)));
    }
    let name = text(key)?;
    match map(input)?.get(name) {
        Some(found) => Ok(found.clone().mark(marks)),
        None => missing(&ty, name, default, marks),
    }
}

fn missing(ty: &Type, name: &str, default: Option<Value>, marks: Marks) -> Called {
    match default {
        Some(default) => Ok(default.mark(marks)),
        None if matches!(ty, Type::Object(_)) => {
            Err(FunctionError::at(0, format!("the given object has no attribute \"{name}\"")))
        }
        None => Err(FunctionError::new(format!("lookup failed to find key \"{name}\""))),
    }
}

fn merge(context: &CallContext<'_>, args: &[Value]) -> Called {
    let mut marks = Marks::NONE;
    let mut out = Vec::new();
    let (mut open, mut nullable) = (false, false);
    let mut elements = Vec::new();
    for arg in args {
        marks = marks.union(arg.marks);
        let ty = arg.ty();
        match &ty {
            Type::Map(t) => elements.push(Some((**t).clone())),
            Type::Object(_) => elements.push(None),
            Type::Any => {
                open |= arg.is_unknown();
                // It may turn out to be a map or an object.
                elements.extend(arg.is_unknown().then_some(None));
            }
            _ => {
                let message = format!("arguments must be maps or objects, got \"{}\"", ty.friendly());
                return Err(FunctionError::new(message));
            }
        }
        match (&arg.kind, &ty) {
            (Kind::Map(_, m) | Kind::Object(m), _) => {
                spend_items(context, m.len())?;
                out.extend(m.iter().map(|(k, v)| (k.clone(), v.clone())));
            }
            // The names are known before the values are, unless there turns out to be none of them, for it is null.
            (Kind::Unknown(_), Type::Object(all)) => {
                nullable |= !arg.range().not_null;
                out.extend(all.iter().map(|(k, a)| (k.clone(), Value::opaque(a.ty.clone()))));
            }
            (Kind::Unknown(_), _) => open = true,
            _ => {}
        }
    }
    let element = match elements.first() {
        Some(Some(first)) if elements.iter().all(|t| t.as_ref() == Some(first)) => Some(first.clone()),
        _ => None,
    };
    let out = out.into_iter().collect();
    Ok(match (open, element) {
        (true, Some(t)) => opaque(Type::map(t), marks_of(args)),
        (true, None) => opaque(Type::Any, marks_of(args)),
        (false, Some(t)) => Value::map(t, out).mark(marks),
        (false, None) if nullable => opaque(Value::object(out).ty(), marks_of(args)),
        (false, None) => Value::object(out).mark(marks),
    })
}

fn marks_of(args: &[Value]) -> Marks {
    args.iter().fold(Marks::NONE, |marks, arg| marks.union(arg.marks_deep()))
}

fn transpose(context: &CallContext<'_>, args: &[Value]) -> Called {
    let mut out: std::collections::BTreeMap<Arc<str>, Vec<Value>> = std::collections::BTreeMap::new();
    for (name, list) in map(&args[0])? {
        let list = list.as_items().ok_or_else(|| FunctionError::new("input map must not contain null list"))?;
        spend_items(context, list.len())?;
        for item in list {
            let key = item.as_str().ok_or_else(|| FunctionError::new("input list must not contain null string"))?;
            out.entry(key.into()).or_default().push(Value::string(name.clone()));
        }
    }
    let lists: Map = out.into_iter().map(|(k, names)| (k, Value::list(Type::String, names))).collect();
    Ok(Value::map(Type::list(Type::String), lists))
}

fn zipmap(context: &CallContext<'_>, args: &[Value]) -> Called {
    let (keys, values) = (items(&args[0])?, &args[1]);
    let ty = values.ty();
    if !matches!(ty, Type::List(_) | Type::Tuple(_) | Type::Any) {
        return Err(FunctionError::new("values argument must be a list or tuple value"));
    }
    let all: Vec<Value> = match (&values.kind, &ty) {
        (Kind::Unknown(_), Type::Tuple(types)) => types.iter().map(|t| Value::opaque(t.clone())).collect(),
        (Kind::Unknown(_), Type::List(t)) => return Ok(opaque(Type::map((**t).clone()), values.marks)),
        (Kind::Unknown(_), _) => return Ok(opaque(Type::Any, values.marks)),
        _ => items(values)?.to_vec(),
    };
    if keys.len() != all.len() {
        let message = format!("number of keys ({}) does not match number of values ({})", keys.len(), all.len());
        return Err(FunctionError::new(message));
    }
    spend_items(context, all.len())?;
    let mut out = Vec::with_capacity(all.len());
    for (i, (key, value)) in keys.iter().zip(all).enumerate() {
        let key = key.as_str();
        let key = key.ok_or_else(|| FunctionError::new(format!("keys list has null value at index {i}")))?;
        out.push((key.into(), value));
    }
    let out = out.into_iter().collect();
    let made = if let Type::List(t) = &ty { Value::map((**t).clone(), out) } else { Value::object(out) };
    Ok(made.mark(values.marks))
}

fn coalesce(_: &CallContext<'_>, args: &[Value]) -> Called {
    let types: Vec<Type> = args.iter().map(Value::ty).collect();
    let ty = unify(&types).filter(|_| !args.is_empty());
    let ty = ty.ok_or_else(|| FunctionError::new("all arguments must have the same type"))?;
    for arg in args {
        let value = convert(arg, &ty)?;
        if value.is_unknown() {
            return Ok(Value::opaque(common(&types)));
        }
        if !value.is_null() && value.as_str() != Some("") {
            return Ok(value);
        }
    }
    Err(FunctionError::new("no non-null, non-empty-string arguments"))
}

fn coalescelist(_: &CallContext<'_>, args: &[Value]) -> Called {
    if args.is_empty() {
        return Err(FunctionError::new("at least one argument is required"));
    }
    let types: Vec<Type> = args.iter().map(Value::ty).collect();
    let listed = |(arg, ty): (&Value, &Type)| match ty {
        Type::List(_) | Type::Tuple(_) => true,
        Type::Any => arg.is_unknown(),
        _ => false,
    };
    if !args.iter().zip(&types).all(listed) {
        return Err(FunctionError::new("coalescelist arguments must be lists or tuples"));
    }
    for arg in args {
        if arg.is_unknown() {
            let same = types.iter().all(|t| *t == types[0]);
            return Ok(Value::opaque(if same { types[0].clone() } else { Type::Any }));
        }
        if arg.as_items().is_some_and(|items| !items.is_empty()) {
            return Ok(arg.clone());
        }
    }
    Err(FunctionError::new("no non-null arguments"))
}
