//! A run while it goes on: lines with times where nobody watches, live progress on a terminal.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::live::Live;
use super::summary::Tally;
use crate::event::{RunEvent, Watcher};
use crate::view::feed::{Feed, Weight};
use crate::view::words::{clean, count, duration, sentence};
use crate::view::{Ink, Now, Style};

/// Shows a run to people. What is shown is written by a thread of its own; [`HumanRun::finish`] waits for it, so that nothing
/// that is written after that call can stand before or inside what is shown here.
pub struct HumanRun {
    feed: Feed<(Timestamp, RunEvent)>,
    tally: Mutex<Tally>,
    now: Now,
}

impl HumanRun {
    /// One line an event, with its time: for logs and CI.
    #[must_use]
    pub fn lines(mut out: Box<dyn Write + Send>, style: Style, now: Now) -> Self {
        let mut broken = false;
        Self::with(now, move |batch, dropped| {
            let mut text = dropped_line(dropped);
            for (time, event) in batch {
                if let Some(line) = describe(&event, style, true) {
                    text.push_str(&format!("{} {line}\n", stamp(time)));
                }
            }
            // A reader that has gone must not stop the run: it is recorded, whether anybody reads along or not.
            broken = broken || out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err();
        })
    }

    /// Live progress on a terminal's standard error: a spinner for each running step, finished lines above.
    #[must_use]
    pub fn live(style: Style, now: Now) -> Self {
        Self::live_on(indicatif::ProgressDrawTarget::stderr(), style, now)
    }

    /// The same on another terminal.
    #[must_use]
    pub fn live_on(target: indicatif::ProgressDrawTarget, style: Style, now: Now) -> Self {
        let mut live = Live::new(target, style);
        Self::with(now, move |batch, dropped| {
            live.write(batch.into_iter().map(|(_, event)| event), &dropped_line(dropped));
        })
    }

    fn with(now: Now, write: impl FnMut(VecDeque<(Timestamp, RunEvent)>, u64) + Send + 'static) -> Self {
        Self { feed: Feed::new(write), tally: Mutex::default(), now }
    }

    /// Waits until everything is shown, and gives what the run did.
    #[must_use]
    pub fn finish(&self) -> Tally {
        self.feed.finish();
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Watcher for HumanRun {
    fn event(&self, event: RunEvent) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).count(&event);
        self.feed.push(weight(&event), ((self.now)(), event));
    }
}

/// What may be dropped of a run when nobody keeps up with it.
pub(in crate::view) fn weight(event: &RunEvent) -> Weight {
    match event {
        RunEvent::StepProgress { .. } => Weight::Progress,
        RunEvent::StepStarted { .. } | RunEvent::StepSucceeded { .. } | RunEvent::StepRetried { .. } => Weight::Usual,
        RunEvent::Started { .. }
        | RunEvent::StepFailed { .. }
        | RunEvent::Reconciled { .. }
        | RunEvent::Committed
        | RunEvent::Unwinding { .. }
        | RunEvent::Interrupted { .. }
        | RunEvent::Finished { .. } => Weight::Must,
    }
}

fn dropped_line(dropped: u64) -> String {
    if dropped == 0 {
        return String::new();
    }
    format!(
        "({} not shown, because the output is read too slowly)\n",
        count(usize::try_from(dropped).unwrap_or(usize::MAX), "event")
    )
}

