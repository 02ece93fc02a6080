//! What happens to servers: one that comes back, one that only follows another.

use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use super::eventually;
use super::postgres::{Postgres, as_user, new_directory, program, run_server, unprivileged_user};

impl Postgres {
    /// Starts a killed server again on its data.
    pub(crate) fn start_again(&self) {
        let gone = || !Path::new("/proc").join(self.pid().to_string()).exists();
        assert!(eventually(Duration::from_secs(20), gone), "the server is still there");
        let pid = run_server(unprivileged_user(), self.directory(), &self.directory().join("data"));
        self.server.store(pid, Ordering::SeqCst);
    }

    /// A standby that follows this server and answers those who only read.
    pub(crate) fn standby(&self) -> Self {
        let user = unprivileged_user();
        let directory = new_directory(user);
        let data = directory.join("data");
        let mut copy = as_user(user, &program("pg_basebackup"));
        copy.args(["-R", "-U", "tester", "--checkpoint=fast", "--no-sync", "-h"])
            .arg(self.directory())
            .arg("-D")
            .arg(&data);
        let copied = copy.current_dir(&directory).output().expect("pg_basebackup runs");
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        let server = AtomicU32::new(run_server(user, &directory, &data));
        Self { directory, server, databases: AtomicUsize::new(0) }
    }
}
