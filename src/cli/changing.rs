//! What all commands have in common that change something: their flags, the plan's approval, the run's watcher, its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::agreeing::Agrees;
use super::exit_code;
use super::root::Context;
use super::shell::{Shell, now};
use crate::addr::{Address, NodeKind};
use crate::diag::{Diagnostic, SourceMap};
use crate::event::{RunEvent, Watcher};
use crate::ops::Agreement;
use crate::ops::Finished;
use crate::ops::LeaseRecord;
use crate::ops::Options;
use crate::ops::Override;
use crate::ops::RunKind;
use crate::ops::State;
use crate::ops::VarArg;
use crate::ops::apply::{Applied, Judge, Made, Wanted};
use crate::ops::run::{Changing, Ran};
use crate::ops::{Failure, Result};
use crate::view::{human, json, time};

/// Values for variables.
#[derive(Debug, Args)]
pub(super) struct Variables {
    /// A variable's value; may be given several times
    #[arg(long = "var", value_name = "NAME=VALUE")]
    var: Vec<String>,
    /// A file of variable values; may be given several times
    #[arg(long, value_name = "FILE")]
    var_file: Vec<PathBuf>,
}

impl Variables {
    /// The values, files first. (clap loses which of the two kinds came first; Terraform's order matters only where a file
    /// overrides a value of the same command line.)
    pub(super) fn given(&self) -> Result<Vec<VarArg>> {
        let mut all: Vec<VarArg> = self.var_file.iter().cloned().map(VarArg::File).collect();
        for text in &self.var {
            let Some((name, value)) = text.split_once('=') else {
                return Err(Failure::error(
                    "Invalid --var",
                    format!("--var takes NAME=VALUE, but \"{text}\" has no equals sign."),
                ));
            };
            all.push(VarArg::Value { name: name.trim().to_owned(), text: value.to_owned() });
        }
        Ok(all)
    }
}

/// What a plan is limited to, and how it looks at the world.
#[derive(Debug, Args)]
pub(super) struct Limits {
    /// Plan only this node and what it needs; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    target: Vec<String>,
    /// Replace this node even if nothing asks for it; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    replace: Vec<String>,
    /// Look at what is recorded, not only at the records
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    refresh: bool,
    /// Fail with 6 where a target could not be asked what it would make of a change
    #[arg(long)]
    require_preview: bool,
}

/// Whether records follow what is there, and nothing else happens.
#[derive(Debug, Args)]
pub(super) struct RefreshOnly {
    /// Only update the recorded state to what is there now; change no object
    #[arg(long, conflicts_with_all = ["replace"])]
    refresh_only: bool,
}

impl RefreshOnly {
    /// As options of a plan.
    pub(super) fn of(&self, options: Options) -> Result<Options> {
        match self.refresh_only {
            false => Ok(options),
            true if !options.refresh => {
                let detail = "--refresh-only records what a look finds, and --refresh=false takes no look.";
                Err(Failure::error("Incompatible options", detail).hint("Leave one of them out."))
            }
            true => Ok(Options { kind: RunKind::Refresh, refresh_only: true, ..options }),
        }
    }

    /// Whether it was asked for.
    pub(super) fn is_asked(&self) -> bool {
        self.refresh_only
    }
}

impl Limits {
    /// As options of a plan.
    pub(super) fn options(&self, kind: RunKind) -> Result<Options> {
        Ok(Options {
            kind,
            targets: addresses("--target", &self.target)?,
            replace: addresses("--replace", &self.replace)?,
            refresh: self.refresh,
            require_preview: self.require_preview,
            ..Options::default()
        })
    }
}

fn addresses(option: &str, texts: &[String]) -> Result<Vec<Address>> {
    let parse = |text: &String| {
        text.parse().map_err(|e| {
            Failure::error("Invalid address", format!("{option}: {e}."))
                .hint("Addresses look like local_service.shop or module.shop.local_file.config[\"a\"].")
        })
    };
    texts.iter().map(parse).collect()
}

