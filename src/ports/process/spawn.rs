//! Starting processes.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use super::{ProcessId, Signal};

/// What is started, and how.
#[derive(Clone)]
pub struct Launch {
    /// The program's name and its arguments.
    pub argv: Vec<String>,
    /// Where a program name with a `/` in it starts.
    pub base: PathBuf,
    /// The working directory.
    pub directory: PathBuf,
    /// Variables, in addition to our own or instead of them.
    pub environment: Vec<(String, String)>,
    /// Whether `environment` is all that there is.
    pub only: bool,
    /// A build of this program that knows `__replica`.
    pub program: PathBuf,
}

/// Shows no environment: it holds secrets.
impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch").field("program", &self.argv.first()).finish_non_exhaustive()
    }
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is nothing to start.
    #[error("the command is empty")]
    Empty,
    /// There is no such program.
    #[error("there is no program \"{0}\"{hint}", hint = if .0.contains('/') { "" } else { " in the directories of PATH" })]
    NotFound(String),
    /// It is there and is none.
    #[error("\"{0}\" is not executable")]
    NotExecutable(String),
    /// The working directory is missing.
    #[error("there is no directory {} to start in", .0.display())]
    NoDirectory(PathBuf),
    /// The system refused.
    #[error("the system did not start \"{0}\"")]
    System(String, #[source] io::Error),
}

/// The running program as a path that still names it when its file was replaced.
fn own_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok(PathBuf::from("/proc/self/exe")) } else { std::env::current_exe() }
}

impl Launch {
    /// The program that `__replica` is asked of: this process, for helpers that are Gantry themselves.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn through_self(mut self) -> io::Result<Self> {
        self.program = own_program()?;
        Ok(self)
    }

    fn search_path(&self) -> Option<String> {
        let given = self.environment.iter().rev().find(|(name, _)| name == "PATH").map(|(_, v)| v.clone());
        if self.only { given } else { given.or_else(|| crate::ports::env::var("PATH")) }
    }

    /// The command that becomes the program, in a session of its own that ends with the thread that starts it.
    fn command(&self) -> Result<Command, LaunchError> {
        let name = self.argv.first().ok_or(LaunchError::Empty)?;
        if !self.directory.is_dir() {
            return Err(LaunchError::NoDirectory(self.directory.clone()));
        }
        let found = find_program(name, self.search_path().as_deref(), &self.base)?;
        let mut command = Command::new(&self.program);
        command.arg("__replica").arg(std::process::id().to_string()).arg(found).arg("--").args(&self.argv);
        if self.only {
            command.env_clear();
        }
        for ours in crate::ports::env::OURS {
            command.env_remove(ours);
        }
        command.envs(self.environment.iter().map(|(k, v)| (k, v))).current_dir(&self.directory).stdin(Stdio::null());
        Ok(command)
    }

    fn system(&self) -> impl FnOnce(io::Error) -> LaunchError {
        let name = self.argv.first().cloned().unwrap_or_default();
        move |e| LaunchError::System(name, e)
    }
}

/// The file of a program: a name with a `/` starts at `base`, another is looked for in `path`.
///
/// # Errors
/// When there is none, or none that may be executed.
pub fn find_program(name: &str, path: Option<&str>, base: &Path) -> Result<PathBuf, LaunchError> {
    let executable = |file: &Path| {
        std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file).map(|m| m.permissions().mode() & 0o111 != 0)
    };
    if name.is_empty() {
        return Err(LaunchError::Empty);
    }
    if name.contains('/') {
        let file = base.join(name);
        return match executable(&file) {
            Some(true) => Ok(file),
            Some(false) => Err(LaunchError::NotExecutable(name.to_owned())),
            None => Err(LaunchError::NotFound(name.to_owned())),
        };
    }
    path.unwrap_or("/usr/local/bin:/usr/bin:/bin")
        .split(':')
        .map(|directory| Path::new(directory).join(name))
        .find(|file| executable(file) == Some(true))
        .ok_or_else(|| LaunchError::NotFound(name.to_owned()))
}

