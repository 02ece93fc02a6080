//! `ack`: drift that is known and no alarm for a time. What is acknowledged is what is there now, by a keyed digest: whatever else
//! it becomes alarms again.

use std::sync::Arc;
use std::time::Duration;

use super::drift::{look, prepare};
use super::error::{Failure, Result};
use super::run::Opened;
use super::state::no_open_run;
use crate::addr::Address;
use crate::config::VarArg;
use crate::diag::did_you_mean;
use crate::ledger::State;
use crate::ledger::event::{Acknowledged, Event};
use crate::ledger::format::time_text;
use crate::plan::drift::{Finding, Standing, digest_of, is_within};

/// The longest that drift may be known without anybody looking again.
pub const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// The longest reason, in bytes: it is shown whole, with every look.
const REASON_MAX: usize = 1000;

/// What was acknowledged, or is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The object.
    pub address: Address,
    /// The part of it; `None` for all that differs.
    pub path: Option<String>,
    /// The parts that differ and are acknowledged.
    pub parts: Vec<String>,
    /// Until when; `None` where it was withdrawn.
    pub expires: Option<String>,
}

/// Acknowledges that an object, or a part of it, is not as it was recorded. `target` is its address, with the part behind it
/// where one is meant: `local_file.a.content`.
///
/// # Errors
/// When there is no such object, it is as it was recorded, or it cannot be looked at.
pub async fn acknowledge(
    opened: &mut Opened,
    variables: &[VarArg],
    target: &str,
    reason: &str,
    expires: Duration,
) -> Result<Outcome> {
    no_open_run(opened)?;
    if reason.trim().is_empty() || reason.len() > REASON_MAX {
        let detail =
            format!("--reason says why this is no alarm, in at most {REASON_MAX} bytes; it is recorded and shown.");
        return Err(Failure::error("Missing reason", detail));
    }
    let (address, path) = meant(&opened.state, target)?;
    let key = Arc::clone(&opened.secrets.key);
    let secrets = prepare(&opened.workspace, variables, &opened.state, key, &opened.targets).await?;
    let findings = look(&opened.state, &opened.targets, &secrets).await;
    let found = findings.iter().find(|finding| finding.address == address);
    let meant = |finding: &Finding| {
        let within = finding.parts.iter().filter(|part| is_within(&part.path, path.as_deref().unwrap_or_default()));
        within.cloned().collect::<Vec<_>>()
    };
    let parts = found.map(&meant).unwrap_or_default();
    if parts.is_empty() {
        return Err(nothing_to_acknowledge(&opened.workspace.name, target, found, &findings));
    }
    let now = opened.targets.now();
    let until =
        i64::try_from(expires.as_secs()).ok().and_then(|s| now.checked_add(jiff::SignedDuration::from_secs(s)).ok());
    let expires =
        until.map(time_text).ok_or_else(|| Failure::error("Invalid --expires", "That time does not exist."))?;
    let digest = digest_of(&parts, &|bytes: &[u8]| opened.secrets.key.hmac(bytes));
    let event = Acknowledged {
        address: address.clone(),
        path: path.clone(),
        digest,
        reason: reason.trim().to_owned(),
        expires: expires.clone(),
    };
    opened.note(Event::DriftAcknowledged(Box::new(event))).await?;
    let parts = parts.into_iter().map(|part| part.path).filter(|path| !path.is_empty()).collect();
    Ok(Outcome { address, path, parts, expires: Some(expires) })
}

/// Takes an acknowledgement back: the drift alarms again.
///
/// # Errors
/// When there is none.
pub async fn withdraw(opened: &mut Opened, target: &str, reason: Option<&str>) -> Result<Outcome> {
    no_open_run(opened)?;
    let (address, path) = meant(&opened.state, target)?;
    let all = opened.state.acknowledged.get(&address);
    if !all.is_some_and(|all| all.contains_key(path.as_deref().unwrap_or_default())) {
        let standing: Vec<String> = opened
            .state
            .acknowledged
            .iter()
            .flat_map(|(address, all)| all.keys().map(move |path| written(address, path)))
            .collect();
        let detail = match standing.is_empty() {
            true => "Nothing is acknowledged.".to_owned(),
            false => format!("Nothing of it is acknowledged; what is: {}.", standing.join(", ")),
        };
        return Err(Failure::refused("Nothing to withdraw", detail));
    }
    let reason = reason.map(str::to_owned);
    opened.note(Event::AcknowledgementWithdrawn { address: address.clone(), path: path.clone(), reason }).await?;
    Ok(Outcome { address, path, parts: Vec::new(), expires: None })
}

/// As it is typed.
fn written(address: &Address, path: &str) -> String {
    if path.is_empty() { address.to_string() } else { format!("{address}.{path}") }
}

/// The recorded object that a text begins with, and the part of it behind that.
fn meant(state: &State, target: &str) -> Result<(Address, Option<String>)> {
    let fits = |address: &&Address| {
        let name = address.to_string();
        target.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let found = state.records.keys().filter(fits).max_by_key(|address| address.to_string().len());
    let Some(address) = found else {
        let known: Vec<String> = state.records.keys().map(ToString::to_string).collect();
        let failure = Failure::error("No such record", format!("The ledger has no record of {target}."));
        return Err(match did_you_mean(target, known.iter().map(String::as_str)) {
            Some(hint) => failure.hint(hint),
            None => failure.hint("List all: gantry state list"),
        });
    };
    let path = target[address.to_string().len()..].trim_start_matches('.');
    Ok((address.clone(), (!path.is_empty()).then(|| path.to_owned())))
}

/// Why there is nothing to acknowledge, and what there is.
fn nothing_to_acknowledge(environment: &str, target: &str, found: Option<&Finding>, all: &[Finding]) -> Failure {
    let why = match found.map(|finding| (&finding.standing, finding)) {
        Some((Standing::Unreadable(why), _)) => {
            format!(
                "{target} could not be looked at, so nobody knows whether it differs: {}.",
                why.trim_end_matches('.')
            )
        }
        Some((Standing::Changed { .. }, finding)) => {
            let parts: Vec<&str> = finding.parts.iter().map(|part| part.path.as_str()).collect();
            format!("{target} is as it was recorded. What differs of {}: {}.", finding.address, parts.join(", "))
        }
        Some((Standing::Gone, finding)) => format!("{0} is gone as a whole: acknowledge {0}.", finding.address),
        Some((Standing::NotReady(_), finding)) => {
            format!("{0} is not ready as a whole: acknowledge {0}.", finding.address)
        }
        _ => {
            let drifted: Vec<String> = all.iter().filter(|f| f.differs()).map(|f| f.address.to_string()).collect();
            match drifted.is_empty() {
                true => format!("{target} is as it was recorded, and so is everything else."),
                false => format!("{target} is as it was recorded. What is not: {}.", drifted.join(", ")),
            }
        }
    };
    Failure::refused("Nothing to acknowledge", why).hint(format!("Look at it with: gantry drift {environment}"))
}
