//! Collection functions over lists and tuples.

use super::argument::{element_type, equal, items, number, opaque, sequence_like, spend_items, whole};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError};
use crate::value::{Kind, Marks, Number, Type, Unknown, Value, convert, unify};

/// The most elements that `range` makes, as in Terraform.
const RANGE_MAX: usize = 1024;

pub(super) fn functions() -> Vec<Function> {
    let mut all = whole_lists();
    all.extend(parts());
    all
}

fn whole_lists() -> Vec<Function> {
    vec![
        function("concat", "Lists or tuples one behind the other.", |_| Type::Any, concat)
            .rest("seqs", Type::Any)
            .unknown()
            .marked(),
        function("distinct", "The elements without repetitions, in order.", |t| t[0].clone(), distinct)
            .takes("list", Type::list(Type::Any)),
        function("flatten", "The elements of all lists in a list, at any depth.", |_| Type::Any, flatten)
            .takes("list", Type::Any)
            .unknown()
            .marked(),
        function("range", "The numbers from a start to before an end, by a step.", |_| Type::list(Type::Number), range)
            .rest("params", Type::Number),
        function("reverse", "The elements in reverse order.", |t| t[0].clone(), reverse)
            .takes("list", Type::Any)
            .unknown()
            .marked(),
        function("sort", "The strings in the order of their bytes.", |_| Type::list(Type::String), sort)
            .takes("list", Type::list(Type::String))
            .unknown(),
    ]
}

fn parts() -> Vec<Function> {
    vec![
        function("chunklist", "The elements in lists of a fixed size.", |t| Type::list(t[0].clone()), chunklist)
            .takes("list", Type::list(Type::Any))
            .unknown()
            .marked()
            .takes("size", Type::Number),
        function(
            "compact",
            "The strings that are neither null nor empty.",
            |_| Type::list(Type::String),
            |_, a| {
                let kept = |v: &&Value| v.as_str().is_some_and(|s| !s.is_empty());
                Ok(Value::list(Type::String, items(&a[0])?.iter().filter(kept).cloned().collect::<Vec<_>>()))
            },
        )
        .takes("list", Type::list(Type::String)),
        function("matchkeys", "The values whose keys are in a set.", |t| t[0].clone(), matchkeys)
            .takes("values", Type::list(Type::Any))
            .takes("keys", Type::list(Type::Any))
            .takes("searchset", Type::list(Type::Any)),
        function("slice", "The elements from an index to before another.", |_| Type::Any, slice)
            .takes("list", Type::Any)
            .unknown()
            .marked()
            .takes("start_index", Type::Number)
            .takes("end_index", Type::Number),
    ]
}

fn concat(context: &CallContext<'_>, args: &[Value]) -> Called {
    if args.is_empty() {
        return Err(FunctionError::new("at least one argument is required"));
    }
    let mut marks = Marks::NONE;
    let mut all = Vec::new();
    let mut open = false;
    let mut elements = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        marks = marks.union(arg.marks);
        let ty = arg.ty();
        match (&arg.kind, &ty) {
            (Kind::List(t, items), _) => {
                elements.push(t.clone());
                all.extend(items.iter().cloned());
            }
            (Kind::Tuple(items), _) => all.extend(items.iter().cloned()),
            // How many there are is known before what they are.
            (Kind::Unknown(_), Type::Tuple(types)) => all.extend(types.iter().map(|t| Value::opaque(t.clone()))),
            (Kind::Unknown(_), Type::List(t)) => {
                elements.push((**t).clone());
                open = true;
            }
            (Kind::Unknown(_), Type::Any) => open = true,
            _ => {
                let message = format!("all arguments must be lists or tuples; got {}", ty.friendly());
                return Err(FunctionError::at(i, message));
            }
        }
    }
    spend_items(context, all.len())?;
    // Only lists with a common element type make a list.
    let element = if elements.len() == args.len() { unify(&elements) } else { None };
    if open {
        let deep = args.iter().fold(marks, |m, a| m.union(a.marks_deep()));
        return Ok(opaque(element.map_or(Type::Any, Type::list), deep));
    }
    let made = match element {
        Some(t) => {
            let converted: Result<Vec<Value>, _> = all.iter().map(|v| convert(v, &t)).collect();
            Value::list(t, converted?)
        }
        None => Value::tuple(all),
    };
    Ok(made.mark(marks))
}

