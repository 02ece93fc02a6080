//! A block's body against a schema: its object.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::scope::ModuleScope;
use crate::config::desired::{BlockBody, Body};
use crate::diag::{Diagnostic, did_you_mean};
use crate::eval::{Cause, Term, TermKind};
use crate::provider::{AttributeSchema, BlockSchema, Mode, Nesting};
use crate::value::{Kind, Map, Marks, Value, convert};

/// Attributes by name.
pub(super) type Attributes = BTreeMap<Arc<str>, AttributeSchema>;
/// Blocks by name.
pub(super) type Blocks = BTreeMap<Arc<str>, BlockSchema>;

/// Attributes and blocks by name.
#[derive(Clone, Copy)]
pub(super) struct Shape<'s> {
    /// What attributes there may be.
    pub(super) attributes: &'s BTreeMap<Arc<str>, AttributeSchema>,
    /// What blocks there may be.
    pub(super) blocks: &'s BTreeMap<Arc<str>, BlockSchema>,
}

/// The object that a body asks for: every attribute and block of the shape is in it, null where nothing was given. What is
/// wrong is noted; the parts concerned are then not known.
pub(super) fn evaluate(
    body: &Body,
    shape: Shape<'_>,
    scope: &ModuleScope<'_>,
    what: &dyn fmt::Display,
    site: &dyn fmt::Display,
) -> Value {
    let mut out = Map::with_capacity(shape.attributes.len() + shape.blocks.len());
    for (name, attribute) in &body.attributes {
        if !shape.attributes.get(&**name).is_some_and(AttributeSchema::settable) {
            scope.report(unexpected(name, shape, what).at(attribute.name_span));
        }
    }
    for (name, schema) in shape.attributes {
        let value = match body.attributes.get(name) {
            Some(given) if schema.settable() => {
                let value = attribute(&given.term, schema, scope, name, site);
                if schema.mode == Mode::Required && value.is_null() {
                    let detail = format!("The argument \"{name}\" is required in {what}, but its value is null.");
                    let wrong = Diagnostic::error("Missing required argument", detail);
                    scope.report_on(wrong, &given.term, Cause::default());
                }
                if value.is_null() { schema.default.clone().unwrap_or(value) } else { value }
            }
            _ => {
                if schema.mode == Mode::Required {
                    let detail = format!("The argument \"{name}\" is required in {what}, but it is not there.");
                    scope.report(Diagnostic::error("Missing required argument", detail).at(body.span));
                }
                schema.default.clone().unwrap_or_else(|| Value::null(schema.ty.clone()))
            }
        };
        let value = if schema.sensitive && !value.is_null() { value.mark(Marks::SENSITIVE) } else { value };
        out.insert(name.clone(), value);
    }
    for block in &body.blocks {
        if !shape.blocks.contains_key(&*block.ty) {
            let hint = did_you_mean(&block.ty, shape.blocks.keys().map(|n| &**n).chain(META));
            let detail = format!("Blocks of type \"{}\" are not expected in {what}.", block.ty);
            scope.report(Diagnostic::error("Unsupported block type", detail).at(block.span).hint_opt(hint));
        }
    }
    for (name, schema) in shape.blocks {
        let given: Vec<&BlockBody> = body.blocks.iter().filter(|b| b.ty == *name).collect();
        out.insert(name.clone(), blocks(&given, schema, scope, name, body, site));
    }
    Value::object(out)
}

/// What any block of a node may have beside its own, for suggestions.
const META: [&str; 5] = ["count", "depends_on", "for_each", "lifecycle", "provider"];

fn unexpected(name: &str, shape: Shape<'_>, what: &dyn fmt::Display) -> Diagnostic {
    if shape.attributes.contains_key(name) {
        let detail = format!("\"{name}\" of {what} is what Gantry answers; the configuration cannot set it.");
        return Diagnostic::error("Value for computed attribute", detail);
    }
    if shape.blocks.contains_key(name) {
        let detail = format!("\"{name}\" is a block in {what}: write {name} {{ … }}, without an equals sign.");
        return Diagnostic::error("Unsupported argument", detail);
    }
    let settable = shape.attributes.iter().filter(|(_, a)| a.settable()).map(|(n, _)| &**n);
    let settable = settable.chain(shape.blocks.keys().map(|n| &**n)).chain(META);
    let detail = format!("An argument named \"{name}\" is not expected in {what}.");
    Diagnostic::error("Unsupported argument", detail).hint_opt(did_you_mean(name, settable))
}

