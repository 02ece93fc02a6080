//! Calls of functions.

use std::sync::Arc;

use super::evaluate::{Evaluated, Evaluator, Locals, shown};
use super::functions::{self, CallContext, FunctionError};
use super::host::Within;
use super::{Calls, Reference, Scope, Term, TermKind};
use crate::diag::{Diagnostic, Span};
use crate::value::{Kind, Map, Marks, Type, Value, convert};

/// The functions whose values are drawn once at apply, and those that may come upon them in a template.
const DRAWN: [&str; 5] = ["timestamp", "uuid", "bcrypt", "templatefile", "templatestring"];

/// The functions that render templates.
const TEMPLATES: [&str; 2] = ["templatefile", "templatestring"];

/// What stands before a provider's functions.
const PROVIDER: &str = "provider::";

/// The names that a template sees.
struct Names<'a>(&'a Map);

impl Scope for Names<'_> {
    fn resolve(&self, reference: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        match self.0.get(&reference.root) {
            Some(value) => Ok((value.clone(), 0)),
            None => {
                let detail = "Variables may not be used here.";
                Err(Box::new(Diagnostic::error("Variables not allowed", detail).at(reference.span)))
            }
        }
    }
}

impl Evaluator<'_> {
    pub(super) fn call(
        &self,
        name: &Arc<str>,
        name_span: Span,
        arguments: &[Arc<Term>],
        expand: bool,
        span: Span,
        locals: Option<&Locals<'_>>,
    ) -> Evaluated {
        let plain = &*functions::plain(name);
        if let Some((summary, detail)) = refused(self.host.calls(), plain) {
            // As Terraform, which names the opening parenthesis with the name.
            let at = if summary == NOT_ALLOWED { span } else { Span { end: name_span.end + 1, ..name_span } };
            return Err(Box::new(Diagnostic::error(summary, detail).at(at)));
        }
        match plain {
            "try" => return self.budget.attempt(|| self.call_try(arguments, span, locals)),
            "can" => return self.budget.attempt(|| self.call_can(arguments, span, locals)),
            _ => {}
        }
        let function = known(name, name_span)?;
        if function.name == "templatestring"
            && let Some(first) = arguments.first()
            && let Some(why) = functions::refused_source(first)
        {
            let detail = format!("Invalid value for \"template\" parameter: {why}.");
            return Err(Box::new(Diagnostic::error("Invalid function argument", detail).at(first.span)));
        }
        let values = self.eval_all(arguments, locals)?.into_iter();
        let mut values: Vec<(Value, Span)> = values.zip(arguments.iter().map(|a| a.span)).collect();
        if expand && let Some((last, at)) = values.pop() {
            let Some(items) = expanded(&last, at)? else {
                return Ok(Value::opaque(Type::Any).mark(last.marks));
            };
            values.extend(items.into_iter().map(|v| (v.mark(last.marks), at)));
        }
        self.apply(function, &values, span)
    }

    fn apply(&self, function: &functions::Function, values: &[(Value, Span)], span: Span) -> Evaluated {
        if !takes(function, values.len()) {
            return Err(wrong_number(function, values.len(), span));
        }
        let mut marks = Marks::NONE;
        let mut unknown = false;
        let mut prepared = Vec::with_capacity(values.len());
        for (i, (value, _)) in values.iter().enumerate() {
            let Some(parameter) = function.parameters.get(i).or(function.variadic.as_ref()) else { break };
            let invalid = |why: &str| {
                let at = values.get(i).map_or(span, |(_, s)| *s);
                let detail = format!("Invalid value for \"{}\" parameter: {why}.", parameter.name);
                Box::new(Diagnostic::error("Invalid function argument", detail).at(at).hint_opt(shown(value)))
            };
            let mut value = convert(value, &parameter.ty).map_err(|e| invalid(&e.to_string()))?;
            if value.is_null() && !parameter.null {
                return Err(invalid("argument must not be null"));
            }
            if !parameter.marked {
                let (plain, m) = value.unmark_deep();
                marks = marks.union(m);
                value = plain;
            }
            unknown |= !parameter.unknown && !value.is_wholly_known();
            prepared.push(super::refine::argument(function.name, value));
        }
        if let Some(decided) = super::refine::decided(function.name, &prepared) {
            return Ok(decided.mark(marks));
        }
        if unknown {
            // Parameters that keep their marks keep them for the function, which is not called here.
            let marks = prepared.iter().fold(marks, |marks, v| marks.union(v.marks_deep()));
            let types: Vec<Type> = prepared.iter().map(Value::ty).collect();
            let result = Value::opaque((function.result)(&types));
            return Ok(result.refined(&super::refine::of_call(function.name, &prepared)).mark(marks));
        }
        let spend = |units: u64| self.budget.take(units).map_err(FunctionError::from);
        // Two calls in one expression draw two values, so the place tells them apart.
        let site = match DRAWN.contains(&function.name) {
            true => format!("{}@{}", self.site, span.start),
            false => String::new(),
        };
        let render = |term: &Arc<Term>, names: &Map, calls: Calls| {
            let (scope, host) = (Names(names), Within { host: self.host, calls });
            Evaluator { scope: &scope, host: &host, budget: self.budget, site: &site }.eval(term, None)
        };
        let number = || self.budget.next_draw();
        let context = CallContext { host: self.host, spend: &spend, site: &site, number: &number, render: &render };
        let value = (function.call)(&context, &prepared).map_err(|e| {
            // The marks are off, so that the function does not know that its argument is not to be shown.
            let e = if marks.is_sensitive() { discreet(function, &e) } else { e };
            failed(function, values, span, e)
        })?;
        Ok(super::refine::result(function.name, &prepared, value).mark(marks))
    }

    fn call_try(&self, arguments: &[Arc<Term>], span: Span, locals: Option<&Locals<'_>>) -> Evaluated {
        let mut last = None;
        for argument in arguments {
            match self.eval(argument, locals) {
                // An expression that is not wholly known may still fail at apply, so its successors stay in play.
                Ok(value) if value.is_wholly_known() => return Ok(value),
                Ok(value) => return Ok(Value::opaque(Type::Any).mark(value.marks_deep())),
                Err(e) => last = Some(e),
            }
        }
        let detail = match last {
            Some(e) => format!("No argument of \"try\" has a value; the last one failed: {}", e.detail),
            None => "Function \"try\" needs at least one argument.".into(),
        };
        Err(Box::new(Diagnostic::error("Error in function call", detail).at(span)))
    }

    fn call_can(&self, arguments: &[Arc<Term>], span: Span, locals: Option<&Locals<'_>>) -> Evaluated {
        let [argument] = arguments else {
            let detail = "Function \"can\" expects exactly 1 argument.";
            return Err(Box::new(Diagnostic::error("Error in function call", detail).at(span)));
        };
        match self.eval(argument, locals) {
            Ok(value) if value.is_wholly_known() => Ok(Value::bool(true)),
            Ok(_) => Ok(Value::opaque(Type::Bool)),
            Err(_) => Ok(Value::bool(false)),
        }
    }
}

