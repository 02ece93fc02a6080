//! `templatefile` and `templatestring`: texts that become terms while others are evaluated.
//!
//! A template sees the names that it is given and nothing else, so that what an expression depends on stands in that
//! expression. It may not render further templates, as in Terraform, so that none can include itself. The bytes come from
//! the host, which remembers them: apply renders what the plan rendered.

use std::sync::Arc;

use super::argument::text;
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError, filesystem, place};
use crate::diag::{Diagnostic, Span};
use crate::eval::{Calls, Part, SplatKind, Term, TermKind, references};
use crate::value::{Kind, Map, Type, Value};

/// What a text that no file holds is called in messages.
const ARGUMENT: &str = "<templatestring argument>";

/// What fits no name: it precedes why an expression cannot be `templatestring`'s first argument.
const INVALID: &str = "invalid template expression: ";
const ELSEWHERE: &str = "templatestring is only for rendering templates retrieved dynamically from elsewhere";

pub(super) fn functions() -> Vec<Function> {
    vec![
        function("templatefile", "A file rendered as a template with these variables.", |_| Type::Any, templatefile)
            .takes("path", Type::String)
            .takes("vars", Type::Any)
            .unknown(),
        function(
            "templatestring",
            "A text from elsewhere rendered as a template with these variables.",
            |_| Type::String,
            templatestring,
        )
        .takes("template", Type::Any)
        .null()
        .takes("vars", Type::Any)
        .unknown(),
    ]
}

fn templatefile(context: &CallContext<'_>, args: &[Value]) -> Called {
    let path = text(&args[0])?;
    let Some(source) = filesystem::read_text(context, path)? else { return Ok(Value::opaque(Type::Any)) };
    if args[1].is_unknown() {
        return Ok(Value::opaque(Type::Any));
    }
    let term = parsed(context, &source, |why| FunctionError::new(place::all(&why, path, &source)))?;
    render(context, term, &args[1], (path, &source), Calls::InTemplateFile)
}

fn templatestring(context: &CallContext<'_>, args: &[Value]) -> Called {
    let Kind::String(source) = &args[0].kind else {
        return Err(FunctionError::at(0, "invalid template value: a string is required"));
    };
    if args[1].is_unknown() {
        return Ok(Value::opaque(Type::String));
    }
    let invalid = |why| FunctionError::at(0, format!("invalid template: {}", place::all(&why, ARGUMENT, source)));
    let term = parsed(context, source, invalid)?;
    let value = render(context, term, &args[1], (ARGUMENT, source), Calls::InTemplateString)?;
    let converted = crate::value::convert(&value, &Type::String);
    converted.map_err(|_| FunctionError::new("invalid template result: string required"))
}

fn parsed(
    context: &CallContext<'_>,
    source: &str,
    refuse: impl FnOnce(crate::diag::Diagnostics) -> FunctionError,
) -> Result<Arc<Term>, FunctionError> {
    let syntax = context.host.syntax().ok_or_else(|| FunctionError::new("no template can be rendered here"))?;
    // Reading a text costs more than copying it.
    (context.spend)(1 + source.len() as u64 / 4)?;
    (syntax.template)(source, place::FILE).map(Arc::new).map_err(refuse)
}

/// A template's value with variables; `source` is its name and text.
fn render(context: &CallContext<'_>, term: Arc<Term>, vars: &Value, source: (&str, &str), calls: Calls) -> Called {
    let (Kind::Map(_, vars) | Kind::Object(vars)) = &vars.kind else {
        return Err(FunctionError::at(1, "invalid vars value: must be a map"));
    };
    check_names(vars, &term, source)?;
    // A template that is one interpolation keeps that one's type.
    let term = match &term.kind {
        TermKind::Template(parts) => match &parts[..] {
            [Part::Interpolation(inner)] => Arc::clone(inner),
            _ => term,
        },
        _ => term,
    };
    let placed = |d: &Diagnostic| FunctionError::new(place::one(d, source.0, source.1));
    let value = (context.render)(&term, vars, calls).map_err(|e| placed(&e))?;
    if value.is_null() {
        let detail = "The result of the template is null, which is not a valid result for a templatestring call.";
        let whole = Span::new(place::FILE, 0..source.1.len());
        return Err(placed(&Diagnostic::error("Template result is null", detail).at(whole)));
    }
    Ok(value)
}

