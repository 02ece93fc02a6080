//! `promotion` in the `environment` block: from where releases come, what has to hold for them, and what artifacts are where
//! they come by promotion only.

use std::collections::BTreeSet;

use super::change::Reason;
use super::data::artifact_type;
use super::encryption::texts;
use super::settings::Settings;
use super::walk::{BlockInstance, Planner};
use crate::addr::{Address, NodeKind};
use crate::config::desired::BlockBody;
use crate::diag::{Diagnostic, Span, did_you_mean};
use crate::eval::Evaluator;
use crate::ledger::State;
use crate::ledger::event::{RunKind, RunOutcome};
use crate::ledger::record::{Pin, PromotionGate};
use crate::value::{Type, Value, convert};

/// Reads the block. What depends on a variable without a value is taken as strictly as can be.
pub(super) fn read(block: &BlockBody, evaluator: &Evaluator<'_>) -> Result<PromotionGate, Diagnostic> {
    let span = |name: &str| block.body.attributes.get(name).map_or(block.span, |a| a.term.span);
    let get = |name: &str, ty: &Type| -> Result<Option<Value>, Diagnostic> {
        let Some(attribute) = block.body.attributes.get(name) else { return Ok(None) };
        let value = evaluator.evaluate(&attribute.term).map_err(|e| *e)?;
        if value.marks_deep().is_sensitive() {
            let detail = format!("\"{name}\" is sensitive, but it is shown in every plan and every refusal.");
            let wrong = Diagnostic::error("Invalid argument value", detail).at(attribute.term.span);
            return Err(wrong.hint("nonsensitive(…) says that it may be shown."));
        }
        let wrong = |why: String| {
            Diagnostic::error("Incorrect argument value type", format!("\"{name}\": {why}.")).at(attribute.term.span)
        };
        let value = convert(&value, ty).map_err(|e| wrong(e.to_string()))?;
        Ok((!value.is_null()).then_some(value))
    };
    let from = match get("from", &Type::String)? {
        Some(value) => value.as_str().map(str::to_owned),
        None => Some(String::new()),
    };
    let Some(from) = from.filter(|name| !name.is_empty() && !name.contains('/')) else {
        let detail = "\"from\" is the name of the environment that releases come from, as in \"staging\".";
        return Err(Diagnostic::error("Invalid argument value", detail).at(span("from")));
    };
    let soak = match get("soak", &Type::String)? {
        None => 0,
        Some(value) => match value.as_str() {
            Some(text) => super::duration::parse(text).map_err(|why| not_a_duration(&why, span("soak")))?.as_secs(),
            None => u64::MAX,
        },
    };
    let allow_unproven = get("allow_unproven", &Type::Bool)?.and_then(|value| value.as_bool()).unwrap_or(false);
    let mut require = BTreeSet::new();
    if let Some(attribute) = block.body.attributes.get("require") {
        for (text, span) in texts("require", &attribute.term, evaluator)?.0 {
            require.insert(check(&text, span)?);
        }
    }
    Ok(PromotionGate { from, soak, require, allow_unproven })
}

fn not_a_duration(why: &str, span: Span) -> Diagnostic {
    Diagnostic::error("Invalid argument value", format!("\"soak\" is a duration: {why}.")).at(span)
}

fn check(text: &str, span: Span) -> Result<Address, Diagnostic> {
    let parsed: Option<Address> = text.parse().ok();
    parsed.filter(|a| matches!(a.kind, NodeKind::HealthCheck | NodeKind::SmokeTest)).ok_or_else(|| {
        let shown = crate::diag::escape_controls(text);
        let detail = format!("\"require\" names checks of the source environment, and \"{shown}\" names none.");
        Diagnostic::error("Invalid argument value", detail).at(span).hint("Write it as in \"smoke_test.checkout\".")
    })
}

/// The environment that artifacts come from, if they come by promotion only: as the configuration says, or, so that nobody talks around the
/// gate by taking the block out, as it stands in what runs now.
pub(super) fn source(settings: &Settings, recorded: &State) -> Option<String> {
    let gate =
        settings.promotion.clone().or_else(|| recorded.gates().into_iter().find_map(|gates| gates.promotion.clone()));
    gate.map(|gate| gate.from)
}

