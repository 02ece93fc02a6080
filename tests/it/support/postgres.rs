//! A private PostgreSQL server for tests: an unprivileged user's, in a temporary directory, reached by a socket there.
//!
//! It dies with the process that started it, however that ends: the kernel tells it (`setpriv --pdeathsig`). What a
//! killed test left in the temporary directory, the next one clears away.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{OnceLock, mpsc};

/// What to do where there is no PostgreSQL.
const MISSING: &str = "these tests need PostgreSQL's server programs `postgres` and `initdb`, on the PATH or under \
                       /usr/lib/postgresql: install the Debian package `postgresql` (make test does)";

/// A running server; it is stopped when this is dropped.
pub(crate) struct Postgres {
    pub(super) directory: PathBuf,
    /// The pid of the server.
    pub(super) server: AtomicU32,
    pub(super) databases: AtomicUsize,
}

impl Postgres {
    /// The server that the tests of this process share. It lives as long as the process.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// Starts a server of one's own, to be killed or configured.
    pub(crate) fn start() -> Self {
        clear_leftovers();
        let user = unprivileged_user();
        let directory = new_directory(user);
        let data = directory.join("data");
        let made = as_user(user, &program("initdb"))
            .args([
                "-D",
                &data.to_string_lossy(),
                "-U",
                "tester",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .current_dir(&directory)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(data.join("pg_hba.conf"), HBA).expect("the data directory is writable");
        let server = AtomicU32::new(run_server(user, &directory, &data));
        Self { directory, server, databases: AtomicUsize::new(0) }
    }

    /// The URL of a database of this server.
    pub(crate) fn url(&self, database: &str) -> String {
        Self::url_at(&self.directory, database)
    }

    /// The URL of a database whose server's socket is in a directory.
    pub(crate) fn url_at(directory: &Path, database: &str) -> String {
        let socket = directory.to_string_lossy().replace('/', "%2F");
        format!("postgres://tester:s3cret-word@{socket}/{database}")
    }

    /// The directory with the server's socket, and with its data in `data`.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes an empty database and gives its URL.
    pub(crate) async fn database(&self) -> String {
        let name = format!("test_{:04}", self.databases.fetch_add(1, Ordering::SeqCst));
        let made = self.psql("postgres", &format!("CREATE DATABASE {name}")).await;
        assert_eq!(made, Vec::<String>::new());
        self.url(&name)
    }

    /// Carries out SQL on a database and gives the first column of what it answers, as text.
    pub(crate) async fn psql(&self, database: &str, sql: &str) -> Vec<String> {
        query(&self.url(database), sql).await
    }

    /// Kills the whole server at once, as a power failure would.
    pub(crate) fn kill(&self) {
        // The postmaster's children notice and go; SIGQUIT makes it leave without a checkpoint.
        let _ = Command::new("kill").args(["-QUIT", &self.pid().to_string()]).status();
    }

    pub(super) fn pid(&self) -> u32 {
        self.server.load(Ordering::SeqCst)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Who may connect how: one role, which need not exist, by its password.
const HBA: &str = "local replication all trust\nlocal all stranger scram-sha-256\nlocal all all trust\n";

/// A directory for a server and its socket; its path has always the same length.
pub(super) fn new_directory(user: Option<(u32, u32)>) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst);
    let directory = std::env::temp_dir().join(format!("gantry-pg-{:010}-{number:02}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory for PostgreSQL");
    if let Some((uid, gid)) = user {
        std::os::unix::fs::chown(&directory, Some(uid), Some(gid)).expect("the directory is given away");
    }
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    directory
}

/// Carries out SQL on a database by its URL and gives the first column of what it answers, cast to text by the query.
pub(crate) async fn query(url: &str, sql: &str) -> Vec<String> {
    use sqlx::{AssertSqlSafe, Connection as _, Row as _};
    let mut connection = sqlx::PgConnection::connect(url).await.expect("the test's connection");
    let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.expect("the test's SQL");
    connection.close().await.expect("the connection closes");
    rows.iter().map(|row| row.try_get_unchecked::<Option<String>, _>(0).expect("text").unwrap_or_default()).collect()
}

/// The user to run as: PostgreSQL refuses root.
pub(super) fn unprivileged_user() -> Option<(u32, u32)> {
    let id = |flag: &str| {
        let out = Command::new("id").args([flag, "nobody"]).output().ok()?;
        String::from_utf8_lossy(&out.stdout).trim().parse().ok()
    };
    if !rustix::process::getuid().is_root() {
        return None;
    }
    Some((id("-u").expect("the user nobody"), id("-g").expect("the group of nobody")))
}

pub(super) fn as_user(user: Option<(u32, u32)>, program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if let Some((uid, gid)) = user {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
    }
    command.args(["--pdeathsig=QUIT", "--"]).arg(program).env_remove("PGHOST").env_remove("PGDATABASE");
    command
}

/// Starts the server from a thread that stays, for the kernel's death signal goes by threads, and waits until it
/// takes connections.
pub(super) fn run_server(user: Option<(u32, u32)>, directory: &Path, data: &Path) -> u32 {
    let mut command = as_user(user, &program("postgres"));
    command.current_dir(directory).arg("-D").arg(data).arg("-k").arg(directory);
    command.args(["-c", "fsync=off", "-c", "listen_addresses=", "-c", "max_connections=100"]);
    command.stderr(Stdio::piped()).stdout(Stdio::null()).stdin(Stdio::null());
    let (ready, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let mut child = command.spawn().expect("postgres starts");
        let log = BufReader::new(child.stderr.take().expect("piped"));
        let mut said = String::new();
        for line in log.lines().map_while(Result::ok) {
            if line.contains("ready to accept connections") || line.contains("ready to accept read-only connections") {
                let _ = ready.send(Ok(child.id()));
            }
            if said.len() < 10_000 {
                said.push_str(&line);
                said.push('\n');
            }
        }
        let _ = child.wait();
        let _ = ready.send(Err(said));
    });
    wait.recv().expect("the server's thread").unwrap_or_else(|log| panic!("postgres did not start:\n{log}"))
}

pub(super) fn program(name: &str) -> PathBuf {
    let path = gantry::ports::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        places.extend(versions.flatten().map(|v| v.path().join("bin")));
    }
    places.into_iter().map(|p| p.join(name)).find(|p| p.is_file()).unwrap_or_else(|| panic!("{name}: {MISSING}"))
}

/// Removes the directories of test processes that are gone.
fn clear_leftovers() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix("gantry-pg-").and_then(|n| n.split('-').next()) else { continue };
        if !Path::new("/proc").join(pid.trim_start_matches('0')).exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
