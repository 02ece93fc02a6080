//! Closures: how what is known after apply will be computed.
//!
//! When a whole expression has been evaluated, every part of its value that is unknown and has no residual of its own gets
//! one: the term, the values of everything that it refers to, and the way to the part. Computing it is evaluating the same
//! term again, with the captured values finished, and going that way. Since captured values may themselves be unknown,
//! closures nest as definitions do; nothing is copied, for terms and values are shared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::memory::{Facts, Memory};
use super::{Answer, Budget, Evaluator, Host, Reference, Scope, Step, Syntax, Term, references};
use crate::addr::{Address, Key};
use crate::diag::Diagnostic;
use crate::value::{Deferred, Kind, Path, PathStep, Residual, Results, Sealed, Unfinished, Unknown, Value};

/// A reference's text, its value while planning, and how many steps the value consumed.
type Captured = BTreeMap<String, Result<(Value, usize), Box<Diagnostic>>>;

struct Closure {
    term: Arc<Term>,
    captured: Captured,
    site: String,
    facts: Facts,
}

/// The part of a closure's value that an unknown stands for.
struct PartOf {
    closure: Arc<Closure>,
    path: Path,
}

/// Gives every unknown part of `value`, the result of `term`, a way to be computed.
pub(super) fn close(value: Value, term: &Arc<Term>, evaluator: &Evaluator<'_>, memory: &Memory<'_>) -> Value {
    if !value.lacks_residual() {
        return value;
    }
    let mut found = Vec::new();
    references(term, &mut found);
    let capture = |r: &Reference| evaluator.scope.resolve(r).map(|(value, consumed)| narrowed(r, value, consumed));
    let captured = found.into_iter().map(|r| (r.to_string(), capture(r))).collect();
    let closure =
        Arc::new(Closure { term: term.clone(), captured, site: evaluator.site.to_string(), facts: memory.facts() });
    attach(value, &closure, &Path::default())
}

/// What a reference is answered by, without the parts beside its way: a secret there that is not at hand must not keep the term from
/// being computed.
fn narrowed(reference: &Reference, mut value: Value, mut consumed: usize) -> (Value, usize) {
    while value.has_sealed()
        && let Some(Step::Attribute(name) | Step::Index(Key::Name(name))) = reference.steps.get(consumed)
        && let Some(part) = value.get(name).cloned()
    {
        value = part.mark(value.marks);
        consumed += 1;
    }
    (value, consumed)
}

fn attach(value: Value, closure: &Arc<Closure>, path: &Path) -> Value {
    let marks = value.marks;
    let list = |items: &[Value]| -> Arc<[Value]> {
        items.iter().enumerate().map(|(i, v)| attach(v.clone(), closure, &path.then(PathStep::Index(i)))).collect()
    };
    let map = |m: &crate::value::Map, step: fn(Arc<str>) -> PathStep| {
        Arc::new(m.iter().map(|(k, v)| (k.clone(), attach(v.clone(), closure, &path.then(step(k.clone()))))).collect())
    };
    let kind = match value.kind {
        Kind::Unknown(Unknown { ty, residual: None, refinement }) => {
            let part = PartOf { closure: closure.clone(), path: path.clone() };
            Kind::Unknown(Unknown { ty, residual: Some(Residual::Deferred(Arc::new(part))), refinement })
        }
        Kind::List(t, items) => Kind::List(t, list(&items)),
        Kind::Tuple(items) => Kind::Tuple(list(&items)),
        Kind::Map(t, m) => Kind::Map(t, map(&m, PathStep::Key)),
        Kind::Object(m) => Kind::Object(map(&m, PathStep::Attribute)),
        Kind::Set(t, items) => {
            let set: Arc<dyn Deferred> = Arc::new(PartOf { closure: closure.clone(), path: path.clone() });
            let elements = (0..).zip(items.iter()).map(|(i, item)| {
                item.map_parts(&mut |part| match part.kind {
                    Kind::Unknown(unknown) if unknown.residual.is_none() => {
                        let residual = Some(Residual::Element(set.clone(), i));
                        Value { kind: Kind::Unknown(Unknown { residual, ..unknown }), marks: part.marks }
                    }
                    _ => part,
                })
            });
            Kind::Set(t, elements.collect())
        }
        other => other,
    };
    Value { kind, marks }
}

