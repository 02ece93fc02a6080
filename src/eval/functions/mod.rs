//! The functions of the language, in files by their documentation group.
//!
//! One table ([`find`], [`all`]) holds each with its arguments, types and a one-line description. The evaluator converts
//! arguments to the parameters' types, refuses nulls, takes marks off and puts their union on the result, and makes the
//! result unknown if an argument is, unless a parameter says that the function deals with that itself.

mod build;
mod table;
mod argument;
mod numeric;
mod string;
mod regexp;
mod pattern;
mod printf;
mod digits;
mod collection;
mod sequence;
mod set;
mod encoding;
mod charset;
mod json;
mod csv;
mod yaml;
mod yaml_scalar;
mod yaml_write;
mod filesystem;
mod glob;
mod place;
mod template;
mod terraform;
mod hcl_write;
mod manifest;
mod date;
mod moment;
mod hash;
mod crypto;
mod private_key;
mod network;
mod conversion;

use std::borrow::Cow;
use std::sync::Arc;

pub use table::{all, find, names, plain, provided};
pub(super) use template::refused_source;

use crate::diag::Diagnostic;
use crate::eval::{Calls, Host, Term};
use crate::value::{Map, Type, Value};

/// One parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name, for messages.
    pub name: &'static str,
    /// The type that the argument is converted to.
    pub ty: Type,
    /// Whether null may be given.
    pub null: bool,
    /// Whether the function itself deals with unknown values (as a whole or in parts). Otherwise an argument that is not
    /// wholly known makes the result unknown.
    pub unknown: bool,
    /// Whether the function itself deals with marks. Otherwise they are taken off, at any depth, and put on the result.
    pub marked: bool,
}

/// What a function says when it cannot give a value: a sentence, and which argument is to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionError {
    /// The argument, from 0, where one is to blame.
    pub argument: Option<usize>,
    /// The sentence, without a capital and full stop: "must be a number between 0 and 62". One that is written down in the
    /// source has nothing of a value in it, so it may be said of a sensitive one too.
    pub message: Cow<'static, str>,
    /// What may be said instead of a message that was made of values, where an argument is sensitive.
    pub discreet: Option<&'static str>,
    /// What to do, in a full sentence.
    pub hint: Option<String>,
}

/// What a function gets besides its arguments.
pub struct CallContext<'a> {
    /// Who answers questions about the outside.
    pub host: &'a dyn Host,
    /// Spends evaluation work, one unit for each element or 64 bytes made.
    ///
    /// # Errors
    /// When the budget is used up.
    pub spend: &'a dyn Fn(u64) -> Result<(), FunctionError>,
    /// A text that tells this call from every other in the plan, for functions that are drawn at apply.
    pub site: &'a str,
    /// The number of this call among those that draw values, where the call is evaluated several times.
    pub number: &'a dyn Fn() -> u64,
    /// Evaluates a term that is no part of the configuration: a template, a variable file. It sees these names only, and may
    /// call what is said.
    pub render: &'a Render<'a>,
}

/// What evaluates a term with these names alone, and these calls.
pub type Render<'a> = dyn Fn(&Arc<Term>, &Map, Calls) -> Result<Value, Box<Diagnostic>> + 'a;

/// A function.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its documentation group: "string", "collection", ….
    pub group: &'static str,
    /// One line on what it gives.
    pub doc: &'static str,
    /// The parameters.
    pub parameters: Vec<Parameter>,
    /// The parameter that any number of further arguments go to.
    pub variadic: Option<Parameter>,
    /// The type of the result for arguments of these types; used while arguments are unknown.
    pub result: fn(&[Type]) -> Type,
    /// Computes it.
    pub call: fn(&CallContext<'_>, &[Value]) -> Result<Value, FunctionError>,
}
