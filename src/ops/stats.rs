//! `stats`: how deployments go, in the four figures of DORA, as far as the ledger knows them. `docs/stats.md` defines each.

use std::time::Duration;

use super::error::Result;
use super::records::Records;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::ledger::event::{RunKind, RunOutcome};
use crate::ledger::record::{Generation, Pin};

/// The longest time that is looked back.
pub const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// The figures of one environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// The environment.
    pub environment: String,
    /// How many deployments ended in the window.
    pub deployments: usize,
    /// How many of them ended verified.
    pub verified: usize,
    /// Verified deployments per day of the window.
    pub per_day: f64,
    /// How many deployments failed: not verified, or gone back from afterwards.
    pub failed: usize,
    /// Failed ones among all; `None` without deployments.
    pub failure_rate: Option<f64>,
    /// How long it took to restore service after each failed deployment that was restored, shortest first.
    pub restores: Vec<Duration>,
    /// How many failed deployments are not restored yet.
    pub unrestored: usize,
    /// How long after its commit each artifact was deployed and verified, where it carries the time of its commit, shortest first.
    pub lead_times: Vec<Duration>,
}

/// The middle one of some times in their order; of an even number the mean of the two in the middle.
#[must_use]
pub fn median(sorted: &[Duration]) -> Option<Duration> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2),
    }
}

/// The mean of some times.
#[must_use]
pub fn mean(all: &[Duration]) -> Option<Duration> {
    let count = u32::try_from(all.len()).ok().filter(|n| *n > 0)?;
    Some(all.iter().sum::<Duration>() / count)
}

/// The figures of an environment for the time from `now - since` to `now`.
///
/// # Errors
/// When its ledger cannot be found or read.
pub async fn stats(
    workspace: &Workspace,
    variables: &[VarArg],
    now: jiff::Timestamp,
    since: Duration,
) -> Result<Stats> {
    let records = Records::read(workspace, variables).await?;
    Ok(figures(&workspace.name, &records.state.generations, now, since))
}

fn time(text: &str) -> Option<jiff::Timestamp> {
    text.parse().ok()
}

fn ended(generation: &Generation) -> Option<jiff::Timestamp> {
    time(generation.finished.as_deref()?)
}

fn between(from: Option<jiff::Timestamp>, to: Option<jiff::Timestamp>) -> Option<Duration> {
    Duration::try_from(to?.duration_since(from?)).ok()
}

/// How long after their commits the artifacts came that a generation brought: those that the verified one before it did not have.
fn lead_times(one: &Generation, before: &[Generation]) -> Vec<Duration> {
    let last = before.iter().rev().find(|g| g.outcome == Some(RunOutcome::Verified));
    let had = |address, pin: &Pin| last.and_then(|g| g.pins.get(address)).is_some_and(|old| old.digest == pin.digest);
    let new = one.pins.iter().filter(|(address, pin)| !had(*address, pin));
    new.filter_map(|(_, pin)| between(time(pin.committed.as_deref()?), ended(one))).collect()
}

