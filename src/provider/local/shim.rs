//! How a command runs so that nobody's death loses its outcome.
//!
//! Gantry starts `gantry __command DIR`, the *shim*, which leaves the terminal's session, runs the command, and writes
//! output and exit status durably into DIR. `kill -9` of Gantry changes nothing for it. DIR is named by the act's identity:
//!
//! | file | what |
//! | --- | --- |
//! | `request.json` | what to run; gone when it has ended, for it may hold secrets |
//! | `claim` | who runs it, made with link(2): whoever makes it runs, every other shim ends at once |
//! | `stdout`, `stderr` | what it said, at most [`OUTPUT_MAX`] bytes each, as it comes |
//! | `exit.json` | how it ended: the last thing that is written |
//! | `object.json` | the object with its secrets in clear, for a later `destroy` |
//!
//! `claim` is also the fence: one who looks for an act and finds no claim makes one that is nobody's. A shim that was started just
//! before Gantry died and comes late then finds it taken. So "never started" stays true.
//!
//! The command itself ends with its shim (PDEATHSIG), so a claim whose owner is gone and no `exit.json` means: interrupted,
//! and not running any more. The claim pattern is the one of Chubby's and git's lock files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value as Json;

use super::words::sha256;
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::process::{self, Ended, Launch, ProcessId};
use crate::ports::{crash, fs, id};
use crate::provider::Context;

/// How many bytes of each output stream are kept: what a program may hand on as an attribute, and no log.
pub(super) const OUTPUT_MAX: usize = 1024 * 1024;
/// The largest of our own files here: output as JSON, base64 and all.
pub(super) const FILE_MAX: u64 = 8 * 1024 * 1024;
/// How often a shim is started for one act: a second time if a fenced one got in the way.
const STARTS: usize = 3;
/// For how many seconds directories that no object refers to are kept, for people: a day.
const KEEP_DISPOSABLE: i64 = 24 * 60 * 60;
/// How much longer than its own timeout a command is waited for: it is ended politely first.
const PATIENCE: Duration = Duration::from_secs(20);

/// What to run.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Request {
    pub(super) op: String,
    pub(super) address: String,
    pub(super) action: String,
    pub(super) launch_from: PathBuf,
    pub(super) argv: Vec<String>,
    pub(super) directory: PathBuf,
    pub(super) environment: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) object: Json,
}

/// How it ended.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Exit {
    pub(super) ended: Ended,
    /// Why it was not even started.
    pub(super) fault: Option<String>,
    /// How many bytes of standard output were dropped.
    pub(super) dropped: u64,
    /// The last bytes of both streams.
    pub(super) tail: Vec<u8>,
    /// Whether no object will refer to this directory.
    pub(super) disposable: bool,
    /// When, in seconds of the epoch.
    pub(super) at: i64,
    /// Standard output; in a file of its own.
    #[serde(skip)]
    pub(super) stdout: Vec<u8>,
}

/// What there is of a command.
pub(super) enum Standing {
    /// It was not started, and will not be.
    Never,
    /// It runs.
    Running,
    /// It has ended.
    Ended(Exit),
    /// It was started and is gone without having ended.
    Lost,
    /// The directory cannot be read.
    Unreadable(String),
}

/// Why there is no exit.
pub(super) enum NoAnswer {
    NotStarted(String),
    StillRunning,
    Lost(String),
}

/// The claim's content: who runs the command; nobody if it is a fence.
#[derive(serde::Serialize, serde::Deserialize)]
struct Claim {
    owner: Option<ProcessId>,
}

/// An act's directory.
pub(super) fn directory(context: &Context, op: &str) -> PathBuf {
    context.state.join("run").join("commands").join(&sha256(op.as_bytes())[..32])
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    match fs::read(path, FILE_MAX) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map(Some).map_err(|e| format!("{} is damaged: {e}.", path.display()))
        }
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(format!("Gantry {e}: {}.", e.source)),
    }
}

fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> fs::Result<()> {
    let bytes = serde_json::to_vec(value).expect("invariant: these types have string keys only");
    fs::write_atomic(path, &bytes, 0o600)
}

