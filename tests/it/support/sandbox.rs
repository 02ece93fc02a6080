//! A project in a temporary directory, and a `gantry` that sees nothing of this machine but its PATH.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::normalise::normalise;
use super::ports::ReservedPort;
use super::processes;

/// A command that takes longer hangs; it is killed, and what it said is shown.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the output may stay open after the command ended: somebody else holds it then, which is a defect.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(5);

/// A temporary project and what runs in it. Dropped, it ends every process that belongs to it.
pub(crate) struct Sandbox {
    folder: TempDir,
    root: PathBuf,
    /// What stands for `gantry`, with the arguments that come before its own.
    program: Vec<OsString>,
    ports: RefCell<BTreeMap<String, ReservedPort>>,
    variables: Vec<(OsString, OsString)>,
}

impl Sandbox {
    /// An empty project.
    pub(crate) fn new() -> Self {
        let folder =
            tempfile::Builder::new().prefix("gantry-it-").tempdir().expect("a temporary directory can be made");
        let root = folder.path().canonicalize().expect("the directory was just made");
        for name in ["home", "project", "tmp"] {
            std::fs::create_dir(root.join(name)).expect("the directory was just made");
        }
        let program = vec![env!("CARGO_BIN_EXE_gantry").into()];
        Self { folder, root, program, ports: RefCell::default(), variables: Vec::new() }
    }

    /// The project of `tests/projects/shop` with release 1 and the first two migrations of the sample.
    pub(crate) fn shop() -> Self {
        let sandbox = Self::new();
        sandbox.copy_project("shop");
        sandbox.ship("v1");
        sandbox.migrations(&["0001", "0002"]);
        sandbox
    }

    /// A shell script in place of `gantry`: for the proofs of this harness. The shell reads it, instead of the system
    /// running it: a file that was just written cannot be run while a child of another thread still holds it.
    pub(crate) fn with_script(mut self, script: &str) -> Self {
        let path = self.root.join("fake");
        std::fs::write(&path, script).expect("the sandbox is writable");
        self.program = vec!["/bin/sh".into(), path.into()];
        self
    }

    /// The `gantry` that can be killed at its crash points.
    pub(crate) fn with_crash_points(mut self) -> Self {
        self.program = vec![crash_binary().into()];
        self
    }

    /// One more environment variable for every command, as in `with("GANTRY_CRASH_AT", "7")`.
    pub(crate) fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The way to a store of [`super::s3`], as variables; a configuration reads `STORE` for its endpoint.
    pub(crate) fn with_store(self, endpoint: &str) -> Self {
        self.with("STORE", endpoint)
            .with("AWS_ACCESS_KEY_ID", super::s3::ACCESS_KEY)
            .with("AWS_SECRET_ACCESS_KEY", super::s3::SECRET_KEY)
            .with("AWS_EC2_METADATA_DISABLED", "true")
            .with("AWS_MAX_ATTEMPTS", "3")
    }

    /// The directory that holds `environments/`.
    pub(crate) fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// A port that no other test gets: the same one for the same name.
    pub(crate) fn port(&self, name: &str) -> u16 {
        let mut ports = self.ports.borrow_mut();
        ports.entry(name.to_owned()).or_insert_with(ReservedPort::take).number
    }

