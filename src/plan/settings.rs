//! The `environment` block: evaluated first and alone, from literals, variables, `env`, `path.*` and functions. Its `state`
//! block is no part of what is planned: `state_settings.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::input::Inputs;
use super::plan::OnFailure;
use crate::config::desired::BlockBody;
use crate::diag::{Diagnostic, did_you_mean};
use crate::eval::{Budget, Evaluator, NoHost, Reference, Scope};
use crate::ledger::record::PromotionGate;
use crate::value::{Value, convert};

/// What the block says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// For people.
    pub description: Option<String>,
    /// `rollback` or `hold`, where said.
    pub on_failure: Option<OnFailure>,
    /// Whether destroy and data-losing changes need `--allow-destroy`.
    pub protected: bool,
    /// Where releases come from; `None` where artifacts are the environment's own.
    pub promotion: Option<PromotionGate>,
    /// For whom secrets are sealed, and who opens them; `None` where only their digests are kept.
    pub encryption: Option<super::encryption::Encryption>,
}

/// Only variables and paths have a meaning this early.
pub(super) struct Alone<'a> {
    pub(super) variables: &'a BTreeMap<Arc<str>, Value>,
    pub(super) project: &'a str,
    pub(super) directory: &'a str,
}

impl Scope for Alone<'_> {
    fn resolve(&self, r: &Reference) -> Result<(Value, usize), Box<Diagnostic>> {
        let name = r.attribute(0);
        let found = match (&*r.root, name) {
            ("var", Some(name)) => self.variables.get(name).cloned(),
            ("path", Some(name)) => match &**name {
                "root" | "module" => Some(Value::string(".")),
                "project" => Some(Value::string(self.project)),
                "cwd" => Some(Value::string(self.directory)),
                _ => None,
            },
            _ => None,
        };
        found.map(|value| (value, 1)).ok_or_else(|| {
            let detail = format!(
                "The environment block is evaluated first and alone, so only variables, path.* and functions can be used in it; \
                 {r} is neither, or does not exist."
            );
            let hint = name.and_then(|n| did_you_mean(n, self.variables.keys().map(|k| &**k)));
            Box::new(Diagnostic::error("Invalid reference in environment block", detail).at(r.span).hint_opt(hint))
        })
    }
}

impl Settings {
    /// Reads the block.
    ///
    /// # Errors
    /// When something in it is wrong.
    pub fn read(inputs: &Inputs<'_>) -> Result<Self, Diagnostic> {
        let Some(block) = &inputs.desired.environment else { return Ok(Self::default()) };
        Self::evaluate(block, inputs.variables, inputs.project, inputs.directory)
    }

    /// The same without a plan: for finding out for whom secrets are sealed before anything else.
    ///
    /// # Errors
    /// When something in it is wrong.
    pub fn evaluate(
        block: &BlockBody,
        variables: &BTreeMap<Arc<str>, Value>,
        project: &str,
        directory: &str,
    ) -> Result<Self, Diagnostic> {
        let scope = Alone { variables, project, directory };
        let budget = Budget::new(Budget::PLAN);
        let evaluator = Evaluator { scope: &scope, host: &NoHost, budget: &budget, site: &"environment" };
        let get = |name: &str| -> Result<Option<Value>, Diagnostic> {
            let Some(attribute) = block.body.attributes.get(name) else { return Ok(None) };
            let value = evaluator.evaluate(&attribute.term).map_err(|e| *e)?;
            Ok((!value.is_null()).then_some(value))
        };
        let mut settings = Self { description: text(get("description")?), ..Self::default() };
        if let Some(value) = get("on_failure")? {
            let span = block.body.attributes.get("on_failure").map_or(block.span, |a| a.term.span);
            settings.on_failure = Some(match value.as_str() {
                Some("rollback") => OnFailure::Rollback,
                Some("hold") => OnFailure::Hold,
                _ => {
                    let detail = "\"on_failure\" is \"rollback\" (go back to where the run started) or \"hold\" (stop where it is).";
                    return Err(Diagnostic::error("Invalid argument value", detail).at(span));
                }
            });
        }
        if let Some(value) = get("protected")? {
            let span = block.body.attributes.get("protected").map_or(block.span, |a| a.term.span);
            let value = convert(&value, &crate::value::Type::Bool).map_err(|e| {
                Diagnostic::error("Incorrect argument value type", format!("\"protected\": {e}.")).at(span)
            })?;
            // What is not known yet protects.
            settings.protected = value.as_bool().unwrap_or(true);
        }
        for nested in &block.body.blocks {
            match &*nested.ty {
                "encryption" => settings.encryption = Some(super::encryption::read(nested, &evaluator)?),
                "promotion" => settings.promotion = Some(super::promotion::read(nested, &evaluator)?),
                // What it says is for `state gc`; that it can be said is for everybody.
                "history" => {
                    keep_of(&evaluator, nested)?;
                }
                // `approval` reads files, which nobody has read this early: `approval.rs`.
                _ => {}
            }
        }
        Ok(settings)
    }
}

/// What `history { keep }` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Unsaid,
    /// It depends on a variable without a value.
    Unknown,
    /// So many generations.
    Said(u64),
}

/// How many generations are kept, without looking at anything else in the block.
///
/// # Errors
/// When it is no such number.
pub fn history_keep(
    block: &BlockBody,
    variables: &BTreeMap<Arc<str>, Value>,
    project: &str,
    directory: &str,
) -> Result<Keep, Diagnostic> {
    let scope = Alone { variables, project, directory };
    let budget = Budget::new(Budget::PLAN);
    let evaluator = Evaluator { scope: &scope, host: &NoHost, budget: &budget, site: &"environment" };
    let history = block.body.blocks.iter().find(|nested| &*nested.ty == "history");
    history.map_or(Ok(Keep::Unsaid), |history| keep_of(&evaluator, history))
}

fn keep_of(evaluator: &Evaluator<'_>, history: &BlockBody) -> Result<Keep, Diagnostic> {
    let Some(keep) = history.body.attributes.get("keep") else { return Ok(Keep::Unsaid) };
    let value = evaluator.evaluate(&keep.term).map_err(|e| *e)?;
    if !value.is_wholly_known() {
        return Ok(Keep::Unknown);
    }
    if value.is_null() {
        return Ok(Keep::Unsaid);
    }
    let number = convert(&value, &crate::value::Type::Number).ok().and_then(|v| v.as_number()?.to_u64());
    number.filter(|n| *n > 0).map(Keep::Said).ok_or_else(|| {
        let detail = "\"keep\" says how many verified generations one can go back to: a whole number, at least 1.";
        Diagnostic::error("Invalid argument value", detail).at(keep.term.span)
    })
}

/// A block that means something, but not to this version. Going on without it would promise what nobody keeps.
pub(super) fn not_yet(what: &str, span: crate::diag::Span) -> Diagnostic {
    let detail = format!(
        "This version of Gantry does not carry out {what} in an environment block. Without it the environment would be less \
         safe than it says, so nothing is planned."
    );
    Diagnostic::error("Not available yet", detail).at(span).hint("Take the block out.")
}

fn text(value: Option<Value>) -> Option<String> {
    value.and_then(|v| v.as_str().map(str::to_owned))
}