/// Artifacts that a person names against what was promoted.
#[derive(Debug, Args)]
pub(super) struct Artifacts {
    /// Take this image or file for an artifact instead of what was promoted, until the next promotion; may be given several times
    #[arg(long, value_name = "NAME=REFERENCE")]
    artifact: Vec<String>,
    /// Why an artifact is named; it is recorded
    #[arg(long, value_name = "TEXT", requires = "artifact")]
    reason: Option<String>,
}

impl Artifacts {
    /// As options of a plan.
    pub(super) fn named(&self) -> Result<BTreeMap<Address, Override>> {
        let invalid = |detail: String| Failure::error("Invalid --artifact", detail);
        let mut all = BTreeMap::new();
        for text in &self.artifact {
            let Some((name, reference)) = text.split_once('=').filter(|(_, reference)| !reference.trim().is_empty())
            else {
                return Err(invalid(format!("--artifact takes NAME=REFERENCE, but \"{text}\" is not that.")));
            };
            let name = name.trim();
            let address = if name.contains('.') { name.to_owned() } else { format!("artifact.{name}") };
            let address: Address = address.parse().map_err(|e| invalid(format!("--artifact {name}: {e}.")))?;
            if address.kind != NodeKind::Artifact {
                return Err(invalid(format!("--artifact names an artifact, and {address} is none.")));
            }
            let reason = self.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
            let reason = reason.ok_or_else(|| {
                let detail = "An artifact that is named by hand was proven nowhere, so it is recorded why it is.";
                Failure::refused("Reason missing", detail).hint("Say it: --reason \"…\"")
            })?;
            let (reference, reason) = (reference.trim().to_owned(), reason.to_owned());
            all.insert(address, Override { reference, reason });
        }
        Ok(all)
    }
}

/// How a change is carried out.
#[derive(Debug, Args)]
pub(super) struct Carrying {
    /// Do not ask
    #[arg(long)]
    pub(super) auto_approve: bool,
    /// How many remote calls at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    parallelism: usize,
    /// How long to wait for another command, as in 30s
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    lock_timeout: String,
    /// Destroy or lose data in a protected environment
    #[arg(long)]
    pub(super) allow_destroy: bool,
    /// The directory that commands and files of a saved plan act in
    #[arg(long, value_name = "DIR")]
    pub(super) project: Option<PathBuf>,
    #[command(flatten)]
    pub(super) agrees: Agrees,
}

impl Carrying {
    /// For a command that only may have to wait.
    pub(super) fn only_waiting(lock_timeout: &str) -> Self {
        Self {
            auto_approve: false,
            parallelism: 1,
            lock_timeout: lock_timeout.to_owned(),
            allow_destroy: false,
            project: None,
            agrees: Agrees::default(),
        }
    }

    /// As the use cases want it, with the watcher that the shell calls for.
    pub(super) fn changing(&self, context: &Context, watcher: &Arc<RunView>) -> Result<Changing> {
        let lock_timeout: Duration = crate::ops::parse_duration(&self.lock_timeout).map_err(|why| {
            Failure::error("Invalid --lock-timeout", format!("--lock-timeout takes a duration: {why}."))
        })?;
        if self.parallelism == 0 {
            return Err(Failure::error("Invalid --parallelism", "--parallelism is at least 1."));
        }
        Ok(Changing {
            command: context.line.clone(),
            lock_timeout,
            parallelism: self.parallelism,
            watcher: Arc::clone(watcher) as Arc<dyn Watcher>,
            interrupts: interrupts(),
            project: self.project.clone(),
        })
    }
}

/// Counts SIGINT, SIGTERM and SIGHUP. Whoever takes notice of them says so.
pub(super) fn interrupts() -> tokio::sync::watch::Receiver<u8> {
    let (tell, told) = tokio::sync::watch::channel(0_u8);
    tokio::spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
        else {
            return;
        };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            tell.send_modify(|n| *n = n.saturating_add(1));
        }
    });
    told
}

/// Whoever shows a run.
pub(super) enum RunView {
    /// To a person.
    Human(human::HumanRun),
    /// To a program.
    Json(json::Stream),
}