fn distinct(context: &CallContext<'_>, args: &[Value]) -> Called {
    let all = items(&args[0])?;
    spend_items(context, all.len())?;
    let mut seen = std::collections::BTreeSet::new();
    let kept: Vec<Value> = all.iter().filter(|v| seen.insert((*v).clone())).cloned().collect();
    Ok(Value::list(element_type(&args[0].ty()), kept))
}

fn flatten(context: &CallContext<'_>, args: &[Value]) -> Called {
    let list = &args[0];
    let mut flat = Flat { items: Vec::new(), marks: list.marks, open: false };
    match (&list.kind, list.ty()) {
        (Kind::List(..) | Kind::Set(..) | Kind::Tuple(_), _) => flat.add_items(context, list)?,
        (Kind::Unknown(_), Type::List(_) | Type::Set(_) | Type::Tuple(_) | Type::Any) => flat.open = true,
        _ => return Err(FunctionError::new("can only flatten lists, sets and tuples")),
    }
    if flat.open {
        return Ok(opaque(Type::Any, list.marks_deep()));
    }
    Ok(Value::tuple(flat.items).mark(flat.marks))
}

struct Flat {
    items: Vec<Value>,
    marks: Marks,
    /// Whether how many there are is not known.
    open: bool,
}

impl Flat {
    fn add_items(&mut self, context: &CallContext<'_>, list: &Value) -> Result<(), FunctionError> {
        let all = items(list)?;
        spend_items(context, all.len())?;
        for item in all {
            match (&item.kind, item.ty()) {
                (Kind::List(..) | Kind::Set(..) | Kind::Tuple(_), _) => {
                    self.marks = self.marks.union(item.marks);
                    self.add_items(context, item)?;
                }
                (Kind::Unknown(_), Type::List(_) | Type::Set(_) | Type::Tuple(_) | Type::Any) => self.open = true,
                _ => {
                    // A null in a list's place: that it is none tells of what was marked.
                    if item.is_null() {
                        self.marks = self.marks.union(item.marks);
                    }
                    self.items.push(item.clone());
                }
            }
        }
        Ok(())
    }
}

fn range(context: &CallContext<'_>, args: &[Value]) -> Called {
    let numbers: Vec<&Number> = args.iter().map(number).collect::<Result<_, _>>()?;
    let one = Number::from(1i64);
    let by_direction = |start: &Number, end: &Number| if end < start { one.neg() } else { one.clone() };
    let (start, end, step) = match numbers[..] {
        [end] => (Number::ZERO, end.clone(), by_direction(&Number::ZERO, end)),
        [start, end] => (start.clone(), end.clone(), by_direction(start, end)),
        [start, end, step] => (start.clone(), end.clone(), step.clone()),
        _ => return Err(FunctionError::new("must have one, two, or three arguments")),
    };
    let down = step.is_negative();
    if down && end > start {
        return Err(FunctionError::at(1, "end must be less than start when step is negative"));
    }
    if !down && end < start {
        return Err(FunctionError::at(1, "end must be greater than start when step is positive"));
    }
    let mut all = Vec::new();
    let mut n = start;
    while if down { n > end } else { n < end } {
        if all.len() == RANGE_MAX {
            return Err(FunctionError::new(format!(
                "more than {RANGE_MAX} values were generated; either decrease the difference between start and end or use a smaller step"
            )));
        }
        let next = n.add(&step);
        all.push(Value::number(n));
        n = next;
    }
    spend_items(context, all.len())?;
    Ok(Value::list(Type::Number, all))
}

fn reverse(context: &CallContext<'_>, args: &[Value]) -> Called {
    let list = &args[0];
    let made = match (&list.kind, list.ty()) {
        (Kind::List(_, all) | Kind::Set(_, all) | Kind::Tuple(all), _) => {
            spend_items(context, all.len())?;
            sequence_like(list, all.iter().rev().cloned().collect())
        }
        (Kind::Unknown(_), Type::Tuple(types)) => {
            Value::tuple(types.iter().rev().map(|t| Value::opaque(t.clone())).collect::<Vec<_>>())
        }
        (Kind::Unknown(_), Type::List(t) | Type::Set(t)) => Value::opaque(Type::list((*t).clone())),
        (Kind::Unknown(_), Type::Any) => Value::opaque(Type::Any),
        (_, ty) => {
            let message = format!("can only reverse list or tuple values, not {}", ty.friendly());
            return Err(FunctionError::at(0, message));
        }
    };
    Ok(made.mark(list.marks))
}

