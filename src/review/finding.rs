//! Rules and what they find.

use super::subject::Subject;
use crate::addr::Address;
use crate::diag::{Diagnostic, Severity};

/// The most that one rule reports about one plan. A planner's mistake repeats itself over thousands of nodes, and the first
/// few say all there is to say.
const FINDINGS_MAX: usize = 20;

/// Who has to change something when a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Gantry itself.
    Gantry,
    /// Whoever wrote the configuration.
    Configuration,
}

/// A rule that every plan keeps.
pub struct Rule {
    /// Its name.
    pub id: &'static str,
    /// What it checks.
    pub checks: &'static str,
    /// Why a plan that breaks it must not be carried out.
    pub why: &'static str,
    /// How bad breaking it is.
    pub severity: Severity,
    /// Whose fault a broken rule is.
    pub blame: Blame,
    /// Looks.
    pub(super) check: fn(&Subject<'_>, &mut Findings<'_>),
}

/// A rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's name.
    pub rule: &'static str,
    /// What is said about it.
    pub diagnostic: Diagnostic,
}

/// What one rule finds.
pub(super) struct Findings<'r> {
    rule: &'r Rule,
    found: Vec<Finding>,
}

impl<'r> Findings<'r> {
    pub(super) fn of(rule: &'r Rule) -> Self {
        Self { rule, found: Vec::new() }
    }

    /// A mistake of Gantry's own: one sentence, without its full stop, on what is wrong with the plan.
    pub(super) fn bug(&mut self, address: &Address, sentence: &str) {
        let rule = self.rule;
        let detail = format!(
            "The plan that was made cannot be right: {sentence}. Every plan has to keep the rule \"{}\": {}. {} Nothing was \
             changed. This is a bug in Gantry.",
            rule.id, rule.checks, rule.why
        );
        let hint = "Report it with the configuration. Limiting the plan with --target=ADDRESS may get you past it.";
        self.say(Diagnostic::error("Internal error", detail).on(address).hint(hint));
    }

    /// Something that the configuration's author has to change.
    pub(super) fn say(&mut self, diagnostic: Diagnostic) {
        if self.found.len() < FINDINGS_MAX {
            let diagnostic = Diagnostic { severity: self.rule.severity, ..diagnostic };
            self.found.push(Finding { rule: self.rule.id, diagnostic });
        }
    }

    pub(super) fn done(self) -> Vec<Finding> {
        self.found
    }
}
