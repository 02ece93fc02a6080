//! The project file `gantry.hcl`: what all environments of a project share.
//!
//! It is read in one place, for whoever needs a part of it: values of variables (`variables.rs`), the order in which releases
//! move, and webhooks. What stands in it is checked whole, whoever reads it; what a webhook's address and secret come to is
//! asked for only by who sends ([`Webhook::destination`]), so that a variable that is missing here stops no plan.
//!
//! Addresses and secrets of webhooks are credentials. The text that messages show of this file is therefore made without
//! them (`mask.rs`), and no message about one of them says more than where it stands.

use std::path::Path;
use std::sync::Arc;

use super::desired::Body;
use super::error::ConfigError;
use super::load::check;
use super::schema::PROJECT;
use super::source::FILE_MAX;
use super::syntax;
use crate::diag::{Diagnostic, Diagnostics, SourceMap, Span, did_you_mean};
use crate::eval::constraint::constant;
use crate::eval::{Term, TermKind};
use crate::ports::fs;
use crate::value::Value;

mod mask;
mod webhook;

pub use webhook::{Credential, Destination, Format, Topic, Undeliverable, Webhook};

/// The name of the file, in the directory that holds `environments/`.
pub const PROJECT_FILE: &str = "gantry.hcl";

/// The most environments that one chain has. A release that moves through more is moved by a mistake.
const ENVIRONMENTS_MAX: usize = 64;

/// The most webhooks of a project: each is sent to in turn.
const WEBHOOKS_MAX: usize = 16;

/// What the project file says.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// The order in which releases move, where one is given: names under `environments/`, each once.
    pub environments: Option<Vec<String>>,
    /// Who is told, in the order of the file. Their names differ.
    pub webhooks: Vec<Webhook>,
    /// The file, for places in messages.
    pub sources: Arc<SourceMap>,
}

/// Reads the project file of a directory; without one a project says nothing.
///
/// # Errors
/// Everything that is wrong with it, together.
pub fn read_project(project_dir: &Path) -> Result<Project, ConfigError> {
    let mut sources = SourceMap::default();
    let read = read_into(project_dir, &mut sources);
    let sources = Arc::new(sources);
    match read {
        Ok(read) => Ok(Project { sources, ..read.map(|(_, project)| project).unwrap_or_default() }),
        Err(diagnostics) => Err(ConfigError { diagnostics, sources }),
    }
}

/// [`read_project`] for whoever has more files to tell about, with the file's body.
pub(super) fn read_into(project_dir: &Path, sources: &mut SourceMap) -> Result<Option<(Body, Project)>, Diagnostics> {
    let Some((body, mut errors)) = body_of(project_dir, sources)? else { return Ok(None) };
    for block in body.blocks.iter().filter(|block| &*block.ty == "variables") {
        errors.extend(block.body.blocks.iter().map(|inner| {
            let detail = "\"variables\" has arguments only: NAME = VALUE.";
            Diagnostic::error("Unexpected block", detail).at(inner.span)
        }));
    }
    let environments = body.attributes.get("environments").map(|a| chain(&a.term, project_dir, &mut errors));
    let webhooks = webhook::read_all(&body, &mut errors);
    if errors.has_errors() {
        return Err(errors);
    }
    Ok(Some((body, Project { environments, webhooks, sources: Arc::default() })))
}

/// The body of the project file, where there is one, with what the table of blocks says of it. The file that is added to
/// `sources` has no credential in it.
fn body_of(project_dir: &Path, sources: &mut SourceMap) -> Result<Option<(Body, Diagnostics)>, Diagnostics> {
    let path = project_dir.join(PROJECT_FILE);
    if fs::kind(&path).is_none() {
        return Ok(None);
    }
    let refused = |why: String| {
        let detail = format!("The project file \"{PROJECT_FILE}\" cannot be read: {why}.");
        Diagnostics::from(Diagnostic::error("Unreadable project file", detail))
    };
    let bytes = fs::read(&path, FILE_MAX).map_err(|e| refused(e.source.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // The number that the file is going to have: what is shown of it can be told only once it is parsed.
    let file = sources.next_id();
    match syntax::deep(|| syntax::parse(text, file)) {
        Ok(body) => {
            sources.add(PROJECT_FILE, mask::of_body(text, &body));
            let mut errors = Diagnostics::default();
            check::body(&body, &PROJECT, &[], &mut errors);
            Ok(Some((body, errors)))
        }
        Err(errors) => {
            let masked = mask::of_lines(text);
            let errors = mask::errors(errors, text, &masked);
            sources.add(PROJECT_FILE, masked);
            Err(errors)
        }
    }
}

/// The texts of a list of constants, with the place of each; nothing where it is no such list, which is noted.
fn texts(name: &str, term: &Arc<Term>, errors: &mut Diagnostics) -> Vec<(String, Span)> {
    let value = match constant(term) {
        Ok(value) => value,
        Err(error) => {
            errors.push(*error);
            return Vec::new();
        }
    };
    let wrong = |what: &str, span| {
        let detail = format!("\"{name}\" is a list of texts, but {what}.");
        Diagnostic::error("Incorrect argument value type", detail).at(span)
    };
    let Some(items) = value.as_items().filter(|_| !value.ty().is_primitive()) else {
        errors.push(wrong("this is none", term.span));
        return Vec::new();
    };
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let span = match &term.kind {
            TermKind::Tuple(terms) if terms.len() == items.len() => terms[at].span,
            _ => term.span,
        };
        match Value::as_str(item) {
            Some(text) => found.push((text.to_owned(), span)),
            None => errors.push(wrong("one of them is no text", span)),
        }
    }
    found
}

/// `environments = ["staging", "production"]`
fn chain(term: &Arc<Term>, project_dir: &Path, errors: &mut Diagnostics) -> Vec<String> {
    let before = errors.errors();
    let named = texts("environments", term, errors);
    let all = fs::list(&project_dir.join("environments")).unwrap_or_default();
    let known = || all.iter().filter(|(_, kind)| *kind == fs::Kind::Directory).map(|(name, _)| name.as_str());
    let mut order: Vec<String> = Vec::new();
    for (name, span) in named {
        if order.contains(&name) {
            let detail = format!(
                "\"{name}\" stands twice in \"environments\". A release moves from one environment to the next, so a chain names \
                 each of them once."
            );
            errors.push(Diagnostic::error("Duplicate environment", detail).at(span));
        } else if !known().any(|one| one == name) {
            let detail = format!("There is no environment \"{name}\": environments/{name} is no directory.");
            let hint = did_you_mean(&name, known());
            errors.push(Diagnostic::error("Unknown environment", detail).at(span).hint_opt(hint));
        } else {
            order.push(name);
        }
    }
    if order.len() > ENVIRONMENTS_MAX {
        let detail = format!("\"environments\" names {}, and the limit is {ENVIRONMENTS_MAX}.", order.len());
        errors.push(Diagnostic::error("Invalid argument value", detail).at(term.span));
    }
    if order.is_empty() && errors.errors() == before {
        let detail = "\"environments\" is empty, so no release could move. Name the environments in their order, or leave it out.";
        errors.push(Diagnostic::error("Invalid argument value", detail).at(term.span));
    }
    order
}