fn sort(context: &CallContext<'_>, args: &[Value]) -> Called {
    if args[0].is_unknown() {
        return Ok(opaque(Type::list(Type::String), Marks::NONE));
    }
    let all = items(&args[0])?;
    if let Some(i) = all.iter().position(Value::is_null) {
        return Err(FunctionError::new(format!("given list element {i} is null; a null string cannot be sorted")));
    }
    spend_items(context, all.len())?;
    if !args[0].is_wholly_known() {
        // How many there will be is known, but not where any of them comes.
        return Ok(Value::list(Type::String, vec![Value::opaque(Type::String); all.len()]));
    }
    let mut sorted = all.to_vec();
    sorted.sort();
    Ok(Value::list(Type::String, sorted))
}

fn chunklist(context: &CallContext<'_>, args: &[Value]) -> Called {
    let (list, size) = (&args[0], &args[1]);
    let size = whole(size).map_err(|e| FunctionError::new(format!("invalid size: {}", e.message)))?;
    let size = usize::try_from(size).map_err(|_| FunctionError::new("the size argument must be positive"))?;
    if list.is_unknown() {
        return Ok(opaque(Type::list(list.ty()), list.marks));
    }
    let all = items(list)?;
    spend_items(context, all.len())?;
    let element = element_type(&list.ty());
    // Zero means all in one.
    let size = if size == 0 { all.len().max(1) } else { size };
    let chunks: Vec<Value> = all.chunks(size).map(|c| Value::list(element.clone(), c)).collect();
    Ok(Value::list(Type::list(element), chunks).mark(list.marks))
}

fn matchkeys(context: &CallContext<'_>, args: &[Value]) -> Called {
    let element = unify(&[element_type(&args[1].ty()), element_type(&args[2].ty())]);
    let element = element.ok_or_else(|| FunctionError::new("keys and searchset must be of the same type"))?;
    let keys = convert(&args[1], &Type::list(element.clone()))?;
    let wanted = convert(&args[2], &Type::list(element))?;
    let (values, keys, wanted) = (items(&args[0])?, items(&keys)?, items(&wanted)?);
    if values.len() != keys.len() {
        return Err(FunctionError::new("length of keys and values should be equal"));
    }
    spend_items(context, keys.len().saturating_mul(wanted.len()))?;
    let kept = values.iter().zip(keys).filter(|(_, k)| wanted.iter().any(|w| equal(k, w) == Some(true)));
    Ok(Value::list(element_type(&args[0].ty()), kept.map(|(v, _)| v.clone()).collect::<Vec<_>>()))
}

fn slice(context: &CallContext<'_>, args: &[Value]) -> Called {
    let list = &args[0];
    let place = |i: usize, name: &str| {
        whole(&args[i]).map_err(|e| FunctionError::at(i, format!("invalid {name} index: {}", e.message)))
    };
    let ty = list.ty();
    match &ty {
        Type::List(_) | Type::Tuple(_) => {}
        Type::Any => return Ok(opaque(Type::Any, list.marks)),
        Type::Set(_) => {
            let message = "cannot slice a set, because its elements do not have indices; explicitly convert to a list if the ordering of the result is not important";
            return Err(FunctionError::at(0, message));
        }
        _ => return Err(FunctionError::at(0, "must be a list or tuple value")),
    }
    let (start, end) = (place(1, "start")?, place(2, "end")?);
    let (all, count) = match (&list.kind, &ty) {
        (Kind::Unknown(Unknown { .. }), Type::Tuple(types)) => {
            let all: Vec<Value> = types.iter().map(|t| Value::opaque(t.clone())).collect();
            let count = all.len();
            (all, count)
        }
        (Kind::Unknown(_), _) => (Vec::new(), usize::MAX),
        _ => (items(list)?.to_vec(), items(list)?.len()),
    };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let refuse = |argument: usize, message: &'static str| Err(FunctionError::at(argument, message));
    match () {
        () if start < 0 => return refuse(1, "start index must not be less than zero"),
        () if start > count => return refuse(1, "start index must not be greater than the length of the list"),
        () if end < 0 => return refuse(2, "end index must not be less than zero"),
        () if end > count => return refuse(2, "end index must not be greater than the length of the list"),
        () if start > end => return refuse(1, "start index must not be greater than end index"),
        () => {}
    }
    if list.is_unknown() && !matches!(ty, Type::Tuple(_)) {
        return Ok(opaque(ty, list.marks));
    }
    let within = usize::try_from(start).unwrap_or(0)..usize::try_from(end).unwrap_or(0);
    spend_items(context, within.len())?;
    Ok(sequence_like(list, all[within].to_vec()).mark(list.marks))
}
