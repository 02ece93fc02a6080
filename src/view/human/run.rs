//! A run while it goes on: lines with times where nobody watches, live progress on a terminal.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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
        | RunEvent::Warned { .. }
        | RunEvent::Committed
        | RunEvent::Unwinding { .. }
        | RunEvent::Interrupted { .. }
        | RunEvent::Untold { .. }
        | RunEvent::Finished { .. } => Weight::Must,
    }
}

fn dropped_line(dropped: u64) -> String {
    if dropped == 0 {
        return String::new();
    }
    format!("({} not shown, because the output is read too slowly)\n", count(dropped, "event"))
}

/// The action of waiting until an object does what it is there for.
const AWAIT: &str = "await";
/// What took no longer was not waited for.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A time to the second, as the ledger's times are shown.
fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What an event says, on one line; `None` for what is not worth one. `starts` are of interest where nothing else shows what
/// is running.
pub(super) fn describe(event: &RunEvent, style: Style, starts: bool) -> Option<String> {
    let say =
        |address: &crate::addr::Address, text: String| format!("{}: {text}", style.bold(&clean(&address.to_string())));
    // Steps that only hold others back, and the commit, which has an event of its own.
    let silent = |action: &str| matches!(action, "wait" | "commit");
    Some(match event {
        RunEvent::StepStarted { action, .. } | RunEvent::StepSucceeded { action, .. } if silent(action) => return None,
        // Waiting tells what it waits for; that most objects are ready at once is no news.
        RunEvent::StepStarted { action, .. } if action == AWAIT => return None,
        RunEvent::StepSucceeded { action, elapsed, .. } if action == AWAIT && *elapsed < AT_ONCE => return None,
        RunEvent::StepProgress { step, address, sentence: text, elapsed, .. } if starts && step.ends_with(AWAIT) => {
            say(address, format!("{} [{} elapsed]", sentence(text), duration(*elapsed)))
        }
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
            // A log gets a sign of life twice a minute; acts tell about once a second.
            if !starts || elapsed.as_secs() == 0 || elapsed.as_secs() % 30 != 0 {
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
        RunEvent::Warned { address, sentence: text } => {
            say(address, format!("{}: {}", style.paint(Ink::Yellow, "Warning, assertion failed"), sentence(text)))
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
        RunEvent::Untold { sentence: text } => {
            format!("{}: {}", style.paint(Ink::Yellow, "Not told yet"), sentence(text))
        }
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
        "retire" => "Retiring the version without traffic".into(),
        "read" => "Reading".into(),
        "pin" => "Pinning".into(),
        "migrate" => format!("Applying migration {rest}"),
        "revert" => format!("Taking migration {rest} back"),
        "prove" => "Proving".into(),
        "verify" => "Verifying".into(),
        "forget" => "Forgetting".into(),
        "record" => "Recording as found".into(),
        "move" => "Moving".into(),
        "import" => "Importing".into(),
        AWAIT => "Waiting until it is ready".into(),
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
        "retire" => "Version without traffic retired".into(),
        "read" => "Read complete".into(),
        "pin" => "Pinned".into(),
        "migrate" => format!("Migration {rest} applied"),
        "revert" => format!("Migration {rest} taken back"),
        "prove" => "Proved".into(),
        "verify" => "Verified".into(),
        "forget" => "Forgotten".into(),
        "record" => "Recorded as found".into(),
        "move" => "Moved".into(),
        "import" => "Import complete".into(),
        AWAIT => "Ready".into(),
        _ => format!("{} complete", clean(action)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::ledger::event::RunKind;
    use crate::view::human::summary;
    use crate::view::samples::{Buffer, a_failed_run, a_good_run, clock};

    fn lines(events: Vec<RunEvent>) -> (String, Tally) {
        let buffer = Buffer::default();
        let run = HumanRun::lines(Box::new(buffer.clone()), Style::Plain, clock());
        events.into_iter().for_each(|event| run.event(event));
        let tally = run.finish();
        (buffer.text(), tally)
    }

    #[test]
    fn a_line_an_event_with_its_time() {
        let mut events = a_good_run();
        // A log is told after half a minute what a terminal is told after a second.
        for event in &mut events {
            if let RunEvent::StepProgress { elapsed, .. } = event {
                *elapsed = Duration::from_secs(30);
            }
        }
        let (text, tally) = lines(events);
        assert_eq!(
            text,
            "\
2026-11-21T00:16:30Z Run run-3 starts, generation 3: 5 steps to do
2026-11-21T00:16:30Z local_file.a: Creating...
2026-11-21T00:16:30Z local_file.a: Creation complete after 3ms
2026-11-21T00:16:30Z migration.schema: Applying migration 3...
2026-11-21T00:16:30Z migration.schema: Migration 3 applied after 40ms
2026-11-21T00:16:30Z local_service.shop: Staging the new version...
2026-11-21T00:16:30Z local_service.shop: waiting for \\u{1b}[31mreadiness [30s elapsed]
2026-11-21T00:16:30Z local_service.shop: New version staged after 2.5s
2026-11-21T00:16:30Z health_check.shop: Proving... (attempt 2)
2026-11-21T00:16:30Z health_check.shop: Proved after 4ms (HTTP 200 in 3 ms)
2026-11-21T00:16:30Z local_service.shop: Traffic switched after 10ms
2026-11-21T00:16:30Z Committed: from here on the run only goes forward
2026-11-21T00:16:30Z Run ended after 12s: verified
"
        );
        assert_eq!(
            summary(RunKind::Apply, "local", &tally, Style::Plain),
            "Apply complete! Resources: 1 added, 1 changed, 0 destroyed.\n1 migration applied, 1 check passed; generation 3 is verified in 12s.\n"
        );
    }

    #[test]
    fn a_failure_is_shown_with_its_evidence_and_what_to_do() {
        let (text, tally) = lines(a_failed_run());
        assert!(
            text.contains("health_check.shop: prove failed after 5.0s: HTTP 500 where 200 was expected.\n"),
            "{text}"
        );
        assert!(text.contains("Going back (2 steps): health_check.shop failed.\n"), "{text}");
        let summary = summary(RunKind::Apply, "local", &tally, Style::Plain);
        let expected = "\
Failed: health_check.shop: prove
  HTTP 500 where 200 was expected.

  response body:
    no such table: notes\\u{1b}[2J

  last lines of the log:
    line 1
    line 2
    line 3
    line 4
    line 5
    line 6
    line 7
    line 8
    line 9
    line 10
    … (61 lines not shown)
    line 72
";
        assert!(summary.starts_with(expected), "{summary}");
        let end = "    line 100\n\nApply failed: local was taken back to where it was.\nhealth_check.shop failed in prove.\n\n\
                   What was seen is kept: gantry show local --generation 3\nPut the cause right, then: gantry apply local\n";
        assert!(summary.ends_with(end), "{summary}");
        assert_eq!((tally.added, tally.undone, tally.failed), (1, 1, 1));
    }

    #[test]
    fn every_end_says_what_to_do_next() {
        for (outcome, next) in
            [("held", "gantry apply prod"), ("stuck", "gantry show prod"), ("", "gantry resume prod")]
        {
            let mut tally = Tally::default();
            if !outcome.is_empty() {
                tally.outcome = Some((outcome.into(), "Why.".into()));
            }
            let text = summary(RunKind::Rollback, "prod", &tally, Style::Plain);
            assert!(text.contains(next) && text.starts_with("Rollback"), "{text}");
        }
        let done = Tally { outcome: Some(("verified".into(), String::new())), destroyed: 4, ..Tally::default() };
        let text = summary(RunKind::Destroy, "prod", &done, Style::Plain);
        assert!(text.starts_with("Destroy complete! Resources: 4 destroyed.\n"), "{text}");
    }

    /// A terminal that keeps what is written to it.
    #[derive(Debug, Default, Clone)]
    struct Terminal(Arc<Mutex<String>>);

    impl indicatif::TermLike for Terminal {
        fn width(&self) -> u16 {
            200
        }
        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn write_line(&self, s: &str) -> std::io::Result<()> {
            self.write_str(&format!("{s}\n"))
        }
        fn write_str(&self, s: &str) -> std::io::Result<()> {
            self.0.lock().unwrap().push_str(s);
            Ok(())
        }
        fn clear_line(&self) -> std::io::Result<()> {
            self.write_str("\n")
        }
        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_terminal_gets_every_finished_line_in_order() {
        let terminal = Terminal::default();
        let target = indicatif::ProgressDrawTarget::term_like_with_hz(Box::new(terminal.clone()), 255);
        let run = HumanRun::live_on(target, Style::Plain, clock());
        a_good_run().into_iter().for_each(|event| run.event(event));
        let tally = run.finish();
        assert_eq!(tally.elapsed, Duration::from_secs(12));
        drop(run);
        let text = terminal.0.lock().unwrap().clone();
        let wanted = [
            "Run run-3 starts, generation 3: 5 steps to do",
            "local_file.a: Creation complete after 3ms",
            "migration.schema: Migration 3 applied after 40ms",
            "local_service.shop: New version staged after 2.5s",
            "health_check.shop: Proved after 4ms (HTTP 200 in 3 ms)",
            "local_service.shop: Traffic switched after 10ms",
            "Run ended after 12s: verified",
        ];
        let mut rest = text.as_str();
        for line in wanted {
            let at = rest.find(line).unwrap_or_else(|| panic!("{line:?} is missing or out of order in {text}"));
            rest = &rest[at + line.len()..];
        }
    }

    #[test]
    fn a_reader_that_has_gone_does_not_stop_the_run() {
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let run = HumanRun::lines(Box::new(Broken), Style::Plain, clock());
        a_good_run().into_iter().for_each(|event| run.event(event));
        assert_eq!(run.finish().added, 1);
    }
}