    /// Replaces `{port}`, `{port_NAME}`, `{project}` and `{sandbox}` by what they stand for here.
    pub(crate) fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let name = after.split_once('}').map_or("", |(name, _)| name);
            let value = match name {
                "project" => Some(self.project().display().to_string()),
                "sandbox" => Some(self.root.display().to_string()),
                _ if name == "port" || name.starts_with("port_") => Some(self.port(name).to_string()),
                _ => None,
            };
            match value {
                Some(value) => {
                    out.push_str(&value);
                    rest = &after[name.len() + 1..];
                }
                None => {
                    out.push('{');
                    rest = after;
                }
            }
        }
        out + rest
    }

    /// The opposite of [`Self::expand`], and everything else that differs from run to run by its name.
    pub(crate) fn normalise(&self, text: &str) -> String {
        let mut own = vec![
            (self.project().display().to_string(), "{project}".to_owned()),
            (self.root.display().to_string(), "{sandbox}".to_owned()),
        ];
        own.extend(self.ports.borrow().iter().map(|(name, port)| (port.number.to_string(), format!("{{{name}}}"))));
        normalise(text, &own)
    }

    /// Writes a file of the project, expanded; its directories are made.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.project().join(path);
        std::fs::create_dir_all(path.parent().expect("a file has a directory")).expect("the project is writable");
        std::fs::write(&path, self.expand(text)).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
    }

    /// Reads a file of the project.
    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.project().join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
    }

    /// Copies a project of `tests/projects` here, expanded.
    pub(crate) fn copy_project(&self, name: &str) {
        let from = repository().join("tests/projects").join(name);
        let mut folders = vec![from.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("no project {}: {e}", folder.display())) {
                let path = entry.expect("the project is readable").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let inside =
                        path.strip_prefix(&from).expect("the walk stays inside").to_string_lossy().into_owned();
                    self.write(&inside, &std::fs::read_to_string(&path).expect("a project holds text"));
                }
            }
        }
    }

    /// Makes a variant of the shop (`tests/build-shops.sh`) the program that the next build takes.
    pub(crate) fn ship(&self, variant: &str) {
        let beside = self.project().join("shop.new");
        std::fs::copy(shop_variant(variant), &beside).expect("the project is writable");
        std::fs::rename(&beside, self.project().join("shop")).expect("the project is writable");
    }

    /// Adds migrations of the sample, by their numbers.
    pub(crate) fn migrations(&self, numbers: &[&str]) {
        for entry in std::fs::read_dir(repository().join("migrations")).expect("the sample has migrations") {
            let path = entry.expect("the folder is readable").path();
            let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
            if numbers.iter().any(|number| name.starts_with(number)) {
                self.write(&format!("migrations/{name}"), &std::fs::read_to_string(&path).expect("SQL is text"));
            }
        }
    }

    /// A command that runs `gantry` in the project, with an environment of its own; not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).args(arguments.iter().map(|argument| self.expand(argument)));
        self.isolate(&mut command);
        command
    }

    #[expect(clippy::disallowed_methods, reason = "the one thing that a sandbox takes from outside")]
    fn isolate(&self, command: &mut Command) {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", self.root.join("home")).env("TMPDIR", self.root.join("tmp"));
        command.env("LANG", "C.UTF-8").env("TZ", "UTC").env("USER", "tester").env("GANTRY_ACTOR", "tester");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.project()).stdin(Stdio::null());
    }

    /// Runs `gantry` with these words (split at spaces; use [`Self::run_all`] where one holds a space).
    pub(crate) fn run(&self, words: &str) -> Ran {
        self.run_all(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs `gantry` with these arguments to its end, within [`PATIENCE`].
    pub(crate) fn run_all(&self, arguments: &[&str]) -> Ran {
        self.run_in(&[], arguments)
    }

    /// The same with more environment variables.
    pub(crate) fn run_in(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let (out, out_pipe) = std::io::pipe().expect("a pipe can be made");
        let (err, err_pipe) = std::io::pipe().expect("a pipe can be made");
        let mut command = self.command(arguments);
        command.stdout(out_pipe).stderr(err_pipe).envs(variables.iter().copied());
        let shown = format!("gantry {}", arguments.join(" "));
        let (out, err) = (collect(out), collect(err));
        let status = wait(command, &shown);
        let ran = Ran { command: shown.clone(), status, stdout: finish(&out, &shown), stderr: finish(&err, &shown) };
        if ran.code() == Some(0) && self.program.len() == 1 && ran.stdout.contains("Apply complete!") {
            self.has_not_drifted(variables, arguments);
        }
        ran
    }

    /// Right after an apply nothing may be other than it was recorded, in any test.
    fn has_not_drifted(&self, variables: &[(&str, &str)], arguments: &[&str]) {
        let ["apply", environment, rest @ ..] = arguments else { return };
        // What is limited to some objects leaves the others as they are.
        let limited = rest.iter().any(|argument| argument.starts_with("-target") || argument.starts_with("--target"));
        if limited || !self.project().join("environments").join(environment).is_dir() {
            return;
        }
        let mut command = self.command(&["drift", environment, "--json"]);
        let output = command.envs(variables.iter().copied()).output().expect("gantry can be started");
        let Ok(found) = serde_json::from_slice::<serde_json::Value>(&output.stdout) else { return };
        let drifted = found["resource_drift"].as_array().is_some_and(|all| !all.is_empty());
        assert!(!drifted, "drift right after gantry {}: {found:#}", arguments.join(" "));
    }

    /// Runs `gantry` with a text on its standard input.
    pub(crate) fn run_fed(&self, input: &str, arguments: &[&str]) -> Ran {
        self.run_bytes(input.as_bytes(), arguments)
    }

    /// The same with anything on its standard input.
    pub(crate) fn run_bytes(&self, input: &[u8], arguments: &[&str]) -> Ran {
        let (out, out_pipe) = std::io::pipe().expect("a pipe can be made");
        let (err, err_pipe) = std::io::pipe().expect("a pipe can be made");
        let mut command = self.command(arguments);
        command.stdout(out_pipe).stderr(err_pipe).stdin(self.holding(input));
        let shown = format!("gantry {}", arguments.join(" "));
        let (out, err) = (collect(out), collect(err));
        let status = wait(command, &shown);
        Ran { command: shown.clone(), status, stdout: finish(&out, &shown), stderr: finish(&err, &shown) }
    }

    /// A file without a name that holds some bytes, to be read from its start.
    fn holding(&self, input: &[u8]) -> std::fs::File {
        use std::io::{Seek as _, Write as _};
        let mut file = tempfile::tempfile_in(self.root.join("tmp")).expect("the sandbox is writable");
        file.write_all(input).and_then(|()| file.rewind()).expect("the sandbox is writable");
        file
    }

    /// Runs `gantry` with both outputs in one pipe, in the order in which a person would see them.
    pub(crate) fn run_as_seen(&self, arguments: &[&str]) -> Ran {
        self.run_fed_as_seen("", arguments)
    }

    /// The same with a text on its standard input.
    pub(crate) fn run_fed_as_seen(&self, input: &str, arguments: &[&str]) -> Ran {
        let (seen, pipe) = std::io::pipe().expect("a pipe can be made");
        let mut command = self.command(arguments);
        if !input.is_empty() {
            command.stdin(self.holding(input.as_bytes()));
        }
        command.stdout(pipe.try_clone().expect("a pipe can be shared")).stderr(pipe);
        let shown = format!("gantry {}", arguments.join(" "));
        let seen = collect(seen);
        let status = wait(command, &shown);
        Ran { command: shown.clone(), status, stdout: finish(&seen, &shown), stderr: String::new() }
    }

    /// Leaves the files for a person to look at.
    pub(crate) fn keep(mut self) {
        self.folder.disable_cleanup(true);
    }

    /// The processes that run in this sandbox now, with their command lines.
    pub(crate) fn pids(&self) -> Vec<(Pid, String)> {
        processes::of(&self.root)
    }

    /// The command lines of what runs in this sandbox now.
    pub(crate) fn processes(&self) -> Vec<String> {
        processes::of(&self.root).into_iter().map(|(_, command)| command).collect()
    }
}

impl Drop for Sandbox {
    #[expect(clippy::print_stderr, reason = "where to look after a failure")]
    fn drop(&mut self) {
        processes::kill_all(&self.root);
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!("what the test left behind is in {}", self.root.display());
        }
    }
}