/// What `gantry __replica PARENT PROGRAM -- ARGV…` does: leads a session of its own, asks the system to end it with the
/// thread that started it, and becomes the program. Comes back only with an exit code, when that failed.
#[must_use]
pub fn become_program(arguments: &[String]) -> u8 {
    let [parent, program, dashes, name, rest @ ..] = arguments else { return 126 };
    if dashes != "--" {
        return 126;
    }
    let _ = rustix::process::setsid();
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
        // The parent may have gone before the line above; then nobody will ever send that signal.
        let now = rustix::process::getppid().map(|p| p.as_raw_pid().to_string());
        if now.as_ref() != Some(parent) {
            return 126;
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = parent;
    let failed = std::process::Command::new(program).arg0(name).args(rest).exec();
    if failed.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
}

/// Makes this process the leader of a session of its own, away from any terminal, in the root directory.
///
/// # Errors
/// When the system refuses.
pub fn new_session() -> io::Result<()> {
    leave_session();
    std::env::set_current_dir("/")
}

/// Makes this process the leader of a session of its own; one that leads a group already stays where it is.
pub fn leave_session() {
    let _ = rustix::process::setsid();
}

/// Makes this process the parent of its descendants whose own parents end, where the system has that.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Completes when this process is asked to end (SIGTERM). From the call on SIGTERM, SIGINT and SIGHUP end nothing by themselves.
///
/// # Errors
/// When the handlers cannot be set.
pub fn terminate_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let ignored = [signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?];
    Ok(async move {
        let _ignored = ignored;
        terminate.recv().await;
    })
}

/// A helper process that outlives us.
#[derive(Debug)]
pub struct Detached(Child);

impl Detached {
    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

/// Starts `program` with our environment and these variables, its output going to the end of the file `log`. It is not
/// killed when we end; it leaves our session itself ([`new_session`]).
///
/// # Errors
/// When the log cannot be opened or the program not started.
pub fn start_detached(program: &Path, arguments: &[String], log: &Path) -> io::Result<Detached> {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(log)?;
    let mut command = Command::new(program);
    for ours in crate::ports::env::OURS {
        command.env_remove(ours);
    }
    let child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Crash points count what one command does; its helpers are to survive it.
        .env_remove("GANTRY_CRASH_AT")
        .kill_on_drop(false)
        .spawn()?;
    Ok(Detached(child))
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "how", content = "with")]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
    /// It was ended because its time was over.
    TimedOut,
    /// The system did not say.
    Lost,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signalled(signal) => write!(f, "was ended by signal {signal}"),
            Self::TimedOut => f.write_str("did not end in its time"),
            Self::Lost => f.write_str("ended in an unknown way"),
        }
    }
}

impl From<io::Result<std::process::ExitStatus>> for Ended {
    fn from(status: io::Result<std::process::ExitStatus>) -> Self {
        match status.ok().map(|s| (s.code(), s.signal())) {
            Some((Some(code), _)) => Self::Exited(code),
            Some((None, Some(signal))) => Self::Signalled(signal),
            _ => Self::Lost,
        }
    }
}

/// A child in a session of its own that ends with us, with one pipe for all that it says.
#[derive(Debug)]
pub struct Piped {
    child: Child,
    /// Who it is.
    pub id: ProcessId,
    /// Its standard output and standard error, as they came; taken once.
    pub output: Option<pipe::Receiver>,
}

/// Starts a child. It ends with the thread that calls this.
///
/// # Errors
/// When it cannot be started.
pub fn start_piped(launch: &Launch) -> Result<Piped, LaunchError> {
    let (reader, writer) = std::io::pipe().map_err(launch.system())?;
    let second = writer.try_clone().map_err(launch.system())?;
    let mut command = launch.command()?;
    let child = command.stdout(writer).stderr(second).kill_on_drop(true).spawn().map_err(launch.system())?;
    drop(command); // and with it our ends of the pipe for writing
    let output = pipe::Receiver::from_owned_fd(reader.into()).map_err(launch.system())?;
    let unknown = || launch.system()(io::Error::other("its process cannot be looked at"));
    let id = child.id().and_then(ProcessId::of_child).ok_or_else(unknown)?;
    Ok(Piped { child, id, output: Some(output) })
}

impl Piped {
    /// Waits until it ends.
    pub async fn wait(&mut self) -> Ended {
        self.child.wait().await.into()
    }

