//! Live progress on a terminal: a spinner for each running step, finished lines above them.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::run::{describe, doing};
use crate::event::RunEvent;
use crate::view::Style;
use crate::view::words::{clean, count, sentence};

/// How many running steps have a spinner: more would push everything else off a small terminal.
const SPINNERS_MAX: usize = 12;
/// How often spinners turn: often enough to see life, seldom enough to cost nothing.
const TICK: Duration = Duration::from_millis(120);

/// The terminal's picture of a run.
pub(super) struct Live {
    screen: MultiProgress,
    spinner: ProgressStyle,
    style: Style,
    running: BTreeMap<String, Running>,
    footer: Option<ProgressBar>,
    steps: usize,
    done: usize,
}

struct Running {
    lead: String,
    bar: Option<ProgressBar>,
}

impl Live {
    pub(super) fn new(target: ProgressDrawTarget, style: Style) -> Self {
        let screen = MultiProgress::with_draw_target(target);
        let spinner = ProgressStyle::with_template("  {spinner} {elapsed:>4} {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        Self { screen, spinner, style, running: BTreeMap::new(), footer: None, steps: 0, done: 0 }
    }

    /// Shows what happened since the last time.
    pub(super) fn write(&mut self, events: impl Iterator<Item = RunEvent>, note: &str) {
        let mut lines = note.to_owned();
        for event in events {
            if let Some(line) = describe(&event, self.style, false) {
                lines.push_str(&line);
                lines.push('\n');
            }
            self.take(&event);
        }
        if !lines.is_empty() {
            // A terminal that cannot be written to any more must not stop the run.
            let _ = self.screen.println(lines.trim_end_matches('\n'));
        }
        self.refresh();
    }

    fn take(&mut self, event: &RunEvent) {
        match event {
            RunEvent::Started { steps, .. } => self.steps = *steps,
            RunEvent::Unwinding { steps, .. } => (self.steps, self.done) = (*steps, 0),
            RunEvent::StepStarted { step, address, action, .. } => {
                let lead = format!("{}: {}...", self.style.bold(&clean(&address.to_string())), doing(action));
                self.running.entry(step.clone()).or_insert(Running { lead, bar: None });
            }
            RunEvent::StepProgress { step, sentence: text, .. }
            | RunEvent::StepRetried { step, sentence: text, .. } => {
                self.say(step, text);
            }
            RunEvent::StepSucceeded { step, .. } => {
                self.done += 1;
                self.clear(step);
            }
            RunEvent::StepFailed { step, .. } => self.clear(step),
            RunEvent::Finished { .. } => {
                let steps: Vec<String> = self.running.keys().cloned().collect();
                steps.iter().for_each(|step| self.clear(step));
                self.steps = 0;
            }
            RunEvent::Warned { .. } => self.done += 1,
            RunEvent::Reconciled { .. }
            | RunEvent::Committed
            | RunEvent::Untold { .. }
            | RunEvent::Interrupted { .. } => {}
        }
    }

    fn say(&mut self, step: &str, text: &str) {
        if let Some(Running { lead, bar: Some(bar) }) = self.running.get(step) {
            bar.set_message(format!("{lead} {}", sentence(text)));
        }
    }

    fn clear(&mut self, step: &str) {
        if let Some(Running { bar: Some(bar), .. }) = self.running.remove(step) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
    }

    /// Gives free spinners to running steps without one, and counts in the last line.
    fn refresh(&mut self) {
        let with = self.running.values().filter(|r| r.bar.is_some()).count();
        let without = self.running.values_mut().filter(|r| r.bar.is_none());
        for running in without.take(SPINNERS_MAX.saturating_sub(with)) {
            let bar = ProgressBar::new_spinner().with_style(self.spinner.clone()).with_message(running.lead.clone());
            let bar = match &self.footer {
                Some(footer) => self.screen.insert_before(footer, bar),
                None => self.screen.add(bar),
            };
            bar.enable_steady_tick(TICK);
            running.bar = Some(bar);
        }
        if self.steps == 0 {
            if let Some(footer) = self.footer.take() {
                footer.finish_and_clear();
                self.screen.remove(&footer);
            }
            return;
        }
        let plain = || ProgressStyle::with_template("  {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let screen = &self.screen;
        let footer = self.footer.get_or_insert_with(|| screen.add(ProgressBar::new_spinner().with_style(plain())));
        let running = self.running.len();
        footer.set_message(format!(
            "{} of {} done, {running} running",
            self.done.min(self.steps),
            count(self.steps, "step")
        ));
        footer.tick();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.screen.clear();
    }
}
