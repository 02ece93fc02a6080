//! Templates.

use super::evaluate::{Budget, Evaluated, Evaluator, Locals, pairs};
use super::{Part, Term};
use crate::diag::{Diagnostic, Span};
use crate::value::{Kind, Marks, Refinement, Type, Value, convert, normal};
use std::sync::Arc;

/// A template being filled in.
struct Filling {
    text: String,
    marks: Marks,
    /// Where the text stops being known.
    known: Option<usize>,
}

impl Filling {
    fn new() -> Self {
        Self { text: String::new(), marks: Marks::NONE, known: None }
    }

    /// From here on what follows is not known.
    fn stop(&mut self) {
        self.known.get_or_insert(self.text.len());
    }
}

impl Evaluator<'_> {
    pub(super) fn template(&self, parts: &[Part], span: Span, locals: Option<&Locals<'_>>) -> Evaluated {
        let mut filling = Filling::new();
        self.fill(parts, &mut filling, span, locals)?;
        let value = match filling.known {
            Some(end) => Value::opaque(Type::String).refined(&Refinement::prefix(&normal(&filling.text[..end]))),
            None => Value::string(normal(filling.text)),
        };
        Ok(value.mark(filling.marks))
    }

    fn fill(
        &self,
        parts: &[Part],
        filling: &mut Filling,
        span: Span,
        locals: Option<&Locals<'_>>,
    ) -> Result<(), Box<Diagnostic>> {
        for part in parts {
            match part {
                Part::Literal(text) => {
                    self.spend(1 + text.len() as u64 / 64, span)?;
                    filling.text.push_str(text);
                }
                Part::Interpolation(term) => self.interpolate(term, filling, locals)?,
                Part::If { condition, then, otherwise } => {
                    let taken = self.condition(condition, locals)?;
                    filling.marks = filling.marks.union(taken.marks);
                    match taken.as_bool() {
                        Some(true) => self.fill(then, filling, span, locals)?,
                        Some(false) => self.fill(otherwise, filling, span, locals)?,
                        None => {
                            filling.stop();
                            // Either may be what is filled in, with its marks; a mistake counts only in the one that is.
                            for side in [then, otherwise] {
                                let mut tried = Filling::new();
                                let _ = self.fill(side, &mut tried, span, locals);
                                filling.marks = filling.marks.union(tried.marks);
                            }
                        }
                    }
                }
                Part::For { key_name, value_name, collection, body } => {
                    let value = self.eval(collection, locals)?;
                    filling.marks = filling.marks.union(value.marks);
                    let Some(pairs) = pairs(&value, collection.span)? else {
                        filling.stop();
                        continue;
                    };
                    for (key, value) in &pairs {
                        let with_key = key_name.as_deref().map(|name| Locals::bind(locals, name, key));
                        let with_value = Locals::bind(with_key.as_ref().or(locals), value_name, value);
                        self.fill(body, filling, span, Some(&with_value))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn interpolate(
        &self,
        term: &Arc<Term>,
        filling: &mut Filling,
        locals: Option<&Locals<'_>>,
    ) -> Result<(), Box<Diagnostic>> {
        let value = self.eval(term, locals)?;
        filling.marks = filling.marks.union(value.marks_deep());
        let invalid = |detail: String| {
            let wrong = Diagnostic::error("Invalid template interpolation value", detail).at(term.span);
            self.explained(Box::new(wrong), term, locals)
        };
        if value.is_null() {
            return Err(invalid(
                "The expression result is null. Cannot include a null value in a string template.".into(),
            ));
        }
        match convert(&value, &Type::String).map(|v| v.kind) {
            Ok(Kind::String(text)) => {
                let whole = (filling.text.len() + text.len()) as u64 / 64;
                self.spend(if whole > Budget::VALUE { whole } else { 1 + text.len() as u64 / 64 }, term.span)?;
                filling.text.push_str(&text);
                Ok(())
            }
            Ok(_) => {
                filling.stop();
                Ok(())
            }
            Err(_) => Err(invalid(format!(
                "Cannot include the given value in a string template: string required, but this is {}. To write a collection \
                 out, use jsonencode() or join().",
                value.ty().friendly()
            ))),
        }
    }
}