/// A call that has no value.
fn failed(
    function: &functions::Function,
    values: &[(Value, Span)],
    span: Span,
    error: FunctionError,
) -> Box<Diagnostic> {
    let FunctionError { argument, message, hint, .. } = error;
    let parameter = argument.and_then(|i| function.parameters.get(i).or(function.variadic.as_ref()));
    let at = argument.and_then(|i| values.get(i)).map_or(span, |(_, s)| *s);
    let end = if message.ends_with('?') { "" } else { "." };
    let (summary, detail) = match parameter {
        Some(p) => ("Invalid function argument", format!("Invalid value for \"{}\" parameter: {message}{end}", p.name)),
        None => ("Error in function call", format!("Call to function \"{}\" failed: {message}{end}", function.name)),
    };
    Box::new(Diagnostic::error(summary, detail).at(at).hint_opt(hint))
}

/// What may be said of a call with a sensitive argument that failed.
fn discreet(function: &functions::Function, error: &FunctionError) -> FunctionError {
    if let Some(said) = error.said_discreetly() {
        return FunctionError { argument: error.argument, ..FunctionError::new(said) };
    }
    let hint = format!(
        "In gantry console, {}() tells the reason when nonsensitive() stands around what is sensitive.",
        function.name
    );
    let hidden = FunctionError::new("the reason is not shown, for an argument is sensitive");
    FunctionError { argument: error.argument, hint: Some(hint), ..hidden }
}

