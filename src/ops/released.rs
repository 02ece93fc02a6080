//! What an environment has to offer: its releases, and whether one still stands as it was proven.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{Failure, Result};
use super::promote::{saved_inputs, saved_variables};
use super::records::Records;
use super::secrets::Secrets;
use super::workspace::Workspace;
use super::{drift, planning};
use crate::config::{Bundle, Reader};
use crate::ledger::record::Generation;
use crate::ledger::release::short;
use crate::ledger::{Release, State};
use crate::plan::Settings;
use crate::plan::gate::Source;
use crate::value::{Sealed, Value};

/// Which release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pick {
    /// That of this generation.
    pub generation: Option<u64>,
    /// The one whose name begins so.
    pub release: Option<String>,
}

/// A release with all that its promotion needs.
#[derive(Debug)]
pub struct Offered {
    /// The release.
    pub release: Release,
    /// Its name.
    pub id: String,
    /// The generation that proved it here.
    pub generation: Generation,
    /// The ledger of the environment that offers it.
    pub records: Records,
    /// The files that it was made from, as seen from that environment.
    pub bundle: Bundle,
    /// The values of that environment's variables.
    pub variables: BTreeMap<Arc<str>, Value>,
}

/// The release of an environment that is picked: that of the newest verified generation, if none is named.
///
/// # Errors
/// When there is none, or none of that name or number that could be promoted.
pub async fn offered(source: &Workspace, pick: &Pick) -> Result<Offered> {
    let records = Records::read(source, &[]).await?;
    let lineage = records.lineage.clone().unwrap_or_default();
    let generation = picked(&records.state, pick, source, &lineage)?.clone();
    let Some(release) = Release::of(&source.name, &lineage, &generation) else {
        return Err(not_a_release(&records.state, source, &lineage, &generation));
    };
    if let Some(collected) = &generation.collected {
        let detail = format!("What generation {} was made from is gone: {collected}.", generation.number);
        return Err(Failure::refused("Release was collected", detail)
            .hint(format!("Make it again: gantry apply {}", source.name)));
    }
    let saved = saved_inputs(&records, &generation.inputs, generation.number).await?;
    let bad = |why: String| Failure::error("Unreadable ledger", format!("Generation {}: {why}.", generation.number));
    let mut bundle: Bundle = serde_json::from_value(saved.bundle.clone()).map_err(|e| bad(e.to_string()))?;
    let desired = crate::config::load(&bundle)?;
    let variables = saved_variables(&saved, &desired);
    let secrets = Secrets::of_machine(Arc::clone(&records.key))?;
    let secrets = secrets.with_identities_of(&desired, &variables, &bundle.project, source)?;
    for (path, json) in &saved.secret_files {
        let sealed =
            Sealed::from_json(json).ok_or_else(|| bad(format!("what is kept of the file {path} cannot be read")))?;
        secret_file(&mut bundle, path, &sealed, &secrets, source);
    }
    Ok(Offered { id: release.id(), release, generation, records, bundle, variables })
}

/// A file of which only a seal or a digest was kept: opened, or read again and known again. What is neither is not in the release.
fn secret_file(bundle: &mut Bundle, path: &str, sealed: &Sealed, secrets: &Secrets, source: &Workspace) {
    let seal = |bytes: &[u8]| secrets.key.hmac(bytes);
    if let Some(bytes) = sealed.open(&seal, &*secrets.opener()) {
        bundle.files.insert(path.to_owned(), bytes.into());
        return;
    }
    Reader::new(&source.environment).add_file(bundle, path);
    if bundle.files.get(path).is_none_or(|now| seal(now) != *sealed.digest) {
        bundle.files.remove(path);
        let why = "it holds a secret of which the release keeps only a digest, and it is not the same now";
        bundle.missing.insert(path.to_owned(), why.to_owned());
    }
}

