//! Asking again until it is clear: the loop around a probe.

use std::time::Duration;

use super::expect;
use super::spec::{Attempt, Context, Judge, Probe, Verdict};
use super::{command, grpc, http, tcp};
use crate::ports::clock::Clock;

/// How much of a body or an output an attempt keeps, in bytes.
pub const MAX_EXCERPT: usize = 4096;

/// How much of a sentence is kept, in characters.
const MAX_SENTENCE: usize = 1000;

/// How many of the first attempts a verdict keeps.
const KEEP_FIRST: usize = 4;

/// How many of the last attempts a verdict keeps.
const KEEP_LAST: usize = 16;

/// The shortest pause between two attempts, whatever the configuration says: a check is no load test.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// What a kind of probe saw, before secrets are hidden and lengths bounded.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) ok: bool,
    pub(crate) sentence: String,
    pub(crate) status: Option<i32>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) stderr: Option<String>,
    /// Whether it was given up because its time was over.
    pub(crate) timed_out: bool,
}

impl Seen {
    pub(crate) fn failed(sentence: String) -> Self {
        Self { ok: false, sentence, status: None, headers: Vec::new(), body: None, stderr: None, timed_out: false }
    }

    pub(crate) fn passed(sentence: String) -> Self {
        Self { ok: true, ..Self::failed(sentence) }
    }
}

impl Probe {
    /// What can be told to be wrong with a probe without asking anybody, one sentence each.
    #[must_use]
    pub fn check(&self) -> Vec<String> {
        match self {
            Self::Http(probe) => http::check(probe),
            Self::Tcp { address } => tcp::check(address).into_iter().collect(),
            Self::Grpc { address, .. } => grpc::check(address).into_iter().collect(),
            Self::Command(probe) => command::check(probe),
        }
    }

    fn subject(&self) -> String {
        match self {
            Self::Http(probe) => http::subject(probe),
            Self::Tcp { address } => address.clone(),
            Self::Grpc { address, service } => grpc::subject(address, service),
            Self::Command(probe) => command::subject(probe),
        }
    }
}

/// Asks once, for at most `limit`. `at_offset` is noted in the attempt.
pub async fn attempt(
    probe: &Probe,
    context: &Context,
    limit: Duration,
    clock: &dyn Clock,
    at_offset: Duration,
) -> Attempt {
    attempt_within(probe, context, limit, clock, at_offset).await.0
}

/// As [`attempt`], and whether it was given up because its time was over.
async fn attempt_within(
    probe: &Probe,
    context: &Context,
    limit: Duration,
    clock: &dyn Clock,
    at_offset: Duration,
) -> (Attempt, bool) {
    let start = clock.elapsed();
    let asking = async {
        match probe {
            Probe::Http(probe) => http::attempt(probe, context).await,
            Probe::Tcp { address } => tcp::attempt(address).await,
            Probe::Grpc { address, service } => grpc::attempt(address, service, context).await,
            // A command is stopped by what runs it, so that what it wrote is not lost.
            Probe::Command(probe) => return command::attempt(probe, context, limit).await,
        }
    };
    let seen = if matches!(probe, Probe::Command(_)) {
        asking.await
    } else {
        let answered = tokio::time::timeout(limit, asking).await;
        answered.unwrap_or_else(|_| {
            let sentence = format!("{} gave no answer within {}", probe.subject(), expect::time(limit));
            Seen { timed_out: true, ..Seen::failed(sentence) }
        })
    };
    let secrets = &context.secrets;
    let hide = |text: &str| secrets.hide(text);
    let made = Attempt {
        at_offset,
        latency: clock.elapsed().saturating_sub(start),
        ok: seen.ok,
        sentence: hide(&seen.sentence).chars().take(MAX_SENTENCE).collect(),
        status: seen.status,
        headers: seen.headers.iter().map(|(name, value)| (name.clone(), hide(value))).collect(),
        // Of an answer the beginning tells, of a command's output the end.
        body: seen.body.map(|b| if matches!(probe, Probe::Command(_)) { end(&hide(&b)) } else { beginning(&hide(&b)) }),
        stderr: seen.stderr.map(|s| end(&hide(&s))),
    };
    (made, seen.timed_out)
}

fn beginning(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_EXCERPT)].to_owned()
}

fn end(text: &str) -> String {
    text[text.ceil_char_boundary(text.len().saturating_sub(MAX_EXCERPT))..].to_owned()
}