impl RunView {
    /// As the shell calls for.
    pub(super) fn of(shell: Shell) -> Arc<Self> {
        Arc::new(if let Some(stream) = shell.stream() {
            Self::Json(stream)
        } else if shell.is_live() {
            Self::Human(human::HumanRun::live(shell.err_style(), now()))
        } else {
            Self::Human(human::HumanRun::lines(Box::new(std::io::stderr()), shell.err_style(), now()))
        })
    }

    /// Where events go that a program reads, if one does.
    pub(super) fn stream(&self) -> Option<&json::Stream> {
        match self {
            Self::Json(stream) => Some(stream),
            Self::Human(_) => None,
        }
    }
}

impl Watcher for RunView {
    fn event(&self, event: RunEvent) {
        match self {
            Self::Human(view) => view.event(event),
            Self::Json(view) => view.event(event),
        }
    }
}

/// Asks the person at the terminal, or goes by the flags.
pub(super) struct Asking {
    shell: Shell,
    auto_approve: bool,
    question: String,
    view: Arc<RunView>,
    interrupts: tokio::sync::watch::Receiver<u8>,
}

impl Asking {
    /// For a command that would do `what`.
    pub(super) fn new(shell: Shell, auto_approve: bool, what: &str, view: &Arc<RunView>, how: &Changing) -> Self {
        let interrupts = how.interrupts.clone();
        Self { shell, auto_approve, question: what.to_owned(), view: Arc::clone(view), interrupts }
    }
}

impl Judge for Asking {
    fn approve(&mut self, made: &Made) -> Result<bool> {
        warned(self.shell, made);
        shown(self.shell, self.view.stream(), made);
        if self.auto_approve {
            return Ok(true);
        }
        if !self.shell.can_ask() {
            let detail = "There is no terminal to ask at, and --auto-approve was not given.";
            return Err(Failure::refused("Not approved", detail)
                .hint("Look at the plan with gantry plan, then run this again with --auto-approve, or save the plan with --out and apply that."));
        }
        let question = format!(
            "\n{}\n  Gantry will do what is shown above.\n  Only \"yes\" is taken for a yes.\n\n  Enter a value: ",
            self.question
        );
        self.shell.ask(&question, &|| *self.interrupts.borrow() > 0).ok_or_else(|| {
            Failure::error("Interrupted", "The question was interrupted before it was answered; nothing was changed.")
        })
    }

    fn agreed(&mut self, agreement: &Agreement) {
        match &*self.view {
            RunView::Json(stream) => stream.agreement(agreement),
            RunView::Human(_) => self.shell.err(&human::agreed(agreement)),
        }
    }

    fn waiting(&mut self, holder: &LeaseRecord) {
        self.shell.err(&format!("Waiting for {}\n", crate::diag::escape_controls(&holder.to_string())));
    }

    fn found_interrupted(&mut self, state: &State, goes_on: bool) {
        let Some(open) = &state.open else { return };
        let what = match (&open.unwinding, goes_on) {
            (Some(_), _) => "It was going back; that goes on.",
            (None, true) => "It goes on where it stopped.",
            (None, false) => {
                "The configuration asks for something else now, so it is ended as held, and planning starts anew."
            }
        };
        self.shell.err(&format!(
            "{} of {} (begun {}) was interrupted. {what}\n",
            crate::diag::escape_controls(&open.run),
            crate::diag::escape_controls(&open.actor),
            time(&open.time),
        ));
    }

    fn ended_interrupted(&mut self, finished: &Finished) {
        self.shell
            .err(&format!("The interrupted run has ended: {}\n", crate::diag::escape_controls(&finished.sentence)));
    }
}

/// What is worth saying about a plan beside it.
pub(super) fn warned(shell: Shell, made: &Made) {
    shell.diagnostics(&made.warnings, &made.draft.desired.sources);
    shell.diagnostics(&made.plan.warnings, &made.draft.desired.sources);
}