/// Makes the claim; `false` if there is one.
fn claim(directory: &Path, owner: Option<ProcessId>) -> fs::Result<bool> {
    let bytes = serde_json::to_vec(&Claim { owner }).expect("invariant: a claim is plain data");
    let temporary = directory.join(format!(".claim.{}", id::random_hex::<8>()));
    fs::write_new(&temporary, &bytes, 0o600)?;
    let made = fs::hard_link(&temporary, &directory.join("claim"));
    fs::remove_file(&temporary)?;
    match made {
        Ok(()) => fs::sync_dir(directory).map(|()| true),
        Err(e) if e.source.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

/// Takes away a claim whose owner is gone. One whose owner turns out to have come in between is put back.
fn unclaim(directory: &Path) -> fs::Result<()> {
    let (claim, aside) = (directory.join("claim"), directory.join(format!(".claim.{}", id::random_hex::<8>())));
    match fs::rename(&claim, &aside) {
        Err(e) if e.is_not_found() => return Ok(()),
        other => other?,
    }
    if let Ok(Some(Claim { owner: Some(owner) })) = read_json(&aside)
        && owner.is_alive()
    {
        return fs::rename(&aside, &claim);
    }
    fs::remove_file(&aside)
}

fn standing(directory: &Path) -> Standing {
    let look = || -> Result<Standing, String> {
        let claim: Option<Claim> = read_json(&directory.join("claim"))?;
        let alive = matches!(&claim, Some(Claim { owner: Some(owner) }) if owner.is_alive());
        // In this order: an owner that is gone by now has written its exit by now.
        if let Some(mut exit) = read_json::<Exit>(&directory.join("exit.json"))? {
            exit.stdout = fs::read(&directory.join("stdout"), FILE_MAX).unwrap_or_default();
            return Ok(Standing::Ended(exit));
        }
        Ok(match claim {
            _ if alive => Standing::Running,
            Some(Claim { owner: Some(_) }) => Standing::Lost,
            _ => Standing::Never,
        })
    };
    look().unwrap_or_else(Standing::Unreadable)
}

/// What became of a command; waits for one that runs, until `deadline` is over. Fences one that never started.
pub(super) async fn look(context: &Context, op: &str, deadline: Duration) -> Standing {
    let directory = directory(context, op);
    if fs::kind(&directory).is_none() {
        // Nobody ever wrote a request, so no shim was started.
        return Standing::Never;
    }
    if let Err(e) = claim(&directory, None) {
        return Standing::Unreadable(format!("Gantry {e}: {}.", e.source));
    }
    wait(&directory, deadline).await
}

async fn wait(directory: &Path, deadline: Duration) -> Standing {
    let clock = SystemClock;
    let start = clock.elapsed();
    let mut pause = Duration::from_millis(5);
    loop {
        match standing(directory) {
            Standing::Running if clock.elapsed().saturating_sub(start) < deadline => {}
            other => return other,
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Runs a command, or finds what became of it. `say` hears its last line about once a second.
pub(super) async fn run(
    context: &Context,
    request: &Request,
    deadline: Duration,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Exit, NoAnswer> {
    let directory = directory(context, &request.op);
    prune(context, &directory);
    for _ in 0..STARTS {
        match wait(&directory, deadline.min(request.timeout + PATIENCE)).await {
            Standing::Ended(exit) => return Ok(exit),
            Standing::Running => return Err(NoAnswer::StillRunning),
            Standing::Unreadable(why) => return Err(NoAnswer::NotStarted(why)),
            Standing::Lost => process::kill_with_variable("GANTRY_OP", &request.op),
            Standing::Never => {}
        }
        start(context, &directory, request, say).await.map_err(NoAnswer::NotStarted)?;
    }
    match standing(&directory) {
        Standing::Ended(exit) => Ok(exit),
        _ => Err(NoAnswer::Lost(format!(
            "The helper process that runs commands ended without an answer; what it said is in {}.",
            directory.join("shim.log").display()
        ))),
    }
}

/// Starts a shim and waits until it ends.
async fn start(
    context: &Context,
    directory: &Path,
    request: &Request,
    say: &(dyn Fn(&str) + Sync),
) -> Result<(), String> {
    let prepare = || -> fs::Result<()> {
        fs::create_private_dir(directory)?;
        write_json(&directory.join("request.json"), request)?;
        write_json(&directory.join("object.json"), &request.object)?;
        unclaim(directory)
    };
    prepare().map_err(|e| format!("Gantry {e}: {}.", e.source))?;
    let arguments = ["__command".to_owned(), directory.to_string_lossy().into_owned()];
    let mut shim = process::start_detached(&context.program, &arguments, &directory.join("shim.log"))
        .map_err(|e| format!("The helper process {} could not be started: {e}.", context.program.display()))?;
    crash::point("local_command started");
    let mut pause = Duration::from_millis(2);
    let mut waited = Duration::ZERO;
    while !shim.has_ended() {
        tokio::time::sleep(pause).await;
        waited += pause;
        pause = (pause * 2).min(Duration::from_millis(50));
        if waited >= Duration::from_secs(1) {
            waited = Duration::ZERO;
            if let Some(line) = last_line(directory) {
                say(&line);
            }
        }
    }
    Ok(())
}

fn last_line(directory: &Path) -> Option<String> {
    ["stderr", "stdout"].into_iter().find_map(|name| {
        let bytes = fs::read(&directory.join(name), FILE_MAX).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        text.lines().rev().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
    })
}

/// What `gantry __command DIR` does.
pub(super) fn main(arguments: &[String]) -> u8 {
    let [directory] = arguments else { return 2 };
    process::leave_session();
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(Path::new(directory))),
        Err(_) => 1,
    }
}

async fn serve(directory: &Path) -> u8 {
    let Some(me) = ProcessId::me() else { return 1 };
    let Ok(Some(request)) = read_json::<Request>(&directory.join("request.json")) else { return 1 };
    if !claim(directory, Some(me)).unwrap_or(false) {
        return 0;
    }
    let mut environment = request.environment.clone();
    environment.push(("GANTRY_OP".into(), request.op.clone()));
    environment.push(("GANTRY_ADDRESS".into(), request.address.clone()));
    let launch = Launch {
        argv: request.argv.clone(),
        base: request.launch_from.clone(),
        directory: request.directory.clone(),
        environment,
        only: false,
        program: PathBuf::new(),
    };
    let Ok(launch) = launch.through_self() else { return 1 };
    let delete = request.action == "delete";
    let mut exit = Exit {
        ended: Ended::Lost,
        fault: None,
        dropped: 0,
        tail: Vec::new(),
        disposable: true,
        at: SystemClock.now().as_second(),
        stdout: Vec::new(),
    };
    match process::capture(&launch, request.timeout, OUTPUT_MAX, Some(directory)).await {
        Ok(captured) => {
            if captured.ended == Ended::TimedOut {
                process::kill_with_variable("GANTRY_OP", &request.op);
            }
            exit.disposable = delete || captured.ended != Ended::Exited(0);
            exit.ended = captured.ended;
            exit.dropped = captured.dropped;
            exit.tail = captured.tail;
            exit.at = SystemClock.now().as_second();
            if fs::write_atomic(&directory.join("stdout"), &captured.stdout, 0o600).is_err() {
                return 1;
            }
        }
        Err(e) => {
            let reason = std::error::Error::source(&e).map(|s| format!(": {s}")).unwrap_or_default();
            exit.fault = Some(format!("{e}{reason}"));
        }
    }
    if write_json(&directory.join("exit.json"), &exit).is_err() {
        return 1;
    }
    let _ = fs::remove_file(&directory.join("request.json"));
    0
}

/// What an object's last command wrote.
pub(super) fn stdout(context: &Context, op: &str) -> Option<Vec<u8>> {
    fs::read(&directory(context, op).join("stdout"), FILE_MAX).ok()
}

/// The object as its last command had it, secrets in clear.
pub(super) fn object(context: &Context, op: &str) -> Option<Json> {
    read_json(&directory(context, op).join("object.json")).ok()?
}

/// Keeps the object as it is to be run from now on.
pub(super) fn keep_object(context: &Context, op: &str, object: &Json) -> fs::Result<()> {
    let directory = directory(context, op);
    fs::create_private_dir(&directory)?;
    write_json(&directory.join("object.json"), object)
}

/// Removes what was kept of an act that no object refers to any more. Best effort: what stays takes room and does nothing.
pub(super) fn forget(context: &Context, op: &str) {
    let _ = fs::remove_dir_all(&directory(context, op));
}

/// Removes directories that no object refers to and that are old. Once in a process is enough, and for each of a thousand commands
/// would be a thousand times a thousand files.
fn prune(context: &Context, own: &Path) {
    static DONE: AtomicBool = AtomicBool::new(false);
    if DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    let root = context.state.join("run").join("commands");
    let Ok(names) = fs::list(&root) else { return };
    let now = SystemClock.now().as_second();
    for (name, _) in names {
        let directory = root.join(name);
        if directory != own
            && let Ok(Some(exit)) = read_json::<Exit>(&directory.join("exit.json"))
            && exit.disposable
            && now.saturating_sub(exit.at) > KEEP_DISPOSABLE
        {
            let _ = fs::remove_dir_all(&directory);
        }
    }
}
