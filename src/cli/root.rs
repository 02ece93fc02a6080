//! The command line as a whole.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use super::shell::Shell;
use super::{
    ack, apply, approve, arguments, completions, console, destroy, drift, error, exit_code, fmt, graph, history,
    import, init, migrate_task, output, plan, promote, release, resume, rollback, show, state, stats, validate, verify,
    version,
};
use crate::ops::{Failure, Workspace, workspace};
use crate::ports::env;

/// Plans, applies, migrates, verifies and rolls back environments.
#[derive(Debug, Parser)]
#[command(name = "gantry", version, about, disable_help_subcommand = true, max_term_width = 100)]
pub(super) struct Root {
    /// Run as if started in this directory
    #[arg(short = 'C', value_name = "DIR", global = true)]
    directory: Option<PathBuf>,
    /// No colour
    #[arg(long, global = true)]
    no_color: bool,
    /// Results and events as JSON, one object a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a small project that applies
    Init(init::Arguments),
    /// Check the configuration
    Validate(validate::Arguments),
    /// Bring files into the canonical format
    Fmt(fmt::Arguments),
    /// Show what an apply would do
    Plan(plan::Arguments),
    /// Carry out a plan
    Apply(apply::Arguments),
    /// Agree that a saved plan is carried out
    Approve(approve::Arguments),
    /// Take everything away
    Destroy(destroy::Arguments),
    /// Run all checks now and record their verdicts
    Verify(verify::Arguments),
    /// Go back to an earlier generation's configuration
    Rollback(rollback::Arguments),
    /// Go on with an interrupted run
    Resume(resume::Arguments),
    /// Move what one environment proved on to another
    Promote(promote::Arguments),
    /// Show releases, and lift the quarantine of one
    Release(release::Arguments),
    /// Compare what is there with what is recorded
    Drift(drift::Arguments),
    /// Acknowledge drift that is known, so that it is no alarm for a time
    Ack(ack::Arguments),
    /// List the generations
    History(history::Arguments),
    /// Show an environment, a generation or a plan file
    Show(show::Arguments),
    /// Count how deployments go: how often, how many fail, how long until service is restored
    Stats(stats::Arguments),
    /// Show outputs
    Output(output::Arguments),
    /// Evaluate expressions against an environment
    Console(console::Arguments),
    /// Show what depends on what
    Graph(graph::Arguments),
    /// Take on an object that stands in its target already
    Import(import::Arguments),
    /// Look into the ledger and put it right
    State(state::Arguments),
    /// Write a shell's completion script
    Completions(completions::Arguments),
    /// Show the version
    Version(version::Arguments),
}

/// What every command gets.
pub(super) struct Context {
    /// How it talks.
    pub(super) shell: Shell,
    /// Where it was started.
    pub(super) directory: PathBuf,
    /// The words of the command line, for the ledger and for whoever waits.
    pub(super) line: String,
}

