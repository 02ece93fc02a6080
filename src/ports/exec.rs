//! A child process that is waited for: its end, and the last of what it wrote. It never outlives the call.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

/// How long the pipes of a process group that is gone are still read: what was written is there at once, and only a
/// process that left the group could hold them open.
const DRAIN: Duration = Duration::from_millis(500);

/// A command to carry out. Nothing of it goes through a shell.
#[derive(Clone, Copy)]
pub struct Command<'a> {
    /// The program, looked for on the `PATH` if it has no slash, and its arguments.
    pub argv: &'a [String],
    /// Where it starts.
    pub directory: &'a Path,
    /// Variables set on top of this process's own.
    pub environment: &'a [(String, String)],
    /// How long it may take.
    pub timeout: Duration,
    /// How many bytes at the end of each output are kept.
    pub keep: usize,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exit(i32),
    /// By a signal.
    Signal(i32),
    /// It was killed, with its whole group, because its time was over.
    TimedOut,
}

/// A process that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// How.
    pub ended: Ended,
    /// The end of its standard output.
    pub stdout: Vec<u8>,
    /// The end of its standard error.
    pub stderr: Vec<u8>,
}

/// Kills a process group unless told that it was done. The leader is not reaped before, so that its number cannot have
/// become another's.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(pid) = self.0.take() {
            // It fails only if nobody is left.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Carries out a command in a process group of its own, without input, and waits for its end. Whatever of the group is
/// left then is killed, also if this future is dropped.
///
/// # Errors
/// When it cannot be started.
pub async fn run(command: Command<'_>) -> io::Result<Finished> {
    run_with_input(command, None).await
}

/// As [`run`], with something to read on its standard input. A process may end without having read it.
///
/// # Errors
/// When it cannot be started.
pub async fn run_with_input(command: Command<'_>, input: Option<Vec<u8>>) -> io::Result<Finished> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no program to run"));
    };
    let mut started = tokio::process::Command::new(program);
    for ours in super::env::OURS {
        started.env_remove(ours);
    }
    let mut child = started
        .args(arguments)
        .current_dir(command.directory)
        .envs(command.environment.iter().map(|(k, v)| (k, v)))
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut group = Group(pid);
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // Beside the reading, so that neither waits for the other; it ends with the group, which holds the other end.
        tokio::spawn(async move { pipe.write_all(&input).await });
    }
    let stdout = follow(child.stdout.take(), command.keep);
    let stderr = follow(child.stderr.take(), command.keep);
    let exited = tokio::time::timeout(command.timeout, exit_of(pid)).await.is_ok();
    group.kill();
    let status = child.wait().await?;
    let ended = match (exited, status.code()) {
        (false, _) => Ended::TimedOut,
        (true, Some(code)) => Ended::Exit(code),
        (true, None) => Ended::Signal(std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default()),
    };
    Ok(Finished { ended, stdout: drained(stdout).await, stderr: drained(stderr).await })
}

/// Waits until a child has ended, without reaping it.
async fn exit_of(pid: Option<Pid>) {
    let Some(pid) = pid else { return };
    // The thread ends with the process, which does not outlive `run`.
    let waiting = tokio::task::spawn_blocking(move || {
        let ended = || waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        while matches!(ended(), Err(rustix::io::Errno::INTR)) {}
    });
    let _ = waiting.await;
}

/// The last bytes that were read so far.
type Tail = Arc<Mutex<Vec<u8>>>;

/// Reads to the end, beside the process, and keeps the last `keep` bytes.
fn follow(from: Option<impl AsyncRead + Send + Unpin + 'static>, keep: usize) -> (Tail, tokio::task::JoinHandle<()>) {
    let tail = Tail::default();
    let written = Arc::clone(&tail);
    let reading = tokio::spawn(async move {
        let Some(mut from) = from else { return };
        let mut buffer = vec![0; 8192];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let Ok(mut tail) = written.lock() else { return };
            tail.extend_from_slice(&buffer[..read]);
            let surplus = tail.len().saturating_sub(keep);
            tail.drain(..surplus);
        }
    });
    (tail, reading)
}

/// What was written, once the writers are gone.
async fn drained((tail, mut reading): (Tail, tokio::task::JoinHandle<()>)) -> Vec<u8> {
    if tokio::time::timeout(DRAIN, &mut reading).await.is_err() {
        reading.abort();
    }
    tail.lock().map(|mut bytes| std::mem::take(&mut *bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, timeout: Duration) -> Finished {
        let argv: Vec<String> = ["sh", "-c", script].map(str::to_owned).into();
        let environment = [("GREETING".to_owned(), "hello".to_owned())];
        let directory = Path::new("/");
        run(Command { argv: &argv, directory, environment: &environment, timeout, keep: 10 }).await.unwrap()
    }

    #[tokio::test]
    async fn the_end_of_both_outputs_is_kept() {
        let done = sh("echo 0123456789abc; pwd >&2; echo $GREETING >&2; exit 3", Duration::from_secs(20)).await;
        assert_eq!(done.ended, Ended::Exit(3));
        assert_eq!(done.stdout, b"456789abc\n");
        assert_eq!(done.stderr, b"/\nhello\n");
    }

    #[tokio::test]
    async fn input_is_handed_over_and_ends() {
        let argv = ["cat".to_owned()];
        let directory = Path::new("/");
        let command = Command { argv: &argv, directory, environment: &[], timeout: Duration::from_secs(20), keep: 10 };
        let done = run_with_input(command, Some(b"hello".to_vec())).await.unwrap();
        assert_eq!((done.ended, done.stdout), (Ended::Exit(0), b"hello".to_vec()));
    }

    #[tokio::test]
    async fn a_group_is_killed_when_its_time_is_over_and_what_it_left_behind_too() {
        let done = sh("echo $$; sleep 1000 & sleep 1000", Duration::from_millis(200)).await;
        assert_eq!(done.ended, Ended::TimedOut);
        let group: i32 = String::from_utf8(done.stdout).unwrap().trim().parse().unwrap();
        assert!(gone(group).await);
        let done = sh("sleep 1000 & echo $$", Duration::from_secs(20)).await;
        assert_eq!(done.ended, Ended::Exit(0));
        let group: i32 = String::from_utf8(done.stdout).unwrap().trim().parse().unwrap();
        assert!(gone(group).await);
    }

    /// Killed processes are gone as soon as whoever is their parent then has reaped them.
    async fn gone(group: i32) -> bool {
        let group = Pid::from_raw(group).unwrap();
        for _ in 0..200 {
            let zombies_only = rustix::process::test_kill_process_group(group).is_err() || all_zombies(group);
            if zombies_only {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }

    fn all_zombies(group: Pid) -> bool {
        let stats = std::fs::read_dir("/proc").unwrap().flatten();
        let stats = stats.filter_map(|e| std::fs::read_to_string(e.path().join("stat")).ok());
        let fields = stats.filter_map(|s| Some(s.rsplit_once(") ")?.1.to_owned()));
        fields.filter(|f| f.split(' ').nth(2) == Some(&group.as_raw_nonzero().to_string())).all(|f| f.starts_with('Z'))
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error() {
        let argv = ["no-such-program-of-gantry".to_owned()];
        let directory = Path::new("/");
        let command = Command { argv: &argv, directory, environment: &[], timeout: Duration::from_secs(1), keep: 1 };
        assert_eq!(run(command).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