/// How a command ended and what it said.
#[derive(Debug)]
#[must_use = "look at how it ended"]
pub(crate) struct Ran {
    command: String,
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The exit code; `None` after a signal.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    pub(crate) fn signal(&self) -> Option<i32> {
        std::os::unix::process::ExitStatusExt::signal(&self.status)
    }

    /// Requires an exit code; what the command said is shown where it had another one.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "`{}` ended with {}\n-- stdout\n{}\n-- stderr\n{}",
            self.command,
            self.status,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Requires exit code 0.
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        self.exits(0)
    }
}

/// The built program of a variant of the shop.
pub(crate) fn shop_variant(name: &str) -> PathBuf {
    let path = target_folder().join("shops").join(name);
    assert!(path.is_file(), "{} is missing: `make test` or `tests/build-shops.sh` builds it", path.display());
    path
}

/// The `gantry` with crash points.
fn crash_binary() -> PathBuf {
    let path = target_folder().join("crash/gantry");
    assert!(path.is_file(), "{} is missing: `make test` or `tests/build-crash.sh` builds it", path.display());
    path
}

fn target_folder() -> &'static Path {
    let gantry = Path::new(env!("CARGO_BIN_EXE_gantry"));
    gantry.ancestors().nth(2).expect("cargo puts a program into target/PROFILE")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Reads a pipe to its end, on a thread of its own so that the writer never waits.
fn collect(mut pipe: std::io::PipeReader) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..count]);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

fn finish(output: &mpsc::Receiver<Vec<u8>>, shown: &str) -> String {
    let bytes = output.recv_timeout(OUTPUT_PATIENCE).unwrap_or_else(|_| {
        panic!("`{shown}` has ended, but something that it started still holds its output");
    });
    String::from_utf8(bytes).unwrap_or_else(|e| panic!("`{shown}` wrote something that is no text: {e}"))
}

/// Starts a command and waits for its end; kills it after [`PATIENCE`].
fn wait(mut command: Command, shown: &str) -> ExitStatus {
    let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start `{shown}`: {e}"));
    // The command holds the pipes' writing ends: they have to go, or the outputs never end.
    drop(command);
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("invariant: a child has a pid");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(status) => status.unwrap_or_else(|e| panic!("cannot wait for `{shown}`: {e}")),
        Err(_) => {
            // Not waited for yet, so the pid is still that of our child.
            let _ = kill_process(pid, Signal::KILL);
            panic!("`{shown}` did not end within {} s", PATIENCE.as_secs());
        }
    }
}
