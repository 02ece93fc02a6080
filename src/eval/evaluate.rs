//! The evaluator's heart: a term and its scope give a value.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ForTerm, Host, ObjectItem, Reference, Scope, SplatKind, Term, TermKind};
use crate::diag::{Diagnostic, Span};
use crate::value::{Kind, Marks, Refinement, Type, Unknown, Value, convert, show, unify};

/// What an evaluation gives.
pub(super) type Evaluated = Result<Value, Box<Diagnostic>>;

/// The work that all evaluation of one plan may do, in units of one term, element or 64 bytes. Without it, 875 bytes of
/// doubling locals keep a machine busy for minutes.
#[derive(Debug)]
pub struct Budget {
    units: u64,
    left: Cell<u64>,
    drawn: Cell<u64>,
    attempts: Cell<usize>,
}

impl Budget {
    /// Enough for the largest configuration whose size is not known, reached by runaway definitions within a second or two.
    pub const PLAN: u64 = 50_000_000;

    /// The most units that one value may take when it is made: a million elements, or 64 MB of text. What doubles reaches
    /// this long before the work is used up, and before the memory is.
    pub const VALUE: u64 = 1_000_000;

    /// Work for a configuration of so many bytes: what a small one may do in a second, and more for what is written out.
    #[must_use]
    pub fn for_configuration(bytes: usize) -> Self {
        Self::new(10_000_000 + 10 * bytes as u64)
    }

    /// A budget of so many units.
    #[must_use]
    pub fn new(units: u64) -> Self {
        Self { units, left: Cell::new(units), drawn: Cell::new(0), attempts: Cell::new(0) }
    }

    /// The number of the next value that is drawn (`uuid()`), so that one place that is evaluated several times, in a `for`,
    /// draws several. A term that is evaluated again, with a budget of its own, counts from the start again.
    pub(super) fn next_draw(&self) -> u64 {
        let number = self.drawn.get();
        self.drawn.set(number + 1);
        number
    }

    /// Does something whose failure nobody will read, so that it need not be explained.
    pub(super) fn attempt<T>(&self, act: impl FnOnce() -> T) -> T {
        self.attempts.set(self.attempts.get() + 1);
        let done = act();
        self.attempts.set(self.attempts.get() - 1);
        done
    }

    /// Whether what fails now is to be explained.
    pub(super) fn explains(&self) -> bool {
        self.attempts.get() == 0 && !self.is_used_up()
    }

    /// Spends some; false when it is used up.
    #[must_use]
    pub fn spend(&self, units: u64) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(units));
        left >= units
    }

    /// Spends what one value takes.
    pub(super) fn take(&self, units: u64) -> Result<(), Diagnostic> {
        match (units > Self::VALUE, self.spend(units)) {
            (true, _) => {
                let detail = "This would make a value of more than 1,000,000 elements or 64 MB of text, which is the limit. A \
                              definition that doubles itself again and again is the usual cause.";
                Err(Diagnostic::error("Value too large", detail))
            }
            (false, true) => Ok(()),
            (false, false) => Err(self.exceeded()),
        }
    }

    fn is_used_up(&self) -> bool {
        self.left.get() == 0
    }

    /// What is said when it is used up.
    pub(super) fn exceeded(&self) -> Diagnostic {
        let detail = format!(
            "Evaluating this configuration takes more work than the limit of {} steps. A definition that doubles itself again \
             and again is the usual cause.",
            self.units
        );
        Diagnostic::error("Evaluation limit reached", detail)
    }
}

/// The variables that `for` expressions have bound, innermost first.
#[derive(Debug, Clone, Copy)]
pub struct Locals<'p> {
    parent: Option<&'p Locals<'p>>,
    name: &'p str,
    value: &'p Value,
}

impl<'p> Locals<'p> {
    pub(super) fn bind(parent: Option<&'p Self>, name: &'p str, value: &'p Value) -> Self {
        Self { parent, name, value }
    }

    pub(super) fn find(&self, name: &str) -> Option<&'p Value> {
        if self.name == name { Some(self.value) } else { self.parent.and_then(|p| p.find(name)) }
    }
}

/// The name under which the element of the innermost splat is bound; no identifier, so that nothing else can mean it.
const SPLAT_ITEM: &str = "[*]";