    /// Ends it and its group: politely first, then not.
    pub async fn stop(&mut self, grace: Duration) -> Ended {
        self.id.signal_group(Signal::Terminate);
        if let Ok(status) = tokio::time::timeout(grace, self.child.wait()).await {
            return status.into();
        }
        self.id.signal_group(Signal::Kill);
        let _ = self.child.start_kill();
        self.child.wait().await.into()
    }
}

/// What a command said and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// How it ended.
    pub ended: Ended,
    /// The head of its standard output.
    pub stdout: Vec<u8>,
    /// The head of its standard error.
    pub stderr: Vec<u8>,
    /// How many bytes of standard output were dropped.
    pub dropped: u64,
    /// The last bytes of both, standard error last, for people.
    pub tail: Vec<u8>,
}

/// How much of each stream's end is kept for people.
const TAIL: usize = 4 * 1024;
/// How long output is waited for after the process ended: something that it left behind may hold the pipe open for ever.
const DRAIN: Duration = Duration::from_millis(500);
/// How long a process has between the polite signal and the other one.
const GRACE: Duration = Duration::from_secs(5);

struct Stream {
    head: Vec<u8>,
    tail: Vec<u8>,
    dropped: u64,
}

/// Reads a stream to its end, keeping `limit` bytes of its head, in memory and in `file`.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    limit: usize,
    file: Option<PathBuf>,
    kept: &mut Stream,
) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = match file {
        Some(path) => Some(OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)?),
        None => None,
    };
    let mut buffer = vec![0_u8; 16 * 1024];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        let take = n.min(limit - kept.head.len());
        kept.head.extend_from_slice(&buffer[..take]);
        if let Some(file) = &mut file {
            file.write_all(&buffer[..take])?;
        }
        kept.dropped += (n - take) as u64;
        kept.tail.extend_from_slice(&buffer[..n]);
        let excess = kept.tail.len().saturating_sub(TAIL);
        kept.tail.drain(..excess);
    }
}

/// Runs a command to its end, or to the end of its time, when it and its group are ended. What it says goes to the files
/// `stdout` and `stderr` in `directory` too, if one is given, as it comes. At most `limit` bytes of each stream are kept.
/// What it leaves running in the background goes on, but is no longer listened to.
///
/// # Errors
/// When it cannot be started.
pub async fn capture(
    launch: &Launch,
    timeout: Duration,
    limit: usize,
    directory: Option<&Path>,
) -> Result<Captured, LaunchError> {
    let mut child = launch
        .command()?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(launch.system())?;
    let id = child.id().and_then(ProcessId::of_child);
    let empty = || Stream { head: Vec::new(), tail: Vec::new(), dropped: 0 };
    let (mut out, mut err) = (empty(), empty());
    let ended = {
        let file = |name: &str| directory.map(|d| d.join(name));
        let stdout = child.stdout.take().expect("invariant: stdout is piped");
        let stderr = child.stderr.take().expect("invariant: stderr is piped");
        let pumps = async {
            let (a, b) = tokio::join!(
                pump(stdout, limit, file("stdout"), &mut out),
                pump(stderr, limit, file("stderr"), &mut err)
            );
            a.and(b)
        };
        tokio::pin!(pumps);
        let mut finished = false;
        let running = async {
            tokio::select! {
                biased;
                _ = &mut pumps => { finished = true; child.wait().await }
                status = child.wait() => status,
            }
        };
        let ended = match tokio::time::timeout(timeout, running).await {
            Ok(status) => Ended::from(status),
            Err(_) => {
                end(&mut child, id.as_ref()).await;
                Ended::TimedOut
            }
        };
        if !finished {
            let _ = tokio::time::timeout(DRAIN, &mut pumps).await;
        }
        ended
    };
    let tail = [out.tail, err.tail].concat();
    Ok(Captured { ended, stdout: out.head, stderr: err.head, dropped: out.dropped, tail })
}

async fn end(child: &mut Child, id: Option<&ProcessId>) {
    if let Some(id) = id {
        id.signal_group(Signal::Terminate);
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        if let Some(id) = id {
            id.signal_group(Signal::Kill);
        }
        let _ = child.start_kill();
        let _ = child.wait().await;
    }
}