fn unknown_function(name: &str) -> Diagnostic {
    let refuse = |detail: String| Diagnostic::error("Unknown provider function", detail);
    let Some((namespace, rest)) = name.split_once("::") else {
        let detail = format!("There is no function named \"{name}\".");
        let provided = format!("{PROVIDER}terraform::{name}");
        let hint = match functions::find(&provided) {
            Some(_) => Some(format!("Did you mean \"{provided}\"?")),
            None => crate::diag::did_you_mean(name, functions::names().chain(["try", "can"])),
        };
        return Diagnostic::error("Call to unknown function", detail).hint_opt(hint);
    };
    if namespace != "provider" {
        return refuse(format!(
            "The function namespace \"{namespace}\" is not valid. Provider function calls must use the \"provider::\" \
             namespace prefix."
        ));
    }
    let Some((provider, function)) = rest.split_once("::") else {
        return refuse("The function call must include the provider name after the \"provider::\" prefix.".into());
    };
    let prefix = format!("{PROVIDER}terraform::");
    let hint = crate::diag::did_you_mean(function, functions::names().filter_map(|n| n.strip_prefix(&prefix)));
    refuse(format!("The function \"{function}\" is not available from the provider \"{provider}\".")).hint_opt(hint)
}

/// The summary where no function may be called.
const NOT_ALLOWED: &str = "Function calls not allowed";

/// Why a function may not be called at a place, if it may not.
fn refused(calls: Calls, name: &str) -> Option<(&'static str, String)> {
    let failed = |why: String| Some(("Error in function call", format!("Call to function \"{name}\" failed: {why}.")));
    match calls {
        Calls::All => None,
        Calls::None => Some((NOT_ALLOWED, "Functions may not be called here.".into())),
        _ if TEMPLATES.contains(&name) => {
            failed(format!("cannot recursively call {name} from inside another template function"))
        }
        _ if name.starts_with(PROVIDER) => {
            Some(("Call to unknown function", "A template cannot call the functions of providers.".into()))
        }
        Calls::InTemplateString if functions::find(name).is_some_and(functions::Function::asks_outside) => {
            let kind =
                if name == "env" { "functions that read the environment" } else { "filesystem access functions" };
            failed(format!(
                "cannot use {kind} like {name} in templatestring templates; consider passing the function result as a \
                 template variable instead"
            ))
        }
        Calls::InTemplateFile | Calls::InTemplateString => None,
    }
}

fn known(name: &str, span: Span) -> Result<&'static functions::Function, Box<Diagnostic>> {
    functions::find(&functions::plain(name)).ok_or_else(|| Box::new(unknown_function(name).at(span)))
}

/// Whether a function takes so many arguments.
fn takes(function: &functions::Function, given: usize) -> bool {
    let wanted = function.parameters.len();
    given == wanted || (given > wanted && function.variadic.is_some())
}

/// What can be told of a call before anything has a value: whether there is such a function, and whether it takes so many
/// arguments.
///
/// # Errors
/// When not.
pub fn check_call(term: &Term) -> Result<(), Box<Diagnostic>> {
    let TermKind::Call { name, name_span, arguments, expand } = &term.kind else { return Ok(()) };
    if matches!(&*functions::plain(name), "try" | "can") {
        return Ok(());
    }
    let function = known(name, *name_span)?;
    if *expand || takes(function, arguments.len()) {
        return Ok(());
    }
    Err(wrong_number(function, arguments.len(), term.span))
}

fn wrong_number(function: &functions::Function, given: usize, span: Span) -> Box<Diagnostic> {
    let wanted = function.parameters.len();
    let needs = function.variadic.as_ref().map_or("", |_| "at least ");
    let detail = format!(
        "Function \"{}\" expects {needs}{wanted} argument{}, but {given} {} given.",
        function.name,
        if wanted == 1 { "" } else { "s" },
        if given == 1 { "was" } else { "were" },
    );
    let summary = if given < wanted { "Not enough function arguments" } else { "Too many function arguments" };
    Box::new(Diagnostic::error(summary, detail).at(span))
}

fn expanded(value: &Value, span: Span) -> Result<Option<Vec<Value>>, Box<Diagnostic>> {
    match &value.kind {
        Kind::Set(_, items) if !items.iter().all(Value::is_wholly_known) => Ok(None),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => Ok(Some(items.to_vec())),
        Kind::Unknown(unknown)
            if !unknown.ty.is_primitive() && !matches!(unknown.ty, Type::Map(_) | Type::Object(_)) =>
        {
            Ok(None)
        }
        _ => {
            let detail = "The value in front of \"...\" must be a list, set or tuple.";
            Err(Box::new(Diagnostic::error("Invalid expanding argument value", detail).at(span)))
        }
    }
}