fn picked<'s>(state: &'s State, pick: &Pick, source: &Workspace, lineage: &str) -> Result<&'s Generation> {
    let name = &source.name;
    if state.generations.is_empty() {
        let detail = format!("\"{name}\" was never applied, so it has proven nothing that could be promoted.");
        return Err(Failure::refused("Nothing to promote", detail).hint(format!("Apply it first: gantry apply {name}")));
    }
    if let Some(number) = pick.generation {
        return state.find_generation(number).ok_or_else(|| {
            let detail = format!("There is no generation {number} of \"{name}\". {}", listed(state, source, lineage));
            Failure::error("Unknown generation", detail)
        });
    }
    let releases = || state.generations.iter().rev().filter_map(|g| Some((g, Release::of(name, lineage, g)?)));
    match &pick.release {
        None => releases().next().map(|(g, _)| g).ok_or_else(|| {
            let detail = format!("No generation of \"{name}\" ended verified and whole, so none could be promoted.");
            Failure::refused("Nothing to promote", detail).hint(format!("Look at what there is: gantry history {name}"))
        }),
        Some(prefix) => {
            let mut found: Vec<(String, &Generation)> =
                releases().map(|(g, r)| (r.id(), g)).filter(|(id, _)| id.starts_with(&**prefix)).collect();
            // One release may have been several generations: the newest of them stands for it.
            found.dedup_by(|a, b| a.0 == b.0);
            let ids: std::collections::BTreeSet<&String> = found.iter().map(|(id, _)| id).collect();
            match (ids.len(), found.first()) {
                (1, Some((_, generation))) => Ok(generation),
                (0, _) => Err(Failure::error(
                    "Unknown release",
                    format!("\"{name}\" has no release {prefix}. {}", listed(state, source, lineage)),
                )),
                _ => Err(Failure::error(
                    "Which release?",
                    format!("Several releases of \"{name}\" begin with {prefix}. {}", listed(state, source, lineage)),
                )),
            }
        }
    }
}

/// What can be promoted, in a sentence.
fn listed(state: &State, source: &Workspace, lineage: &str) -> String {
    let releases = state.generations.iter().filter_map(|g| Some((g.number, Release::of(&source.name, lineage, g)?)));
    let all: Vec<String> = releases.map(|(n, r)| format!("{} (generation {n})", short(&r.id()))).collect();
    if all.is_empty() { "It has none.".into() } else { format!("There is: {}.", all.join(", ")) }
}

fn not_a_release(state: &State, source: &Workspace, lineage: &str, generation: &Generation) -> Failure {
    let why = match () {
        () if generation.partial => "was limited with --target or --replace, so it is only a part",
        () if generation.kind == crate::ledger::event::RunKind::Destroy => "took everything away",
        () => "did not end verified",
    };
    let detail = format!("Generation {} {why}. {}", generation.number, listed(state, source, lineage));
    Failure::refused("Not a release", detail)
}

/// Whether what a release was proven on still stands as it was recorded. Where something else runs there now, looking says nothing.
///
/// # Errors
/// When the source cannot be looked at.
pub(super) async fn standing(source: &Workspace, offered: &Offered) -> Result<Source> {
    let current = offered.records.state.current().map(|g| g.number);
    if current != Some(offered.generation.number) {
        return Ok(Source::Sound);
    }
    let found = drift::drift(source, &[]).await?;
    let unreadable: Vec<_> = found.unreadable().map(|f| f.address.clone()).collect();
    if let Some(first) = found.unreadable().next() {
        let crate::plan::drift::Standing::Unreadable(why) = &first.standing else { return Ok(Source::Sound) };
        return Ok(Source::Unreadable(unreadable, why.trim_end_matches('.').to_owned()));
    }
    let drifted: Vec<_> = found.drifted().map(|f| f.address.clone()).collect();
    Ok(if drifted.is_empty() { Source::Sound } else { Source::Drifted(drifted) })
}

/// The environment that releases of an environment come from, as far as its configuration can be read.
pub(super) fn from_of(workspace: &Workspace) -> Option<String> {
    let (draft, _) = planning::open_to_look(workspace, &[]).ok()?;
    let block = draft.desired.environment.as_ref()?;
    let directory = workspace.environment.to_string_lossy();
    let settings = Settings::evaluate(block, &draft.variables, &draft.bundle.project, &directory).ok()?;
    settings.promotion.map(|gate| gate.from)
}

/// Releases that would go round in a circle are nobody's.
///
/// # Errors
/// When the target, through others, is where the source's own releases come from.
pub(super) fn no_loop(source: &Workspace, target: &Workspace) -> Result<()> {
    let mut chain = vec![target.name.clone(), source.name.clone()];
    let mut at = source.clone();
    while let Some(from) = from_of(&at) {
        let ends = chain.contains(&from);
        chain.push(from.clone());
        if ends {
            chain.reverse();
            let detail = format!("Releases would go round in a circle: {}.", chain.join(" -> "));
            return Err(Failure::error("Loop of promotions", detail)
                .hint("Somewhere in it an environment has to make its own artifacts: take its promotion block out."));
        }
        let Ok(next) = Workspace::locate(&at.project, Some(&from)) else { return Ok(()) };
        at = next;
    }
    Ok(())
}