/// Evaluates terms.
#[derive(Clone, Copy)]
pub struct Evaluator<'a> {
    /// Who answers references.
    pub scope: &'a dyn Scope,
    /// Who answers questions about the outside.
    pub host: &'a dyn Host,
    /// What may be spent.
    pub budget: &'a Budget,
    /// A text that tells this evaluation from every other in the plan, for functions that are drawn at apply.
    pub site: &'a dyn std::fmt::Display,
}

impl Evaluator<'_> {
    /// The value of a term. Parts that are known after apply carry the term that computes them.
    ///
    /// # Errors
    /// When something in it has no value; the first such place is named.
    pub fn evaluate(&self, term: &Arc<Term>) -> Evaluated {
        let memory = super::memory::Memory::around(self.host);
        let remembering = Evaluator { host: &memory, ..*self };
        let value = remembering.eval(term, None)?;
        self.weigh(&value, term.span)?;
        Ok(super::closure::close(value, term, &remembering, &memory))
    }

    /// The value of a term, converted to a type.
    ///
    /// # Errors
    /// When it has no value or none of that type.
    pub fn evaluate_as(&self, term: &Arc<Term>, ty: &Type, what: &str) -> Evaluated {
        let value = self.evaluate(term)?;
        convert(&value, ty).map_err(|e| {
            let detail = format!("Invalid value for {what}: {e}.");
            let wrong = Diagnostic::error("Incorrect value type", detail).at(term.span).hint_opt(shown(&value));
            self.explained(Box::new(wrong), term, None)
        })
    }

    pub(super) fn eval(&self, term: &Arc<Term>, locals: Option<&Locals<'_>>) -> Evaluated {
        self.spend(1, term.span)?;
        self.eval_kind(term, locals).map_err(|e| self.explained(e, term, locals))
    }

    fn eval_kind(&self, term: &Arc<Term>, locals: Option<&Locals<'_>>) -> Evaluated {
        match &term.kind {
            TermKind::Literal(value) => Ok(value.clone()),
            TermKind::Template(parts) => self.template(parts, term.span, locals),
            TermKind::Reference(reference) => self.reference(reference, locals),
            TermKind::Attribute(of, name) => {
                let value = self.eval(of, locals)?;
                super::traverse::attribute(&value, name, term.span)
            }
            TermKind::Index(of, key) => {
                let value = self.eval(of, locals)?;
                let key = self.eval(key, locals)?;
                super::traverse::index(&value, &key, term.span)
            }
            TermKind::Splat { source, each, kind } => self.splat(source, each, *kind, locals),
            TermKind::SplatItem => locals
                .and_then(|l| l.find(SPLAT_ITEM))
                .cloned()
                .ok_or_else(|| bug("an element outside of a splat", term.span)),
            TermKind::Unary(operator, of) => {
                let value = self.eval(of, locals)?;
                super::operator::unary(*operator, &value, of.span)
            }
            TermKind::Binary(operator, a, b) => super::operator::binary(self, *operator, a, b, locals),
            TermKind::Conditional(condition, then, otherwise) => {
                self.conditional(condition, then, otherwise, term.span, locals)
            }
            TermKind::Call { name, name_span, arguments, expand } => {
                self.call(name, *name_span, arguments, *expand, term.span, locals)
            }
            TermKind::Tuple(items) => Ok(Value::tuple(self.eval_all(items, locals)?)),
            TermKind::Object(items) => self.object(items, locals),
            TermKind::For(f) => self.for_expression(f, locals),
        }
    }

    /// The values of several terms. What is wrong with any of them is told together, unless nobody reads it.
    pub(super) fn eval_all<'t>(
        &self,
        terms: impl IntoIterator<Item = &'t Arc<Term>>,
        locals: Option<&Locals<'_>>,
    ) -> Result<Vec<Value>, Box<Diagnostic>> {
        let terms = terms.into_iter();
        let mut values = Vec::with_capacity(terms.size_hint().0);
        let mut wrong: Option<Box<Diagnostic>> = None;
        for term in terms {
            match (self.eval(term, locals), &mut wrong) {
                (Ok(value), _) => values.push(value),
                (Err(e), None) if self.budget.explains() => wrong = Some(e),
                (Err(e), None) => return Err(e),
                (Err(e), Some(first)) => first.join(*e),
            }
        }
        wrong.map_or(Ok(values), Err)
    }

    pub(super) fn spend(&self, units: u64, span: Span) -> Result<(), Box<Diagnostic>> {
        self.budget.take(units).map_err(|e| Box::new(e.at(span)))
    }

    /// Refuses a value that gets a name although it is too large to be gone through. Definitions that hold each other twice
    /// are made in no time and share their parts, but whatever then looks at them does not end. A look costs a sixteenth of
    /// what it costs to make a value, for it is that much faster.
    fn weigh(&self, value: &Value, span: Span) -> Result<(), Box<Diagnostic>> {
        let units = value.weight(Budget::VALUE);
        self.spend(if units > Budget::VALUE { units } else { units / 16 }, span)
    }

    fn reference(&self, reference: &Reference, locals: Option<&Locals<'_>>) -> Evaluated {
        let (value, consumed) = match locals.and_then(|l| l.find(&reference.root)) {
            Some(value) => (value.clone(), 0),
            None => self.scope.resolve(reference)?,
        };
        super::traverse::steps(value, &reference.steps[consumed..], reference.span)
    }

    fn object(&self, items: &[ObjectItem], locals: Option<&Locals<'_>>) -> Evaluated {
        let mut map = Vec::with_capacity(items.len());
        let mut marks = Marks::NONE;
        let mut unknown_key = false;
        let mut values = self.eval_all(items.iter().flat_map(|item| [&item.key, &item.value]), locals)?.into_iter();
        for item in items {
            let (Some(key), Some(value)) = (values.next(), values.next()) else { break };
            marks = marks.union(key.marks);
            match convert(&key, &Type::String).map(|k| k.kind) {
                Ok(Kind::String(name)) => map.push((name, value)),
                Ok(Kind::Unknown(_)) => unknown_key = true,
                Ok(_) | Err(_) => {
                    let detail = "An object's key must be a string that is not null.";
                    return Err(Box::new(Diagnostic::error("Invalid object key", detail).at(item.key.span)));
                }
            }
        }
        let value = if unknown_key { Value::opaque(Type::Any) } else { Value::object(map.into_iter().collect()) };
        Ok(value.mark(marks))
    }

    fn conditional(
        &self,
        condition: &Arc<Term>,
        then: &Arc<Term>,
        otherwise: &Arc<Term>,
        span: Span,
        locals: Option<&Locals<'_>>,
    ) -> Evaluated {
        let decided = self.condition(condition, locals)?;
        // Both sides are evaluated, for the result has one type whichever is taken; an error counts only on the side that is.
        let (a, b) = (self.eval(then, locals), self.eval(otherwise, locals));
        let marks = decided.marks;
        let (Ok(x), Ok(y)) = (&a, &b) else {
            return match (decided.as_bool(), a, b) {
                (Some(true), a, _) => a.map(|v| v.mark(marks)),
                (Some(false), _, b) => b.map(|v| v.mark(marks)),
                (None, Err(e), _) if self.budget.is_used_up() => Err(e),
                // The side that failed may be the one that is not taken, and it may fail only as long as something is not
                // known: two sides have no type in common, of which the one that is taken may do alone.
                (None, Ok(v), _) | (None, _, Ok(v)) => Ok(Value::opaque(Type::Any).mark(marks.union(v.marks_deep()))),
                (None, Err(_), Err(_)) => Ok(Value::opaque(Type::Any).mark(marks)),
            };
        };
        let marks = marks.union(x.marks).union(y.marks);
        let Some(ty) = side_type(x, y) else {
            let detail = format!(
                "The two sides of a conditional must have one type in common, but here they are {} and {}.",
                x.ty().friendly(),
                y.ty().friendly()
            );
            return Err(Box::new(Diagnostic::error("Inconsistent conditional result types", detail).at(span)));
        };
        let picked = match decided.as_bool() {
            Some(true) => x,
            Some(false) => y,
            None => return Ok(undecided(x, y, ty).mark(marks)),
        };
        let converted = convert(picked, &ty).map_err(|e| {
            let detail = format!("The result cannot have the type that both sides share: {e}.");
            Box::new(Diagnostic::error("Inconsistent conditional result types", detail).at(span))
        })?;
        Ok(converted.mark(marks))
    }

    /// A condition's value: a known or unknown bool, never null.
    pub(super) fn condition(&self, term: &Arc<Term>, locals: Option<&Locals<'_>>) -> Evaluated {
        let value = self.eval(term, locals)?;
        match convert(&value, &Type::Bool) {
            Ok(value) if !value.is_null() => Ok(value),
            _ => {
                let what = if value.is_null() { "null".into() } else { value.ty().friendly() };
                let detail = format!("A condition must be true or false, but this is {what}.");
                let wrong = Diagnostic::error("Incorrect condition type", detail).at(term.span).hint_opt(shown(&value));
                Err(self.explained(Box::new(wrong), term, locals))
            }
        }
    }

    fn splat(&self, source: &Arc<Term>, each: &Arc<Term>, _: SplatKind, locals: Option<&Locals<'_>>) -> Evaluated {
        let value = self.eval(source, locals)?;
        let here = |item: &Value| self.eval(each, Some(&Locals::bind(locals, SPLAT_ITEM, item)));
        // Where an element fails it is asked again with its collection's marks, for the message to be as discreet.
        let again = |item: &Value| here(&item.clone().mark(value.marks));
        let one = |item: &Value| match here(item) {
            Err(e) if self.asks_again(&value) => Err(again(item).err().unwrap_or(e)),
            result => result,
        };
        // What an element whose value is not known gives, for its type and for the mistakes that show in types.
        let of_type = |ty: &Type| one(&Value::opaque(ty.clone())).map(|v| v.ty());
        let result = match &value.kind {
            Kind::Null(Type::List(_) | Type::Set(_) | Type::Tuple(_)) => {
                let detail = "The value in front of the splat is null; there is nothing to take an element of.";
                return Err(Box::new(Diagnostic::error("Splat of null value", detail).at(source.span)));
            }
            Kind::Null(_) => Value::tuple([]),
            Kind::Unknown(unknown) => match &unknown.ty {
                Type::Any => Value::opaque(Type::Any),
                Type::List(t) | Type::Set(t) => self.splat_of_unknown(&value, of_type(t)?),
                Type::Tuple(all) => {
                    let types: Result<Vec<Type>, _> = all.iter().map(of_type).collect();
                    Value::opaque(Type::Tuple(types?.into())).refined(&Refinement::not_null())
                }
                // Whether there is one element or none depends on whether the value will be null.
                _ => {
                    let result = one(&Value { marks: Marks::NONE, ..value.clone() })?;
                    if value.is_never_null() { Value::tuple([result]) } else { Value::opaque(Type::Any) }
                }
            },
            Kind::Set(t, items) if !items.iter().all(Value::is_wholly_known) => {
                self.splat_of_unknown(&value, of_type(t)?)
            }
            Kind::List(t, items) | Kind::Set(t, items) if items.is_empty() => Value::list(of_type(t)?, []),
            Kind::List(_, items) | Kind::Set(_, items) => {
                let results = items.iter().map(one).collect::<Result<Vec<Value>, _>>()?;
                crate::value::unify_values(&results)
                    .map_or_else(|_| Value::tuple(results), |(t, items)| Value::list(t, items))
            }
            Kind::Tuple(items) => Value::tuple(items.iter().map(one).collect::<Result<Vec<Value>, _>>()?),
            _ => Value::tuple([one(&Value { marks: Marks::NONE, ..value.clone() })?]),
        };
        Ok(result.mark(value.marks))
    }

    /// The list that a splat makes of elements that are not known: of a set, it shows only then how many there are.
    fn splat_of_unknown(&self, source: &Value, element: Type) -> Value {
        let (shortest, longest) = source.length_bounds();
        Value::opaque(Type::list(element)).refined(&Refinement::length(shortest, longest))
    }

    fn for_expression(&self, f: &ForTerm, locals: Option<&Locals<'_>>) -> Evaluated {
        let collection = self.eval(&f.collection, locals)?;
        let mut marks = collection.marks;
        let Some(pairs) = pairs(&collection, f.collection.span)? else {
            return Ok(Value::opaque(Type::Any).mark(marks.union(self.for_unknown(f, locals)?)));
        };
        if pairs.is_empty() {
            self.for_unknown(f, locals)?;
        }
        let mut results = ForResults::default();
        for (key, value) in &pairs {
            let failed = match self.for_item(f, key, value, locals, &mut results) {
                Ok(found) => {
                    marks = marks.union(found);
                    continue;
                }
                Err(e) => e,
            };
            if !self.asks_again(&collection) {
                return Err(failed);
            }
            let (key, value) = (key.clone().mark(collection.marks), value.clone().mark(collection.marks));
            return Err(self.for_item(f, &key, &value, locals, &mut results).err().unwrap_or(failed));
        }
        Ok(results.into_value(f).mark(marks))
    }

    /// Whether an element that failed is asked again: its collection has marks that the element itself has not.
    fn asks_again(&self, collection: &Value) -> bool {
        !collection.marks.is_empty() && !self.budget.is_used_up()
    }

    /// One element of a `for`, and the marks that it puts on the whole. Where it fails it is asked again with the collection's marks
    /// on it: what is said of an element must be as discreet as what is said of the collection, but its value has no such marks.
    fn for_item(
        &self,
        f: &ForTerm,
        key: &Value,
        value: &Value,
        locals: Option<&Locals<'_>>,
        results: &mut ForResults,
    ) -> Result<Marks, Box<Diagnostic>> {
        self.weigh(value, f.collection.span)?;
        let with_key = f.key_name.as_deref().map(|name| Locals::bind(locals, name, key));
        let with_value = Locals::bind(with_key.as_ref().or(locals), &f.value_name, value);
        let here = Some(&with_value);
        let mut marks = Marks::NONE;
        if let Some(condition) = &f.condition {
            let taken = self.condition(condition, here)?;
            marks = taken.marks;
            match taken.as_bool() {
                Some(true) => {}
                Some(false) => return Ok(marks),
                // What may be left out is not evaluated: it may have been left out for having no value.
                None => {
                    results.unknown = true;
                    return Ok(marks);
                }
            }
        }
        match &f.key {
            None => results.items.push(self.eval(&f.value, here)?),
            Some(key) => marks = marks.union(self.for_key(f, key, here, results)?),
        }
        Ok(marks)
    }

    /// What is certain of a `for` over what is not known, or over nothing: that its condition makes sense, and the condition's marks.
    fn for_unknown(&self, f: &ForTerm, locals: Option<&Locals<'_>>) -> Result<Marks, Box<Diagnostic>> {
        let Some(condition) = &f.condition else { return Ok(Marks::NONE) };
        let element = Value::opaque(Type::Any);
        let with_key = f.key_name.as_deref().map(|name| Locals::bind(locals, name, &element));
        let with_value = Locals::bind(with_key.as_ref().or(locals), &f.value_name, &element);
        Ok(self.condition(condition, Some(&with_value))?.marks)
    }

    fn for_key(
        &self,
        f: &ForTerm,
        key: &Arc<Term>,
        here: Option<&Locals<'_>>,
        results: &mut ForResults,
    ) -> Result<Marks, Box<Diagnostic>> {
        let name = self.eval(key, here)?;
        let text = match convert(&name, &Type::String).map(|v| v.kind) {
            Ok(Kind::String(text)) => text,
            Ok(Kind::Unknown(_)) => {
                results.unknown = true;
                return Ok(name.marks);
            }
            _ => {
                let detail = "The key of a \"for\" expression for an object must be a string that is not null.";
                let wrong = Diagnostic::error("Invalid object key", detail).at(key.span);
                return Err(self.explained(Box::new(wrong), key, here));
            }
        };
        let value = self.eval(&f.value, here)?;
        if f.group {
            results.groups.entry(text).or_default().push(value);
        } else if results.map.insert(text.clone(), value).is_some() {
            // The key is part of the message, so a sensitive one is not named.
            let which = if name.marks.is_empty() { format!("the key {text:?}") } else { "one key".to_owned() };
            let detail = format!(
                "Two different items produced {which} in this \"for\" expression. If that is meant, put the values of one key \
                 together with an ellipsis (...) behind the value."
            );
            let wrong = Diagnostic::error("Duplicate object key", detail).at(key.span);
            return Err(self.explained(Box::new(wrong), key, here));
        }
        Ok(name.marks)
    }
}

