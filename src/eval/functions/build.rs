//! How the table's entries are written: a function, then its parameters, each with what it takes beyond the ordinary.

use std::borrow::Cow;

use super::{CallContext, Function, FunctionError, Parameter};
use crate::diag::Diagnostic;
use crate::value::{ArithmeticError, ConvertError, Type, Value};

/// What computes a function.
pub(super) type Call = fn(&CallContext<'_>, &[Value]) -> Result<Value, FunctionError>;

/// What a call gives.
pub(super) type Called = Result<Value, FunctionError>;

/// A function without parameters as yet.
pub(super) fn function(name: &'static str, doc: &'static str, result: fn(&[Type]) -> Type, call: Call) -> Function {
    Function { name, group: "", doc, parameters: Vec::new(), variadic: None, result, call }
}

fn parameter(name: &'static str, ty: Type) -> Parameter {
    Parameter { name, ty, null: false, unknown: false, marked: false }
}

impl Function {
    /// With one parameter more.
    pub(super) fn takes(mut self, name: &'static str, ty: Type) -> Self {
        self.parameters.push(parameter(name, ty));
        self
    }

    /// With any number of arguments after these.
    pub(super) fn rest(mut self, name: &'static str, ty: Type) -> Self {
        self.variadic = Some(parameter(name, ty));
        self
    }

    fn last(mut self, change: fn(&mut Parameter)) -> Self {
        match (&mut self.variadic, self.parameters.last_mut()) {
            (Some(p), _) | (None, Some(p)) => change(p),
            (None, None) => {}
        }
        self
    }

    /// The parameter written last may be null.
    pub(super) fn null(self) -> Self {
        self.last(|p| p.null = true)
    }

    /// The function deals itself with what is unknown in the parameter written last.
    pub(super) fn unknown(self) -> Self {
        self.last(|p| p.unknown = true)
    }

    /// The function deals itself with marks on the parameter written last.
    pub(super) fn marked(self) -> Self {
        self.last(|p| p.marked = true)
    }
}

impl FunctionError {
    /// The call as a whole is at fault.
    pub(in crate::eval) fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self { argument: None, message: message.into(), discreet: None, hint: None }
    }

    /// One argument is at fault.
    pub(super) fn at(argument: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Self { argument: Some(argument), ..Self::new(message) }
    }

    /// With what is said of it where an argument is sensitive.
    pub(super) fn discreetly(self, discreet: &'static str) -> Self {
        Self { discreet: Some(discreet), ..self }
    }

    /// With what to do.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What may be said where an argument is sensitive; `None` if all there is to say is made of values.
    pub(in crate::eval) fn said_discreetly(&self) -> Option<&'static str> {
        match self.message {
            Cow::Borrowed(written) => Some(self.discreet.unwrap_or(written)),
            Cow::Owned(_) => self.discreet,
        }
    }
}

impl From<Diagnostic> for FunctionError {
    fn from(e: Diagnostic) -> Self {
        Self::new(e.detail.strip_suffix('.').unwrap_or(&e.detail).to_owned())
    }
}

impl From<ConvertError> for FunctionError {
    fn from(e: ConvertError) -> Self {
        Self::new(e.to_string())
    }
}

impl From<ArithmeticError> for FunctionError {
    fn from(e: ArithmeticError) -> Self {
        Self::new(e.to_string())
    }
}
