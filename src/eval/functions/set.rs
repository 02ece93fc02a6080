//! Set functions.

use std::collections::BTreeSet;

use super::argument::{element_type, items, opaque, spend_items};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError};
use crate::value::{Kind, Marks, Type, Value, convert, unify};

type Elements = BTreeSet<Value>;

pub(super) fn functions() -> Vec<Function> {
    vec![
        function("setintersection", "The elements that all sets have.", common, |c, a| {
            combine(c, a, |a, b| a.intersection(b).cloned().collect())
        })
        .takes("first_set", Type::set(Type::Any))
        .rest("other_sets", Type::set(Type::Any)),
        function("setproduct", "All combinations of elements, one of each set.", |_| Type::Any, product)
            .rest("sets", Type::Any)
            .unknown()
            .marked(),
        function("setsubtract", "The elements of one set that another does not have.", common, |c, a| {
            combine(c, a, |a, b| a.difference(b).cloned().collect())
        })
        .takes("a", Type::set(Type::Any))
        .takes("b", Type::set(Type::Any)),
        function("setunion", "The elements that any of the sets has.", common, |c, a| {
            combine(c, a, |a, b| a.union(b).cloned().collect())
        })
        .takes("first_set", Type::set(Type::Any))
        .rest("other_sets", Type::set(Type::Any)),
    ]
}

/// Elements of open type may be text, which numbers and bools become beside it.
fn common(types: &[Type]) -> Type {
    match unify(types) {
        Some(Type::Set(t)) if *t == Type::String || !types.iter().any(Type::has_any) => Type::Set(t),
        _ => Type::set(Type::Any),
    }
}

fn combine(context: &CallContext<'_>, args: &[Value], step: fn(&Elements, &Elements) -> Elements) -> Called {
    let types: Vec<Type> = args.iter().map(Value::ty).collect();
    let ty = unify(&types).ok_or_else(|| FunctionError::new("given sets must all have compatible element types"))?;
    let mut result: Option<Elements> = None;
    for arg in args {
        let converted = convert(arg, &ty)?;
        spend_items(context, items(&converted)?.len())?;
        let elements: Elements = items(&converted)?.iter().cloned().collect();
        result = Some(result.map_or_else(|| elements.clone(), |r| step(&r, &elements)));
    }
    Ok(Value::set(element_type(&ty), result.unwrap_or_default()))
}

fn product(context: &CallContext<'_>, args: &[Value]) -> Called {
    if args.len() < 2 {
        return Err(FunctionError::new("at least two arguments are required"));
    }
    let mut marks = Marks::NONE;
    let mut any_set = false;
    let mut elements = Vec::new();
    let mut lists: Vec<Option<Vec<Value>>> = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        marks = marks.union(arg.marks);
        let ty = arg.ty();
        any_set |= matches!(ty, Type::Set(_));
        let known = match (&arg.kind, &ty) {
            (Kind::Unknown(_), Type::Any) => return Ok(opaque(Type::Any, marks_of(args))),
            (_, Type::List(_) | Type::Set(_)) => (element_type(&ty), arg.as_items().map(<[Value]>::to_vec)),
            (_, Type::Tuple(types)) => {
                let message = "all elements must be of the same type";
                let element = unify(types).ok_or_else(|| FunctionError::at(i, message))?;
                let converted: Option<Result<Vec<Value>, _>> =
                    arg.as_items().map(|all| all.iter().map(|v| convert(v, &element)).collect());
                (element, converted.transpose()?)
            }
            _ => return Err(FunctionError::at(i, "a set or a list is required")),
        };
        elements.push(known.0);
        lists.push(known.1);
    }
    let row = Type::Tuple(elements.into());
    let ty = if any_set { Type::set(row.clone()) } else { Type::list(row.clone()) };
    let Some(lists) = lists.into_iter().collect::<Option<Vec<Vec<Value>>>>() else {
        return Ok(opaque(ty, marks_of(args)));
    };
    if any_set && !args.iter().all(Value::is_wholly_known) {
        return Ok(opaque(ty, marks_of(args)));
    }
    let count = lists.iter().fold(1usize, |n, list| n.saturating_mul(list.len()));
    spend_items(context, count.saturating_mul(lists.len()))?;
    // With an empty one there is none, and the way there must not be walked: it may be long.
    let mut rows: Vec<Vec<Value>> = if count == 0 { Vec::new() } else { vec![Vec::new()] };
    for list in &lists {
        let longer = |row: &Vec<Value>| {
            let row = row.clone();
            list.iter().map(move |v| row.iter().chain([v]).cloned().collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        rows = rows.iter().flat_map(longer).collect();
    }
    let rows = rows.into_iter().map(Value::tuple);
    let made = if any_set { Value::set(row, rows) } else { Value::list(row, rows.collect::<Vec<_>>()) };
    Ok(made.mark(marks))
}

fn marks_of(args: &[Value]) -> Marks {
    args.iter().fold(Marks::NONE, |marks, arg| marks.union(arg.marks_deep()))
}