/// Shows a plan that is not carried out now, and what to do with it where it was saved.
pub(super) fn planned(shell: Shell, stream: Option<&json::Stream>, made: &Made, out: Option<&Path>) {
    shown(shell, stream, made);
    match (stream, out) {
        (Some(stream), _) => drop(stream.finish()),
        (None, Some(path)) => shell.out(&next(made, path)),
        (None, None) => {}
    }
}

/// What to do with a plan that was saved.
fn next(made: &Made, path: &Path) -> String {
    let (path, name) = (path.display(), &made.plan.environment);
    let approve = match &made.agreement {
        Some(_) => format!("Have somebody else approve it:\n    gantry approve {path}\nThen carry it out with"),
        None => "Carry it out with".to_owned(),
    };
    format!("\nThe plan is in {path}. {approve}:\n    gantry apply {name} {path}\n")
}

fn shown(shell: Shell, stream: Option<&json::Stream>, made: &Made) {
    match stream {
        Some(stream) => {
            if let Some(difference) = &made.difference {
                stream.promotion(difference, &made.plan.environment);
            }
            stream.plan(&made.plan);
            made.agreement.iter().for_each(|agreement| stream.agreement(agreement));
        }
        None => {
            if let Some(difference) = &made.difference {
                shell.out(&human::promotion(difference, &made.plan.environment, shell.out_style()));
            }
            shell.out(&human::plan(&made.plan, &made.state.checks, shell.out_style()));
            if let Some(agreement) = &made.agreement {
                shell.out(&human::agreement(agreement, shell.out_style()));
            }
        }
    }
}

/// Shows what an apply came to and gives the exit code.
pub(super) fn ended(context: &Context, environment: &str, view: &RunView, applied: Applied) -> u8 {
    let shell = context.shell;
    match applied {
        Applied::Nothing(made) => {
            warned(shell, &made);
            match view {
                RunView::Json(stream) => {
                    stream.plan(&made.plan);
                    stream.finish();
                }
                RunView::Human(_) => shell.out(&human::plan(&made.plan, &made.state.checks, shell.out_style())),
            }
            exit_code::SUCCESS
        }
        Applied::Already(generation) => {
            match view {
                RunView::Json(stream) => {
                    stream.already(generation);
                    stream.finish();
                }
                RunView::Human(_) => {
                    shell.out(&format!("This plan was applied already, as generation {generation}. Nothing to do.\n"));
                }
            }
            exit_code::SUCCESS
        }
        Applied::Declined => {
            shell.err("Not approved; nothing was changed.\n");
            exit_code::REFUSED
        }
        Applied::Ran(ran) => run_ended(context, environment, view, &ran),
    }
}

/// Shows how a run ended and gives the exit code.
pub(super) fn run_ended(context: &Context, environment: &str, view: &RunView, ran: &Ran) -> u8 {
    let shell = context.shell;
    let code = exit_code::of_run(ran.plan.kind, &ran.finished.ending);
    let outputs = &ran.finished.state.outputs;
    match view {
        RunView::Json(stream) => {
            if ran.verified() {
                stream.outputs(outputs);
            }
            if let Some(why) = ran.left() {
                let unfinished = Diagnostic::error("Run not finished", why);
                stream.diagnostic(&unfinished, &SourceMap::default());
            }
            stream.summary(ran.plan.kind);
            stream.finish();
        }
        RunView::Human(view) => {
            let mut tally = view.finish();
            // A run that was left has no end in the ledger, but a reason.
            tally.outcome.get_or_insert_with(|| (String::new(), ran.finished.sentence.clone()));
            shell.out(&human::summary(ran.plan.kind, environment, &tally, shell.out_style()));
            if ran.verified() && !outputs.is_empty() && ran.plan.kind != RunKind::Destroy {
                shell.out(&format!("\nOutputs:\n\n{}", human::outputs(outputs)));
            }
        }
    }
    code
}

/// What a changing command is asked for with.
pub(super) fn wanted(variables: &Variables, options: Options, allow_destroy: bool) -> Result<Wanted> {
    Ok(Wanted { variables: variables.given()?, options, allow_destroy, ..Wanted::default() })
}