/// Asks until the verdict is clear, at the latest when the time is over. `on_attempt` hears of each attempt.
pub async fn judge(
    probe: &Probe,
    judge: &Judge,
    context: &Context,
    clock: &dyn Clock,
    on_attempt: &mut (dyn FnMut(&Attempt) + Send),
) -> Verdict {
    let start = clock.elapsed();
    tokio::time::sleep(judge.initial_delay).await;
    let deadline = clock.elapsed().saturating_add(judge.timeout);
    let mut tally = Tally { judge, attempts: Vec::new(), reason: None, count: 0, successes: 0, failures: 0 };
    loop {
        let now = clock.elapsed();
        let left = deadline.saturating_sub(now);
        if left.is_zero() && tally.count > 0 {
            return tally.verdict(false, Some(judge.timeout), now.saturating_sub(start));
        }
        let own = match probe {
            Probe::Command(command) => command.timeout.unwrap_or(judge.attempt_timeout),
            _ => judge.attempt_timeout,
        };
        let offset = now.saturating_sub(start);
        let (made, timed_out) = attempt_within(probe, context, own.min(left), clock, offset).await;
        on_attempt(&made);
        // An attempt that only the end of the whole cut short says nothing about who was asked: what was seen before counts.
        if timed_out && left < own && tally.count > 0 {
            return tally.verdict(false, Some(judge.timeout), clock.elapsed().saturating_sub(start));
        }
        if !made.ok {
            tally.reason = Some(made.sentence.clone());
        }
        let passed = tally.add(made);
        let after = clock.elapsed();
        if let Some(passed) = passed {
            return tally.verdict(passed, None, after.saturating_sub(start));
        }
        let interval = judge.interval.unwrap_or_default().max(SHORTEST_INTERVAL);
        let next = now.saturating_add(interval);
        tokio::time::sleep(next.min(deadline).saturating_sub(after)).await;
    }
}

/// The attempts so far.
struct Tally<'a> {
    judge: &'a Judge,
    attempts: Vec<Attempt>,
    /// Why it failed last.
    reason: Option<String>,
    count: u64,
    /// In a row.
    successes: u32,
    /// In a row.
    failures: u32,
}

impl Tally<'_> {
    /// Counts an attempt, and says the verdict if it is clear now.
    fn add(&mut self, attempt: Attempt) -> Option<bool> {
        (self.successes, self.failures) =
            if attempt.ok { (self.successes.saturating_add(1), 0) } else { (0, self.failures.saturating_add(1)) };
        self.count += 1;
        if self.attempts.len() == KEEP_FIRST + KEEP_LAST {
            self.attempts.remove(KEEP_FIRST);
        }
        self.attempts.push(attempt);
        let enough = self.judge.failure_threshold.is_some_and(|n| self.failures >= n.max(1));
        match () {
            () if self.successes >= self.judge.success_threshold.max(1) => Some(true),
            () if self.failures > 0 && (self.judge.interval.is_none() || enough) => Some(false),
            () => None,
        }
    }

    /// The verdict; `over` is the time that ran out, if it did.
    fn verdict(self, passed: bool, over: Option<Duration>, elapsed: Duration) -> Verdict {
        // What a person needs is why it failed last, even where the last attempt of all succeeded.
        let said = self.attempts.last().map(|a| a.sentence.as_str());
        let last = if passed { said } else { self.reason.as_deref().or(said) }.unwrap_or("it was never asked");
        let attempts = if self.count == 1 { "1 attempt".to_owned() } else { format!("{} attempts", self.count) };
        let in_a_row = self.judge.success_threshold.max(1);
        let sentence = match (passed, over) {
            (_, None) if self.count == 1 => last.to_owned(),
            (true, _) => format!("passed after {attempts} in {}: {last}", expect::time(elapsed)),
            (false, Some(over)) if in_a_row > 1 => format!(
                "did not pass {in_a_row} times in a row within {} ({attempts}), last: {last}",
                expect::time(over)
            ),
            (false, Some(over)) => format!("did not pass within {} ({attempts}), last: {last}", expect::time(over)),
            (false, None) => format!("failed after {attempts} in {}, last: {last}", expect::time(elapsed)),
        };
        Verdict { passed, sentence, count: self.count, elapsed, attempts: self.attempts }
    }
}
