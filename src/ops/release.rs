//! `release`: what an environment proved, and what it must not get again.

use std::collections::BTreeMap;

use super::error::{Failure, Result};
use super::records::Records;
use super::run::Opened;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::ledger::event::Event;
use crate::ledger::release::{Quarantined, short};
use crate::ledger::{Release, State};

/// A release that an environment knows.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// The release.
    pub release: Release,
    /// Its name.
    pub id: String,
    /// The generations that it was here.
    pub generations: Vec<u64>,
    /// Whether it is what the environment is now.
    pub current: bool,
    /// Why it must not come again, if so.
    pub quarantined: Option<Quarantined>,
}

/// A release of an environment: the one whose name begins so, or what the environment is now, or else the newest.
///
/// # Errors
/// When the ledger cannot be read, or there is none of that name.
pub async fn show(workspace: &Workspace, variables: &[VarArg], prefix: Option<&str>) -> Result<Known> {
    let records = Records::read(workspace, variables).await?;
    let lineage = records.lineage.as_deref().unwrap_or_default();
    let all = known(&records.state, &workspace.name, lineage);
    let Some(prefix) = prefix else {
        let current = all.iter().position(|known| known.current).or(all.len().checked_sub(1));
        return current.and_then(|at| all.into_iter().nth(at)).ok_or_else(|| {
            let detail =
                format!("\"{}\" has no release: no generation of it ended verified and whole.", workspace.name);
            Failure::error("No release", detail)
                .hint(format!("Look at what there is: gantry history {}", workspace.name))
        });
    };
    let listed = listed(&all);
    one(all, prefix, |known| &known.id).map_err(|several| match several {
        true => Failure::error("Which release?", format!("Several releases begin with {prefix}. {listed}")),
        false => Failure::error("Unknown release", format!("\"{}\" has no release {prefix}. {listed}", workspace.name)),
    })
}

/// The only one whose name begins so; else whether there are several.
fn one<T>(all: Vec<T>, prefix: &str, id: impl Fn(&T) -> &String) -> std::result::Result<T, bool> {
    let mut found: Vec<T> = all.into_iter().filter(|known| id(known).starts_with(prefix)).collect();
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (several, _) => Err(several.is_some()),
    }
}

/// All releases, the one that came last at the end: those that were verified here, and those that failed here.
fn known(state: &State, environment: &str, lineage: &str) -> Vec<Known> {
    let mut all: Vec<Known> = Vec::new();
    let current = state.current().map(|g| g.number);
    for generation in &state.generations {
        let failed = generation.release.as_ref().map(|release| (**release).clone());
        let Some(release) = Release::of(environment, lineage, generation).or(failed) else { continue };
        let id = release.id();
        let mut known = match all.iter().position(|known| known.id == id) {
            Some(at) => all.remove(at),
            None => {
                let quarantined = state.quarantine.get(&id).cloned();
                Known { release, id, generations: Vec::new(), current: false, quarantined }
            }
        };
        known.generations.push(generation.number);
        known.current |= current == Some(generation.number);
        all.push(known);
    }
    all
}

/// The names of the releases that generations are, or were to be, by their numbers.
#[must_use]
pub fn names(records: &Records, environment: &str) -> BTreeMap<u64, String> {
    let lineage = records.lineage.as_deref().unwrap_or_default();
    let all = known(&records.state, environment, lineage);
    all.iter().flat_map(|known| known.generations.iter().map(|n| (*n, known.id.clone()))).collect()
}

fn listed(all: &[Known]) -> String {
    let names: Vec<&str> = all.iter().map(|known| short(&known.id)).collect();
    if names.is_empty() { "It has none.".into() } else { format!("There is: {}.", names.join(", ")) }
}

/// Lifts the quarantine of a release, and gives its name.
///
/// # Errors
/// When it is not quarantined, no reason is given, or the ledger cannot be written.
pub async fn lift(opened: &mut Opened, prefix: &str, reason: &str) -> Result<String> {
    if reason.trim().is_empty() {
        return Err(Failure::error("Invalid --reason", "--reason says why the release may come again."));
    }
    super::state::no_open_run(opened)?;
    let all: Vec<String> = opened.state.quarantine.keys().cloned().collect();
    let names: Vec<&str> = all.iter().map(|id| short(id)).collect();
    let listed = match names.is_empty() {
        true => "None is.".to_owned(),
        false => format!("Quarantined are: {}.", names.join(", ")),
    };
    let release = one(all, prefix, |id| id).map_err(|several| {
        let what = if several { "several begin so" } else { "it is not quarantined here" };
        Failure::refused("Nothing to lift", format!("Release {prefix}: {what}. {listed}"))
    })?;
    let event = Event::ReleaseLifted { release: release.clone(), reason: reason.trim().to_owned() };
    opened.note(event).await?;
    Ok(short(&release).to_owned())
}