#[derive(Default)]
struct ForResults {
    items: Vec<Value>,
    map: BTreeMap<Arc<str>, Value>,
    groups: BTreeMap<Arc<str>, Vec<Value>>,
    unknown: bool,
}

impl ForResults {
    fn into_value(self, f: &ForTerm) -> Value {
        if self.unknown {
            return Value::opaque(Type::Any);
        }
        if f.key.is_none() {
            return Value::tuple(self.items);
        }
        if f.group {
            return Value::object(self.groups.into_iter().map(|(k, v)| (k, Value::tuple(v))).collect());
        }
        Value::object(self.map.into_iter().collect())
    }
}

/// The type of a conditional with these sides. A bare null takes that of the other side; while the type of a side is open,
/// the result's is.
fn side_type(x: &Value, y: &Value) -> Option<Type> {
    let bare = |v: &Value| matches!(v.kind, Kind::Null(Type::Any)) && v.marks.is_empty();
    let open = |v: &Value| matches!(v.kind, Kind::Unknown(Unknown { ty: Type::Any, .. }) | Kind::Null(Type::Any));
    match (x, y) {
        (x, y) if bare(x) => Some(y.ty()),
        (x, y) if bare(y) => Some(x.ty()),
        (x, y) if open(x) || open(y) => Some(Type::Any),
        _ => unify(&[x.ty(), y.ty()]),
    }
}