impl Deferred for PartOf {
    fn finish(&self, results: &dyn Results) -> Result<Value, Unfinished> {
        let whole = self.closure.finish(results)?;
        self.path.0.iter().try_fold(whole, |value, step| {
            let part = match step {
                PathStep::Attribute(name) | PathStep::Key(name) => value.get(name).cloned(),
                PathStep::Index(n) => value.as_items().and_then(|items| items.get(*n)).cloned(),
                PathStep::Element => None,
            };
            part.map(|p| p.mark(value.marks)).ok_or_else(|| Unfinished {
                summary: "Provider produced another shape".into(),
                detail: format!("The value at {} is missing from what came back at apply.", self.path),
            })
        })
    }

    fn needs(&self, nodes: &mut BTreeSet<Address>) {
        for (value, _) in self.closure.captured.values().flatten() {
            value.needs(nodes);
        }
    }

    fn sealed(&self, found: &mut Vec<Sealed>) {
        for (value, _) in self.closure.captured.values().flatten() {
            value.sealed_parts(found);
        }
    }

    fn text(&self) -> String {
        let mut text = format!("({})", super::text::of(&self.closure.term));
        for (name, captured) in &self.closure.captured {
            if let Ok((value, _)) = captured {
                let _ = write!(text, " {name}={}", shown(value));
            }
        }
        if !self.path.0.is_empty() {
            let _ = write!(text, " at {}", self.path);
        }
        text
    }
}

/// A captured value in a term's canonical text: what is known as itself, what is unknown as its own term.
fn shown(value: &Value) -> String {
    crate::value::encode(value, &|_| "sensitive".to_owned()).to_string()
}

impl fmt::Debug for PartOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Closure {
    fn finish(&self, results: &dyn Results) -> Result<Value, Unfinished> {
        let scope = Finished { captured: &self.captured, results };
        let host = AtApply { results, facts: &self.facts };
        let budget = Budget::new(Budget::PLAN);
        let evaluator = Evaluator { scope: &scope, host: &host, budget: &budget, site: &self.site };
        evaluator.eval(&self.term, None).map_err(|d| Unfinished { summary: d.summary, detail: d.detail })
    }
}

struct Finished<'a> {
    captured: &'a Captured,
    results: &'a dyn Results,
}

impl Scope for Finished<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        match self.captured.get(&reference.to_string()) {
            Some(Ok((value, consumed))) => {
                let value = value.finish(self.results).map_err(|e| Box::new(Diagnostic::error(e.summary, e.detail)))?;
                Ok((value, *consumed))
            }
            Some(Err(e)) => Err(e.clone()),
            None => Err(super::evaluate::bug(&format!("{reference} was not captured"), reference.span)),
        }
    }
}

/// At apply nothing outside is asked: what the term was told when it was planned is what it is told again.
struct AtApply<'a> {
    results: &'a dyn Results,
    facts: &'a Facts,
}

fn untold<T>(what: &str) -> Answer<T> {
    Answer::Missing(format!(
        "{what} was not asked for when the plan was made, and apply asks nobody; let its name be known when planning"
    ))
}

impl Host for AtApply<'_> {
    fn file(&self, path: &str) -> Answer<Arc<[u8]>> {
        self.facts.files.get(path).cloned().unwrap_or_else(|| untold(&format!("the file {path:?}")))
    }

    fn file_kind(&self, path: &str) -> Answer<&'static str> {
        self.facts.kinds.get(path).cloned().unwrap_or_else(|| untold(&format!("the file {path:?}")))
    }

    fn file_tree(&self, path: &str) -> Answer<Arc<[String]>> {
        self.facts.trees.get(path).cloned().unwrap_or_else(|| untold(&format!("the directory {path:?}")))
    }

    fn variable(&self, name: &str) -> Answer<String> {
        self.facts.variables.get(name).cloned().unwrap_or_else(|| untold(&format!("the environment variable {name}")))
    }

    fn plan_time(&self) -> Answer<String> {
        self.facts.plan_time.clone().unwrap_or_else(|| untold("the time of the plan"))
    }

    fn draw(&self, what: &str) -> Option<Value> {
        self.results.draw(what)
    }

    fn directory(&self) -> String {
        self.facts.directory.clone()
    }

    fn syntax(&self) -> Option<Syntax> {
        self.facts.syntax
    }
}