/// A time to the second, as the ledger's times are shown.
fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What an event says, on one line; `None` for what is not worth one. `starts` are of interest where nothing else shows what
/// is running.
pub(super) fn describe(event: &RunEvent, style: Style, starts: bool) -> Option<String> {
    let say =
        |address: &crate::addr::Address, text: String| format!("{}: {text}", style.bold(&clean(&address.to_string())));
    Some(match event {
        RunEvent::Started { run, generation, steps, resumed } => {
            let what = if *resumed { "goes on" } else { "starts" };
            let makes = generation.map(|n| format!(", generation {n}")).unwrap_or_default();
            format!("Run {} {what}{makes}: {} to do", clean(run), count(*steps, "step"))
        }
        RunEvent::StepStarted { address, action, attempt, .. } if starts => {
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            say(address, format!("{}...{again}", doing(action)))
        }
        RunEvent::StepStarted { .. } => return None,
        RunEvent::StepProgress { address, sentence: text, elapsed, .. } => {
            if !starts {
                return None;
            }
            say(address, format!("{} [{} elapsed]", sentence(text), duration(*elapsed)))
        }
        RunEvent::StepSucceeded { address, action, sentence: text, elapsed, .. } => {
            let note = text.as_deref().map(|t| format!(" ({})", sentence(t).trim_end_matches('.'))).unwrap_or_default();
            let done = style.paint(Ink::Green, &done(action));
            say(address, format!("{done} after {}{note}", duration(*elapsed)))
        }
        RunEvent::StepFailed { address, action, sentence: text, elapsed, .. } => {
            let failed = style.paint(Ink::Red, &format!("{} failed", clean(action)));
            say(address, format!("{failed} after {}: {}", duration(*elapsed), sentence(text)))
        }
        RunEvent::StepRetried { address, sentence: text, wait, .. } => {
            let again = style.paint(Ink::Yellow, &format!("will try again in {}", duration(*wait)));
            say(address, format!("{again}: {}", sentence(text)))
        }
        RunEvent::Reconciled { address, sentence: text, .. } => {
            say(address, format!("after the crash: {}", sentence(text)))
        }
        RunEvent::Committed => "Committed: from here on the run only goes forward".to_owned(),
        RunEvent::Unwinding { sentence: text, steps } => {
            let line = format!("Going back ({}): {}", count(*steps, "step"), sentence(text));
            style.paint(Ink::Red, &line)
        }
        RunEvent::Interrupted { again: false } => {
            let line = "Interrupted: nothing new is started, what runs is let finish. Interrupt again to stop at once.";
            style.paint(Ink::Yellow, line)
        }
        RunEvent::Interrupted { again: true } => style.paint(Ink::Yellow, "Interrupted again: stopping at once."),
        RunEvent::Finished { outcome, elapsed, .. } => {
            format!("Run ended after {}: {}", duration(*elapsed), clean(outcome))
        }
    })
}

/// What is being done, as Terraform's users know it: `Creating`, `Applying migration 3`.
pub(in crate::view) fn doing(action: &str) -> String {
    let (word, rest) = action.split_once(' ').unwrap_or((action, ""));
    let rest = clean(rest);
    match word {
        "create" => "Creating".into(),
        "update" => "Modifying".into(),
        "delete" => "Destroying".into(),
        "stage" => "Staging the new version".into(),
        "switch" => "Switching traffic".into(),
        "retire" => "Retiring the old version".into(),
        "read" => "Reading".into(),
        "pin" => "Pinning".into(),
        "migrate" => format!("Applying migration {rest}"),
        "revert" => format!("Taking migration {rest} back"),
        "prove" => "Proving".into(),
        "verify" => "Verifying".into(),
        "forget" => "Forgetting".into(),
        "move" => "Moving".into(),
        _ => clean(action),
    }
}

/// What was done: `Creation complete`, `Migration 3 applied`.
pub(in crate::view) fn done(action: &str) -> String {
    let (word, rest) = action.split_once(' ').unwrap_or((action, ""));
    let rest = clean(rest);
    match word {
        "create" => "Creation complete".into(),
        "update" => "Modifications complete".into(),
        "delete" => "Destruction complete".into(),
        "stage" => "New version staged".into(),
        "switch" => "Traffic switched".into(),
        "retire" => "Old version retired".into(),
        "read" => "Read complete".into(),
        "pin" => "Pinned".into(),
        "migrate" => format!("Migration {rest} applied"),
        "revert" => format!("Migration {rest} taken back"),
        "prove" => "Proved".into(),
        "verify" => "Verified".into(),
        "forget" => "Forgotten".into(),
        "move" => "Moved".into(),
        _ => format!("{} complete", clean(action)),
    }
}