/// Every variable can be named, and every name in the template is a variable.
fn check_names(vars: &Map, term: &Term, (name, source): (&str, &str)) -> Result<(), FunctionError> {
    if let Some(bad) = vars.keys().find(|name| !is_identifier(name)) {
        return Err(FunctionError::at(
            1,
            format!(
                "invalid template variable name {bad:?}: must start with a letter, followed by zero or more letters, digits, \
                 and underscores"
            ),
        ));
    }
    let mut found = Vec::new();
    references(term, &mut found);
    let Some(missing) = found.into_iter().find(|r| !vars.contains_key(&r.root)) else { return Ok(()) };
    let start = missing.span.start as usize;
    let at = place::range(Span::new(place::FILE, start..start + missing.root.len()), name, source);
    let mut message = format!("vars map does not contain key \"{}\", referenced at {at}", missing.root);
    if let Some(hint) = crate::diag::did_you_mean(&missing.root, vars.keys().map(|n| &**n)) {
        message.push_str(&format!(". {}", hint.trim_end_matches('.')));
    }
    Err(FunctionError::at(1, message))
}

/// Whether a text is a name of the language.
pub(super) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c))
        && chars.all(|c| c == '-' || unicode_ident::is_xid_continue(c))
}

/// Why a term cannot be the first argument of `templatestring`, if it cannot: it has to be a reference to a text from
/// elsewhere, so that nobody writes a template in a template without noticing.
pub(in crate::eval) fn refused_source(term: &Term) -> Option<String> {
    match innermost(term) {
        _ if is_interpolation(term) => Some(format!(
            "{INVALID}{ELSEWHERE}; to treat the inner expression as template syntax, write the reference expression directly without any template interpolation syntax"
        )),
        TermKind::Reference(reference) if reference.span.start == term.span.start => None,
        TermKind::Literal(value) if value.as_str().is_some() => Some(format!(
            "{INVALID}{ELSEWHERE}, and so does not support providing a literal template; consider using a template string expression instead"
        )),
        TermKind::Template(_) => Some(format!(
            "{INVALID}{ELSEWHERE}; to render an inline template, consider using a plain template string expression"
        )),
        _ => Some(format!(
            "{INVALID}must be a direct reference to a single string from elsewhere, containing valid Terraform template syntax"
        )),
    }
}

/// What attributes, elements and splats are taken of.
fn innermost(term: &Term) -> &TermKind {
    match &term.kind {
        TermKind::Attribute(of, _) | TermKind::Index(of, _) => innermost(of),
        TermKind::Splat { source, kind: SplatKind::Full | SplatKind::Attribute, .. } => innermost(source),
        kind => kind,
    }
}

/// Whether a term stands in `"${…}"`: such a term has the place of the quotes and is otherwise what stands in them.
fn is_interpolation(term: &Term) -> bool {
    /// Quotation mark, dollar sign, brace.
    const OPENING: u32 = 3;
    let inner = match &term.kind {
        TermKind::Reference(reference) => reference.span,
        TermKind::Attribute(of, _) | TermKind::Index(of, _) | TermKind::Splat { source: of, .. } => of.span,
        _ => return false,
    };
    inner.start >= term.span.start + OPENING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_language_s() {
        for good in ["a", "_a", "a-b", "ä1"] {
            assert!(is_identifier(good), "{good}");
        }
        for bad in ["", "1a", "-a", "a b", "a.b"] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }
}