fn attribute(
    term: &Arc<Term>,
    schema: &AttributeSchema,
    scope: &ModuleScope<'_>,
    name: &str,
    site: &dyn fmt::Display,
) -> Value {
    let value = scope.evaluate(term, site);
    convert(&value, &schema.ty).unwrap_or_else(|e| {
        let detail = format!("Inappropriate value for argument \"{name}\": {e}.");
        let wrong = Diagnostic::error("Incorrect argument value type", detail);
        match term.kind {
            // It is wrong whatever else has a value.
            TermKind::Literal(_) => scope.report(wrong.at(term.span)),
            _ => scope.report_on(wrong, term, Cause::default()),
        }
        Value::opaque(schema.ty.clone())
    })
}

fn blocks(
    given: &[&BlockBody],
    schema: &BlockSchema,
    scope: &ModuleScope<'_>,
    name: &str,
    around: &Body,
    site: &dyn fmt::Display,
) -> Value {
    let shape = Shape { attributes: &schema.attributes, blocks: &schema.blocks };
    let what = format_args!("a \"{name}\" block");
    let mut made: Vec<(Option<Arc<str>>, Value)> = Vec::new();
    for block in given {
        match &block.dynamic {
            None => {
                let object = evaluate(&block.body, shape, scope, &what, site);
                made.push((block.labels.first().cloned(), object));
            }
            Some(dynamic) => {
                let collection = scope.evaluate(&dynamic.for_each, site);
                let Some(pairs) = pairs(&collection) else {
                    if !collection.is_wholly_known() {
                        return Value::opaque(schema.ty());
                    }
                    let detail = "\"for_each\" of a dynamic block must be a collection that is not null.";
                    let wrong = Diagnostic::error("Invalid dynamic for_each value", detail);
                    scope.report_on(wrong, &dynamic.for_each, Cause::default());
                    return Value::opaque(schema.ty());
                };
                for (key, value) in pairs {
                    let iterator = Value::object_of([("key", key), ("value", value)]).mark(collection.marks);
                    let mut iterators = scope.iterators.to_vec();
                    iterators.push((dynamic.iterator.clone(), iterator));
                    let inner = ModuleScope { iterators: &iterators, ..*scope };
                    let label = dynamic.labels.as_ref().map(|l| inner.evaluate(l, site));
                    let label = label.and_then(|l| l.as_items()?.first()?.as_str().map(Arc::from));
                    made.push((label, evaluate(&block.body, shape, &inner, &what, site)));
                }
            }
        }
    }
    if schema.required && made.is_empty() {
        let detail = format!("At least one \"{name}\" block is required here.");
        scope.report(Diagnostic::error("Missing required block", detail).at(around.span));
    }
    match schema.nesting {
        Nesting::Single => {
            if let (true, Some(second)) = (made.len() > 1, given.get(1)) {
                let detail = format!("Only one \"{name}\" block is allowed here.");
                scope.report(Diagnostic::error("Duplicate block", detail).at(second.span));
            }
            made.pop().map_or_else(|| Value::null(schema.object_type()), |(_, object)| object)
        }
        Nesting::List => Value::list(schema.object_type(), made.into_iter().map(|(_, o)| o).collect::<Vec<_>>()),
        Nesting::Map => {
            let pairs = made.into_iter().map(|(label, object)| (label.unwrap_or_else(|| "".into()), object));
            Value::map(schema.object_type(), pairs.collect())
        }
    }
}

/// The keys and values of a collection; `None` if it has none or is not known.
pub(super) fn pairs(collection: &Value) -> Option<Vec<(Value, Value)>> {
    match &collection.kind {
        Kind::List(_, items) | Kind::Tuple(items) => {
            Some(items.iter().enumerate().map(|(i, v)| (Value::number(i), v.clone())).collect())
        }
        // Of a set with elements that are not known it is not known how many there are.
        Kind::Set(_, items) if !items.iter().all(Value::is_wholly_known) => None,
        Kind::Set(_, items) => Some(items.iter().map(|v| (v.clone(), v.clone())).collect()),
        Kind::Map(_, m) | Kind::Object(m) => {
            Some(m.iter().map(|(k, v)| (Value::string(k.clone()), v.clone())).collect())
        }
        _ => None,
    }
}
