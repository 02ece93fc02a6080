//! When a rollout is hopeless: symptoms, held for long enough.
//!
//! To fail in seconds instead of at the deadline is what people ask for (helm/helm#7429: a crash loop that just hangs), and
//! failing on a blip is what made others take it back (Shopify/krane#477: one registry error failed a large deploy). So no
//! symptom is doom when it is first seen. Each kind has a limit of two numbers: how often it must have been reported,
//! and how long it must hold from then on without a break. What goes away starts anew.
//!
//! | Kind | Count | Hold | Why |
//! | --- | --- | --- | --- |
//! | image not found | 2 | 3 s | asked twice, the registry has said no twice; tags are pushed before a release, not during it |
//! | config error | 1 | 10 s | the Secret may be made in a moment, by an operator or the same release; the kubelet asks again within seconds |
//! | container cannot be started | 2 | 1.5 s | a command that does not exist does not appear |
//! | crash loop, init container | 2 | 1.5 s | the first end may be a database that was not up yet; the second comes a second later with the same fault, and the kubelet now waits 10 s, so that the hold is always seen whole |
//! | quota, admission | 1 | 5 s | quota is counted anew while old pods go (the rollout itself makes room), policies change rarely |
//! | volume problem | 2 | 10 s | as for config; the kubelet tries again after 0.5 s, 1 s, 2 s, … |
//! | unschedulable | 1 | 30 s | the cluster autoscaler looks every 10 s and may bring a node of a pool that is empty; if it does, it says so, and the kind changes |
//! | evicted | 3 | 5 s | one pod may sit on a node in trouble; three do not |
//! | image unavailable | 3 | 120 s | registries and rate limits recover; nothing here is the version's fault |
//! | creation failing | 2 | 60 s | a webhook's own pods may be restarting |
//! | no room | 1 | 120 s | old pods go, other jobs end, autoscalers wake up |
//! | volume slow, scaling up, job failing, probe failing | never | | they explain, and the deadline decides. A probe that fails is what starting looks like; a job has its own `backoffLimit`, which somebody chose |
//!
//! Where another pod of the new version is ready, the node may be at fault and not the version: the hold is
//! [`Tolerance::peers_factor`] times as long.
//!
//! The machine is pure: it is told the time, and says when it has to be asked again. The time is monotonic, the caller's.

use std::collections::BTreeMap;
use std::time::Duration;

use super::symptom::{Symptom, SymptomKind};

/// How long a kind is tolerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit {
    /// How often it must have been reported.
    pub(crate) count: u32,
    /// How long it must then hold without a break.
    pub(crate) hold: Duration,
}

/// How much is tolerated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tolerance {
    /// All holds, in percent of the table's: 100 as it is, 300 three times as patient.
    pub(crate) percent: u32,
    /// How many times as long a symptom has to hold while another pod of the new version is ready.
    pub(crate) peers_factor: u32,
    /// Kinds that have a limit of one's own; `None` for never. The percentage is not applied to them.
    pub(crate) own: BTreeMap<SymptomKind, Option<Limit>>,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { percent: 100, peers_factor: 10, own: BTreeMap::new() }
    }
}

impl Tolerance {
    /// The limit of a symptom; `None` if it never is doom.
    #[must_use]
    pub(crate) fn limit(&self, symptom: &Symptom) -> Option<Limit> {
        let mut limit = match self.own.get(&symptom.kind) {
            Some(own) => (*own)?,
            None => {
                let (count, hold) = limit_of(symptom.kind)?;
                Limit { count, hold: hold.saturating_mul(self.percent) / 100 }
            }
        };
        if symptom.peers_ready {
            limit.hold = limit.hold.saturating_mul(self.peers_factor.max(1));
        }
        Some(limit)
    }
}

/// The table of the essay.
fn limit_of(kind: SymptomKind) -> Option<(u32, Duration)> {
    let (count, millis) = match kind {
        SymptomKind::ImageNotFound => (2, 3_000),
        SymptomKind::ConfigError => (1, 10_000),
        SymptomKind::RunContainerError | SymptomKind::CrashLoop | SymptomKind::InitContainerFailing => (2, 1_500),
        SymptomKind::QuotaExceeded | SymptomKind::AdmissionDenied => (1, 5_000),
        SymptomKind::VolumeProblem => (2, 10_000),
        SymptomKind::Unschedulable => (1, 30_000),
        SymptomKind::Evicted => (3, 5_000),
        SymptomKind::ImageUnavailable => (3, 120_000),
        SymptomKind::CreateFailing => (2, 60_000),
        SymptomKind::NoRoom => (1, 120_000),
        SymptomKind::VolumeSlow | SymptomKind::ScalingUp | SymptomKind::JobFailing | SymptomKind::ProbeFailing => {
            return None;
        }
    };
    Some((count, Duration::from_millis(millis)))
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Wait on.
    Wait {
        /// What is wrong meanwhile, the surest if several things are; `None` if nothing is.
        why: Option<String>,
    },
    /// Give up.
    Doomed {
        /// Why.
        sentence: String,
    },
}

/// A symptom that has been reported often enough.
#[derive(Debug, Clone, Copy)]
struct Held {
    since: Duration,
    hold: Duration,
}

/// Remembers since when symptoms hold.
#[derive(Debug, Clone)]
pub(crate) struct Doom {
    tolerance: Tolerance,
    held: BTreeMap<(SymptomKind, String), Held>,
}

impl Doom {
    /// A machine that has seen nothing.
    #[must_use]
    pub(crate) fn new(tolerance: Tolerance) -> Self {
        Self { tolerance, held: BTreeMap::new() }
    }

    /// What the symptoms that there are at this moment come to. They are all that there are: one that is not among them is over.
    pub(crate) fn judge(&mut self, at: Duration, symptoms: &[Symptom]) -> Verdict {
        let mut held = BTreeMap::new();
        let mut doomed: Option<&Symptom> = None;
        for symptom in symptoms {
            let Some(limit) = self.tolerance.limit(symptom).filter(|limit| symptom.count >= limit.count) else {
                continue;
            };
            let key = (symptom.kind, symptom.object.clone());
            let since = self.held.get(&key).map_or(at, |held| held.since);
            if at.saturating_sub(since) >= limit.hold && doomed.is_none_or(|other| symptom.kind < other.kind) {
                doomed = Some(symptom);
            }
            held.insert(key, Held { since, hold: limit.hold });
        }
        self.held = held;
        match doomed {
            Some(symptom) => Verdict::Doomed { sentence: symptom.sentence.clone() },
            None => {
                let surest = symptoms.iter().min_by(|a, b| (a.kind, &a.object).cmp(&(b.kind, &b.object)));
                Verdict::Wait { why: surest.map(|symptom| symptom.sentence.clone()) }
            }
        }
    }

    /// In how long it has to be asked again even if nothing happens; `None` if only something new can change its mind.
    #[must_use]
    pub(crate) fn next_look(&self, at: Duration) -> Option<Duration> {
        self.held.values().map(|held| held.since.saturating_add(held.hold).saturating_sub(at)).min()
    }
}
