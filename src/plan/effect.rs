//! The canonical text of a plan's steps, and the digest over it: the effect.
//!
//! Equal effects do the same to the same objects, and leave the same gates; seed, times, facts and basis are not in it. Secrets are in it as keyed
//! digests, what is known after apply as its closed term.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::change::{MigrateHow, MigrationRunner};
use super::step::{Step, Work};
use crate::ledger::record::Gates;
use crate::value::{Seal, Value, encode};

/// SHA-256 as lower-case hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// The steps as text, one a line: number, name, what is done with what, and behind which steps. Gates that the run leaves for
/// the next one are its doing as well: whoever agrees to a plan agrees to them.
#[must_use]
pub fn text(steps: &[Step], gates: &Gates, seal: Seal<'_>) -> String {
    let mut out = String::new();
    for (n, step) in steps.iter().enumerate() {
        let _ = write!(out, "{n} {}", step.name);
        work(&mut out, &step.work, seal);
        if !step.after.is_empty() {
            let after: Vec<String> = step.after.iter().map(usize::to_string).collect();
            let _ = write!(out, " after {}", after.join(","));
        }
        out.push('\n');
    }
    if !gates.is_none() {
        let gates = serde_json::to_value(gates).expect("invariant: gates are plain data");
        let _ = writeln!(out, "- {GATES}: {gates}");
    }
    out
}

/// The name of what is no step.
pub(super) const GATES: &str = "the gates of the environment";

fn work(out: &mut String, work: &Work, seal: Seal<'_>) {
    let json = |v: &Value| encode(v, seal).to_string();
    let _ = match work {
        Work::Barrier => write!(out, ": barrier"),
        Work::Commit => write!(out, ": commit"),
        Work::Assert(all) => all
            .iter()
            .try_fold(write!(out, ": verify"), |done, one| done.map(|()| write!(out, " {}", json(&one.holds))))
            .unwrap_or(Ok(())),
        Work::Forget => write!(out, ": forget"),
        Work::Record(observed) => write!(out, ": record {}", json(observed)),
        Work::Import(import) => write!(
            out,
            ": import {:?} as {} with {}",
            import.id,
            import.object.identity,
            json(&import.object.attributes)
        ),
        Work::Move { from } => write!(out, ": move from {from}"),
        Work::Await { .. } => write!(out, ": await"),
        Work::Read { arguments, .. } => write!(out, ": read {}", json(arguments)),
        Work::Pin(pin) => write!(
            out,
            ": pin {} {} {}",
            pin.kind,
            json(&pin.source),
            pin.recorded.as_ref().map(|p| &p.digest).or(pin.digest.as_ref()).map_or("later", |d| d)
        ),
        Work::Migrate { migration, url, how } => {
            write!(out, ": migrate {} {} at {}{}", migration.version, migration.checksum, json(url), by(how, &json))
        }
        Work::Revert { migration, url, how } => {
            write!(out, ": revert {} {} at {}{}", migration.version, migration.checksum, json(url), by(how, &json))
        }
        Work::Check(check) => write!(out, ": {} {}", check.phase.word(), json(&check.configuration)),
        Work::Act(act) => {
            let identity = act.version.clone().or_else(|| act.prior.as_ref().map(|p| p.identity.clone()));
            write!(
                out,
                ": {} {} on {} create first {}",
                act.action.word(),
                json(&act.planned),
                identity.unwrap_or_default(),
                act.create_before_destroy
            )
        }
    };
}

fn by(how: &MigrateHow, json: &dyn Fn(&Value) -> String) -> String {
    let by = |runner: &MigrationRunner| format!(" by {} {} {}", runner.name, runner.provider, json(&runner.settings));
    how.runner.as_ref().map_or_else(String::new, by)
}