impl Context {
    /// The environment that is meant.
    pub(super) fn workspace(&self, named: Option<&str>) -> crate::ops::Result<Workspace> {
        Workspace::locate(&self.directory, named)
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    let words = env::arguments();
    if let Some(code) = crate::ops::helper_process(&words) {
        return ExitCode::from(code);
    }
    if words.first().is_some_and(|word| word == migrate_task::NAME) {
        return ExitCode::from(migrate_task::run());
    }
    ExitCode::from(run_words(words))
}

fn run_words(words: Vec<String>) -> u8 {
    let words = arguments::with_two_dashes(words, &Root::command());
    let line = arguments::shown(&words);
    let root = match Root::try_parse_from(std::iter::once("gantry".to_owned()).chain(words)) {
        Ok(root) => root,
        Err(e) => {
            drop(e.print());
            // clap's own code for bad usage is 2, which means "there are differences" here.
            return if e.use_stderr() { exit_code::ERROR } else { exit_code::SUCCESS };
        }
    };
    let shell = Shell::new(root.json, root.no_color);
    log_to_stderr();
    let directory = match working_directory(root.directory) {
        Ok(directory) => directory,
        Err(failure) => return error::fail(shell, &failure),
    };
    let context = Context { shell, directory, line };
    match root.command {
        None => bare(&context),
        Some(command) => on_deep_stack(|| on_runtime(&context, command)),
    }
}

/// The stack of every thread that may plan or finish values. Evaluating the highest expression that the parser lets through
/// (2,000 operators in a chain, 7 KiB for each in a debug build) takes 15 MiB of it; pages that nobody touches cost nothing.
const STACK: usize = 64 << 20;

/// Runs a command on a thread whose stack does not depend on the shell's limits; on this one if none can be had.
fn on_deep_stack(run: impl FnOnce() -> u8 + Send) -> u8 {
    let slot = std::sync::Mutex::new(Some(run));
    let take = || {
        let run = slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        run.map_or(exit_code::ERROR, |run| run())
    };
    std::thread::scope(|scope| {
        match std::thread::Builder::new().name("main".into()).stack_size(STACK).spawn_scoped(scope, take) {
            Ok(handle) => handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => take(),
        }
    })
}

/// Where the command runs: there, after `-C`, for all names that it is given.
fn working_directory(wanted: Option<PathBuf>) -> crate::ops::Result<PathBuf> {
    if let Some(wanted) = wanted {
        env::set_current_dir(&wanted).map_err(|e| {
            let detail = format!("-C {}: this directory cannot be entered: {e}.", wanted.display());
            Failure::error("Invalid working directory", detail)
        })?;
    }
    env::current_dir().map_err(|e| {
        Failure::error("Invalid working directory", format!("The working directory cannot be found: {e}."))
            .hint("Change to a directory that exists.")
    })
}

/// `GANTRY_LOG=debug` shows what happens inside.
fn log_to_stderr() {
    let Some(filter) = env::var("GANTRY_LOG").filter(|f| !f.is_empty()) else { return };
    let filter = tracing_subscriber::EnvFilter::new(filter);
    let logging = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    drop(logging.try_init());
}

fn on_runtime(context: &Context, command: Command) -> u8 {
    match command {
        Command::Version(_) => return version::run(context),
        Command::Completions(a) => return completions::run(context, &a, &mut Root::command()),
        Command::Fmt(a) => return fmt::run(context, &a),
        _ => {}
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.worker_threads(2).thread_stack_size(STACK).enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            context.shell.err(&format!("Error: the runtime cannot be started: {e}\n"));
            return exit_code::ERROR;
        }
    };
    let code = runtime.block_on(async {
        match command {
            Command::Init(a) => init::run(context, &a).await,
            Command::Validate(a) => validate::run(context, &a).await,
            Command::Plan(a) => plan::run(context, a).await,
            Command::Apply(a) => apply::run(context, a).await,
            Command::Approve(a) => approve::run(context, a).await,
            Command::Destroy(a) => destroy::run(context, a).await,
            Command::Verify(a) => verify::run(context, a).await,
            Command::Rollback(a) => rollback::run(context, a).await,
            Command::Resume(a) => resume::run(context, a).await,
            Command::Promote(a) => promote::run(context, a).await,
            Command::Release(a) => release::run(context, a).await,
            Command::Drift(a) => drift::run(context, &a).await,
            Command::Ack(a) => ack::run(context, &a).await,
            Command::History(a) => history::run(context, &a).await,
            Command::Show(a) => show::run(context, a).await,
            Command::Stats(a) => stats::run(context, &a).await,
            Command::Output(a) => output::run(context, &a).await,
            Command::Console(a) => console::run(context, &a).await,
            Command::Graph(a) => graph::run(context, &a),
            Command::State(a) => state::run(context, a).await,
            Command::Import(a) => import::run(context, a).await,
            Command::Completions(_) | Command::Fmt(_) | Command::Version(_) => exit_code::SUCCESS,
        }
    });
    // Nothing that still waits (a probe that was given up) holds the command back.
    runtime.shutdown_background();
    code
}

/// Bare `gantry` lists what there is and the next command to run.
fn bare(context: &Context) -> u8 {
    let mut text = String::new();
    match workspace::project_of(&context.directory) {
        Some(project) => {
            let all = workspace::environments(&project);
            text.push_str(&format!("Project {}\n\nEnvironments:\n", project.display()));
            for name in &all {
                let applied = crate::ports::fs::kind(&project.join("state").join(name).join("marker.json")).is_some();
                text.push_str(&format!("  {name}{}\n", if applied { "" } else { "  (never applied)" }));
            }
            let next = all.first().map_or("init".to_owned(), |name| format!("plan {name}"));
            text.push_str(&format!("\nNext: gantry {next}\nAll commands: gantry --help\n"));
        }
        None => text.push_str("There is no project here: no directory from here upwards holds environments/.\n\nNext: gantry init\nAll commands: gantry --help\n"),
    }
    context.shell.out(&text);
    exit_code::SUCCESS
}
