//! The table of rules, and the way in.

use super::finding::{Blame, Finding, Findings, Rule};
use super::rules;
use super::subject::Subject;
use crate::config::Desired;
use crate::diag::{Diagnostics, Severity};
use crate::ledger::State;
use crate::plan::Plan;

/// Every rule that there is. The first is about whether there is an order at all; where it is broken, the others are not asked.
pub const RULES: [Rule; 13] = [
    Rule {
        id: "order",
        checks: "each step waits only for steps that exist and stand before it",
        why: "Steps that wait for each other are never begun.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::order::check,
    },
    Rule {
        id: "names",
        checks: "no two steps have one name, and no two changes one address",
        why: "After a crash a step is known by its name.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::names::check,
    },
    Rule {
        id: "changes-have-steps",
        checks: "every change has the steps of its kind, and every step belongs to a change",
        why: "An apply does all that the plan shows, and nothing else.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::changes_have_steps::check,
    },
    Rule {
        id: "results",
        checks: "a step comes after every step whose answer is in its values",
        why: "A value that is known after apply would be missing when it is needed.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::results::check,
    },
    Rule {
        id: "needs",
        checks: "a node begins when everything that it refers to or names in depends_on is done",
        why: "It would be made from, or against, what is not there yet.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::needs::check,
    },
    Rule {
        id: "node-order",
        checks: "the steps of a node come in their order: move, stage, prove, switch, retire",
        why: "Traffic would reach a version that was not proven, or the version that serves would go.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::node_order::check,
    },
    Rule {
        id: "commit",
        checks: "what takes things away for good comes after the one commit, and everything else before it",
        why: "A run that fails could not be taken back.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::commit::check,
    },
    Rule {
        id: "deletes",
        checks: "an object goes after those that depended on it have gone or let go of it",
        why: "What still runs would lose what it runs on.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::deletes::check,
    },
    Rule {
        id: "migrations",
        checks: "migrations go up by version and back newest first",
        why: "Each was written against the schema that the one before it left.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::migrations::check,
    },
    Rule {
        id: "secrets",
        checks: "what a schema calls sensitive is marked wherever it stands",
        why: "A value without its mark is shown and recorded in clear.",
        severity: Severity::Error,
        blame: Blame::Gantry,
        check: rules::secrets::check,
    },
    Rule {
        id: "prevent-destroy",
        checks: "what has prevent_destroy is neither deleted nor replaced",
        why: "Somebody said that losing it is worse than a plan that is refused.",
        severity: Severity::Error,
        blame: Blame::Configuration,
        check: rules::prevent_destroy::check,
    },
    Rule {
        id: "claims",
        checks: "no two nodes are one object, and no two migrations are for one database",
        why: "Each would undo what the other does.",
        severity: Severity::Error,
        blame: Blame::Configuration,
        check: rules::claims::check,
    },
    Rule {
        id: "schema-first",
        checks: "a workload depends on the migration of the database that it names",
        why: "It would start on a schema that is not the one it needs.",
        severity: Severity::Error,
        blame: Blame::Configuration,
        check: rules::schema_first::check,
    },
];

/// What is wrong with a finished plan, with the rule that found it, in the order of the table. `desired` is the configuration
/// that the plan was made from, `recorded` the state.
#[must_use]
pub fn findings(plan: &Plan, desired: &Desired, recorded: &State) -> Vec<Finding> {
    let subject = Subject::new(plan, desired, recorded);
    let mut all = Vec::new();
    for (n, rule) in RULES.iter().enumerate() {
        let mut found = Findings::of(rule);
        (rule.check)(&subject, &mut found);
        all.extend(found.done());
        if n == 0 && !all.is_empty() {
            break;
        }
    }
    all
}

/// What is wrong with a finished plan. A plan with errors must not be shown as one that could be applied.
#[must_use]
pub fn review(plan: &Plan, desired: &Desired, recorded: &State) -> Diagnostics {
    findings(plan, desired, recorded).into_iter().map(|f| f.diagnostic).collect()
}