/// What is known of a conditional whose condition is not: what holds of both sides.
fn undecided(x: &Value, y: &Value, ty: Type) -> Value {
    if x.is_null() && y.is_null() {
        return Value::null(ty);
    }
    let (a, b) = (x.range(), y.range());
    // Elements may merge and lengths change where a side is converted.
    let same = x.ty() == y.ty() && x.ty() == ty;
    let known =
        if same { a.or(&b) } else { Refinement { not_null: a.not_null && b.not_null, ..Refinement::default() } };
    Value::opaque(ty).refined(&known)
}

/// The keys and values that a `for` walks over; `None` while the collection is not known.
pub(super) fn pairs(collection: &Value, span: Span) -> Result<Option<Vec<(Value, Value)>>, Box<Diagnostic>> {
    let numbered = |items: &[Value]| items.iter().enumerate().map(|(i, v)| (Value::number(i), v.clone())).collect();
    Ok(Some(match &collection.kind {
        Kind::Unknown(unknown) if !unknown.ty.is_primitive() => return Ok(None),
        Kind::List(_, items) | Kind::Tuple(items) => numbered(items),
        // Elements that are not known may turn out equal, so that there are fewer.
        Kind::Set(_, items) if !items.iter().all(Value::is_wholly_known) => return Ok(None),
        Kind::Set(_, items) => items.iter().map(|v| (v.clone(), v.clone())).collect(),
        Kind::Map(_, m) | Kind::Object(m) => m.iter().map(|(k, v)| (Value::string(k.clone()), v.clone())).collect(),
        Kind::Null(_) => {
            let detail = "A null value cannot be used as the collection in a \"for\" expression.";
            return Err(Box::new(Diagnostic::error("Iteration over null value", detail).at(span)));
        }
        _ => {
            let detail = format!(
                "A {} cannot be used as the collection in a \"for\" expression: it has no elements.",
                collection.ty().friendly()
            );
            return Err(Box::new(Diagnostic::error("Iteration over non-iterable value", detail).at(span)));
        }
    }))
}

/// "The value is …", unless it is marked or large. Where the expression is a reference, its value stands under the caret
/// instead ([`Evaluator::explained`]).
pub(super) fn shown(value: &Value) -> Option<String> {
    const LONGEST: usize = 120;
    if !value.marks_deep().is_empty() || value.is_unknown() {
        return None;
    }
    let text = show(value);
    (text.len() <= LONGEST && !text.contains('\n')).then(|| format!("{THE_VALUE}{text}."))
}

/// How [`shown`] begins.
pub(super) const THE_VALUE: &str = "The value is ";

pub(super) fn bug(what: &str, span: Span) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("Internal error", format!("{what}. This is a bug in Gantry.")).at(span))
}