/// The figures over all generations of an environment, oldest first.
fn figures(environment: &str, all: &[Generation], now: jiff::Timestamp, since: Duration) -> Stats {
    let is_deployment = |g: &Generation| matches!(g.kind, RunKind::Apply | RunKind::Promote);
    let within = |g: &Generation| {
        ended(g).is_some_and(|at| at <= now && Duration::try_from(now.duration_since(at)).is_ok_and(|age| age <= since))
    };
    let verified = |g: &&Generation| g.outcome == Some(RunOutcome::Verified);
    let mut stats = Stats {
        environment: environment.to_owned(),
        deployments: 0,
        verified: 0,
        per_day: 0.0,
        failed: 0,
        failure_rate: None,
        restores: Vec::new(),
        unrestored: 0,
        lead_times: Vec::new(),
    };
    for (n, one) in all.iter().enumerate().filter(|(_, g)| is_deployment(g) && within(g)) {
        stats.deployments += 1;
        let later = &all[n + 1..];
        // Outer `None`: it did not fail. Inner `None`: it is not restored yet.
        let restored = match one.outcome {
            Some(RunOutcome::Verified) => {
                stats.verified += 1;
                stats.lead_times.extend(lead_times(one, &all[..n]));
                let next = later.iter().find(verified);
                next.filter(|g| g.kind == RunKind::Rollback).map(|back| between(ended(one), ended(back)))
            }
            Some(RunOutcome::RolledBack) => Some(between(time(&one.started), ended(one))),
            _ => Some(later.iter().find(verified).and_then(|next| between(time(&one.started), ended(next)))),
        };
        match restored {
            None => continue,
            Some(Some(took)) => stats.restores.push(took),
            Some(None) => stats.unrestored += 1,
        }
        stats.failed += 1;
    }
    stats.restores.sort();
    stats.lead_times.sort();
    let count = |n: usize| u32::try_from(n).map_or(f64::MAX, f64::from);
    stats.per_day = count(stats.verified) / (since.as_secs_f64() / 86_400.0);
    if stats.deployments > 0 {
        stats.failure_rate = Some(count(stats.failed) / count(stats.deployments));
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    /// A generation that started on a day of November at noon and took so many minutes.
    fn run(number: u64, kind: RunKind, outcome: Option<RunOutcome>, day: u32, minutes: u32) -> Generation {
        let json = serde_json::json!({
            "number": number, "run": format!("run-{number}"), "kind": kind, "base": null, "outcome": outcome, "sentence": "",
            "inputs": "", "asked": "", "effect": "", "plan": null, "partial": false,
            "started": format!("2026-11-{day:02}T12:00:00Z"),
            "finished": outcome.map(|_| format!("2026-11-{day:02}T12:{minutes:02}:00Z")),
            "actor": "me", "pins": {}, "outputs": {}, "checks": [], "migrations": {}, "failures": [],
        });
        serde_json::from_value(json).unwrap()
    }

    fn of(all: &[Generation], days: u64) -> Stats {
        figures("test", all, "2026-11-21T12:00:00Z".parse().unwrap(), Duration::from_secs(days * DAY))
    }

    #[test]
    fn without_deployments_there_are_no_rates() {
        let stats = of(&[], 30);
        assert_eq!(
            (stats.deployments, stats.failure_rate, median(&stats.restores), mean(&stats.restores)),
            (0, None, None, None)
        );
        let only = [run(1, RunKind::Destroy, Some(RunOutcome::Verified), 3, 1), run(2, RunKind::Apply, None, 4, 1)];
        assert_eq!(of(&only, 30).deployments, 0, "neither a destroy nor what has not ended is a deployment");
    }

    #[test]
    fn lead_time_counts_from_the_commit_to_the_end_of_the_deployment_that_brought_it() {
        let with = |mut one: Generation, digest: &str, committed: Option<&str>| {
            let pin = serde_json::json!({
                "kind": "file", "digest": digest, "source": "x", "tag": null, "size": 1, "committed": committed,
            });
            one.pins.insert("artifact.x".parse().unwrap(), serde_json::from_value(pin).unwrap());
            one
        };
        let verified = |n, day| run(n, RunKind::Apply, Some(RunOutcome::Verified), day, 30);
        let all = [
            with(verified(1, 1), "one", Some("2026-11-01T10:30:00Z")),
            // The same again is nothing new, and what carries no time, or one that is still to come, counts as nothing.
            with(verified(2, 2), "one", Some("2026-11-01T10:30:00Z")),
            with(verified(3, 3), "two", None),
            with(verified(4, 4), "three", Some("2026-11-04T13:30:00Z")),
            with(verified(5, 5), "four", Some("2026-11-05T13:29:00+01:00")),
        ];
        let minutes: Vec<u64> = of(&all, 30).lead_times.iter().map(|d| d.as_secs() / 60).collect();
        assert_eq!(minutes, [1, 120]);
    }

    #[test]
    fn each_figure_is_what_the_page_says() {
        use RunKind::{Apply, Rollback};
        use RunOutcome::{Held, RolledBack, Verified};
        let all = [
            run(1, Apply, Some(Verified), 1, 2),
            // Failed by itself, and was back after four minutes.
            run(2, Apply, Some(RolledBack), 2, 4),
            // Verified, and gone back from a day and three minutes after it had ended.
            run(3, Apply, Some(Verified), 3, 2),
            run(4, Rollback, Some(Verified), 4, 5),
            // Held, and served again when the next run ended.
            run(5, Apply, Some(Held), 5, 1),
            run(6, Apply, Some(Verified), 5, 30),
            // Held, and nothing since.
            run(7, Apply, Some(Held), 6, 1),
        ];
        let stats = of(&all, 30);
        assert_eq!((stats.deployments, stats.verified, stats.failed, stats.unrestored), (6, 3, 4, 1));
        assert!((stats.per_day - 0.1).abs() < 1e-9 && (stats.failure_rate.unwrap() - 4.0 / 6.0).abs() < 1e-9);
        let minutes: Vec<u64> = stats.restores.iter().map(|d| d.as_secs() / 60).collect();
        assert_eq!(minutes, [4, 30, 24 * 60 + 3]);
        assert_eq!(median(&stats.restores), Some(Duration::from_secs(30 * 60)));
        assert_eq!(mean(&stats.restores), Some(Duration::from_secs((4 + 30 + 1443) * 20)));
        // The window is by the end of the deployment.
        let stats = of(&all, 17);
        assert_eq!((stats.deployments, stats.verified, stats.failed), (3, 1, 2));
    }
}
