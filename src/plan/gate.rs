//! Promotion gates: what has to hold before a release may go on to the next environment. A pure decision over what was found out;
//! nothing here asks, and nobody can talk it around.

use jiff::{SignedDuration, Timestamp};

use crate::addr::Address;
use crate::ledger::record::{Generation, PromotionGate};
use crate::ledger::release::{Quarantined, evidence, short};
use crate::ledger::{Release, State};

/// How the source environment stands to its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// As they say; or the release is not what runs there any more, so that looking would say nothing about it.
    Sound,
    /// These objects are not as they were recorded.
    Drifted(Vec<Address>),
    /// These objects could not be looked at, with the reason of the first.
    Unreadable(Vec<Address>, String),
}

/// A release that is offered to an environment.
#[derive(Debug, Clone)]
pub struct Offer<'a> {
    /// The environment that offers it.
    pub from: &'a str,
    /// What its ledger says.
    pub state: &'a State,
    /// The generation there that proved it.
    pub generation: &'a Generation,
    /// The release.
    pub release: &'a Release,
}

/// Why a release may not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Releases come from another environment.
    OtherSource {
        /// From where.
        from: String,
    },
    /// It has not stood for long enough.
    Soaking {
        /// For how much longer it has to, in seconds; `None` if it was followed by another before it had stood for long enough.
        left: Option<u64>,
        /// For how long it has to in all, in seconds.
        soak: u64,
    },
    /// A check that is asked for did not pass on it.
    NotProven {
        /// Which.
        check: Address,
        /// What it said; `None` if it did not run.
        said: Option<String>,
    },
    /// It failed, or was taken back.
    Quarantined {
        /// In which environment.
        environment: String,
        /// What happened.
        entry: Quarantined,
    },
    /// The source is not as it was recorded.
    Drifted(Vec<Address>),
    /// Whether the source is as it was recorded cannot be told.
    Unreadable(Vec<Address>, String),
}

impl Refusal {
    /// Whether automation simply waits: for time to pass, for a newer release, or for a person to lift it.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self, Self::Soaking { .. } | Self::Quarantined { .. })
    }
}

/// All that speaks against promoting a release to `to`. `gates` are those that count there: the ones of now and the ones of before.
#[must_use]
pub fn refusals(
    gates: &[&PromotionGate],
    offer: &Offer<'_>,
    (to, target): (&str, &State),
    source: &Source,
    now: Timestamp,
) -> Vec<Refusal> {
    let mut all = Vec::new();
    let id = offer.release.id();
    for (environment, state) in [(to, target), (offer.from, offer.state)] {
        if let Some(entry) = state.quarantine.get(&id) {
            all.push(Refusal::Quarantined { environment: environment.to_owned(), entry: entry.clone() });
        }
    }
    let said = evidence(offer.generation);
    for gate in gates {
        if gate.from != offer.from {
            all.push(Refusal::OtherSource { from: gate.from.clone() });
        }
        let (stood, over) = stood(offer, now);
        if stood < gate.soak {
            all.push(Refusal::Soaking { left: (!over).then(|| gate.soak - stood), soak: gate.soak });
        }
        for check in &gate.require {
            match said.get(check) {
                Some(verdict) if verdict.passed => {}
                other => all.push(Refusal::NotProven {
                    check: check.clone(),
                    said: other.map(|verdict| verdict.sentence.clone()),
                }),
            }
        }
    }
    match source {
        Source::Sound => {}
        Source::Drifted(which) => all.push(Refusal::Drifted(which.clone())),
        Source::Unreadable(which, why) => all.push(Refusal::Unreadable(which.clone(), why.clone())),
    }
    let mut seen = Vec::new();
    all.retain(|refusal| {
        !seen.contains(refusal) && {
            seen.push(refusal.clone());
            true
        }
    });
    all
}

/// For how many seconds a release has stood verified where it is offered, and whether that is over. A time that cannot be read, or that is
/// still to come, counts as none: a clock that goes wrong opens no gate.
fn stood(offer: &Offer<'_>, now: Timestamp) -> (u64, bool) {
    let time = |text: Option<&String>| text.and_then(|t| t.parse::<Timestamp>().ok());
    let Some(since) = time(offer.generation.finished.as_ref()) else { return (0, false) };
    let current = offer.state.current().is_some_and(|g| g.number == offer.generation.number);
    let until = match current {
        true => Some(now),
        false => {
            let later = offer.state.generations.iter().find(|g| {
                g.number > offer.generation.number && g.outcome == Some(crate::ledger::event::RunOutcome::Verified)
            });
            time(later.map(|g| &g.started))
        }
    };
    let stood = until.map_or(SignedDuration::ZERO, |until| until.duration_since(since));
    (u64::try_from(stood.as_secs()).unwrap_or(0), !current)
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listed = |all: &[Address]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::OtherSource { from } => write!(f, "Releases come from \"{from}\", and from nowhere else."),
            Self::Soaking { left: Some(left), soak } => {
                write!(f, "It has to have stood verified for {}; {} to go.", span(*soak), span(*left))
            }
            Self::Soaking { left: None, soak } => write!(
                f,
                "It has to have stood verified for {}, and was followed by another release before that.",
                span(*soak)
            ),
            Self::NotProven { check, said: None } => write!(f, "{check} has to have passed on it, and did not run."),
            Self::NotProven { check, said: Some(said) } => {
                write!(f, "{check} has to have passed on it, and did not: {said}")
            }
            Self::Quarantined { environment, entry } => write!(
                f,
                "It is quarantined in \"{environment}\" since generation {} ({}): {}",
                entry.generation, entry.run, entry.reason
            ),
            Self::Drifted(which) => {
                write!(f, "What runs there is not what was proven. Not as they were recorded: {}.", listed(which))
            }
            Self::Unreadable(which, why) => {
                write!(
                    f,
                    "Whether what was proven still runs there cannot be told. Not readable: {} ({why}).",
                    listed(which)
                )
            }
        }
    }
}

/// `90` is `1m 30s`.
fn span(seconds: u64) -> String {
    let parts = [(seconds / 86400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let some: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if some.is_empty() { "0s".into() } else { some.join(" ") }
}

/// Whether an environment had a release already, so that automation does not bring it again: it is what runs, or what ran before.
#[must_use]
pub fn had(target: &State, id: &str) -> bool {
    let verified = |g: &&Generation| g.outcome == Some(crate::ledger::event::RunOutcome::Verified);
    target.generations.iter().filter(verified).any(|g| g.release.as_ref().is_some_and(|r| r.id() == id))
}

/// What people call a release: `4c1f09ab22de (generation 7 of "staging")`.
#[must_use]
pub fn named(release: &Release) -> String {
    format!("{} (generation {} of \"{}\")", short(&release.id()), release.generation, release.environment)
}

#[cfg(test)]
mod tests;