/// What is wrong where an artifact has not been promoted yet.
pub const NOT_PROMOTED: &str = "Artifact was not promoted";

impl Planner<'_> {
    /// What an artifact is where it comes by promotion only: what is promoted now, or what was. `None` where it does not.
    pub(super) fn promoted(&mut self, one: &BlockInstance<'_>, recorded: Option<&Pin>) -> Option<Value> {
        let inputs = self.world.inputs;
        let options = inputs.options;
        if let Some(release) = &options.promoted {
            if let Some(pin) = release.artifacts.get(&one.address) {
                return Some(self.pin_again(one, recorded, pin, Reason::Promoted));
            }
            let names: Vec<String> = release.artifacts.keys().map(ToString::to_string).collect();
            let held = if names.is_empty() { "no artifacts".to_owned() } else { names.join(", ") };
            let detail = format!(
                "The release that \"{}\" verified has {held}, and nothing for {}. An artifact that only one environment has cannot be \
                 promoted.",
                release.environment, one.address
            );
            let hint = did_you_mean(&one.address.to_string(), names.iter().map(String::as_str));
            let wrong = Diagnostic::error("Artifact is not in the release", detail).at(one.block.span).on(&one.address);
            self.world.report(wrong.hint_opt(hint));
            return Some(Value::opaque(artifact_type()));
        }
        let from = self.by_promotion.as_ref()?;
        if options.going_back || options.validating || options.hollow || !options.pins.is_empty() {
            return None;
        }
        // What a first promotion brought that was taken back again proved nothing here.
        let state = inputs.recorded;
        let taken_back = state.generations.last().is_some_and(|g| g.outcome == Some(RunOutcome::RolledBack));
        if let Some(pin) = recorded.filter(|_| state.current().is_some() || !taken_back) {
            return Some(self.pin_again(one, recorded, pin, Reason::Promoted));
        }
        let to = inputs.environment;
        let detail = format!(
            "Artifacts of \"{to}\" come from \"{from}\" by promotion only, and none has come for {}.",
            one.address
        );
        let wrong = Diagnostic::error(NOT_PROMOTED, detail).at(one.block.span).on(&one.address);
        let wrong = wrong.hint(format!("Promote what \"{from}\" proved: gantry promote {from} {to}"));
        let name = &one.address;
        self.world.report(wrong.hint(format!("In an emergency name one: --artifact {name}=REFERENCE --reason \"…\"")));
        Some(Value::opaque(artifact_type()))
    }

    /// Whether what `--artifact` names is there, and may be named.
    pub(super) fn overrides_hold(&self) {
        let inputs = self.world.inputs;
        let standing =
            inputs.recorded.current().filter(|_| !inputs.options.going_back && inputs.options.promoted.is_none());
        for (address, named) in standing.iter().flat_map(|generation| &generation.overrides) {
            if !inputs.options.artifacts.contains_key(address) {
                let detail = format!("It is {}, not what was promoted: {}", named.reference, named.reason);
                let warning = Diagnostic::warning("An artifact was named by hand", detail).on(address);
                self.world.report(warning.hint("The next promotion takes that back."));
            }
        }
        let known: Vec<String> = self
            .changes
            .iter()
            .filter(|c| c.address.kind == NodeKind::Artifact)
            .map(|c| c.address.to_string())
            .collect();
        for address in inputs.options.artifacts.keys() {
            let name = address.to_string();
            if self.by_promotion.is_none() && inputs.options.kind != RunKind::Destroy {
                let detail = format!(
                    "--artifact names another {name} than was promoted. Artifacts of \"{}\" are its own: its configuration says what they are.",
                    inputs.environment
                );
                let wrong = Diagnostic::error("No artifact was promoted here", detail);
                self.world
                    .report(wrong.hint("Change the configuration, or a variable that it takes: --var NAME=VALUE"));
            } else if !known.contains(&name) && !self.claimed.contains(address) {
                let listed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let detail =
                    format!("--artifact names {name}, and the configuration has no such artifact. There is: {listed}.");
                let hint = did_you_mean(&name, known.iter().map(String::as_str));
                self.world.report(Diagnostic::error("Unknown artifact", detail).hint_opt(hint));
            }
        }
    }
}
