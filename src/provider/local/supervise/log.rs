//! Log files that are kept within limits.

use std::path::PathBuf;

use crate::ports::fs;

/// A log: `NAME.log`, and full ones as `NAME.log.1` (the newest) to `NAME.log.N`.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    size: u64,
    max: u64,
    keep: u32,
}

impl Log {
    /// Goes on with the log of that name.
    pub(super) fn open(path: PathBuf, max: u64, keep: u32) -> Self {
        let size = fs::size(&path).unwrap_or(0);
        Self { path, size, max, keep }
    }

    /// Appends. A log that cannot be written loses lines; it never stops the service.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if self.size > 0 && self.size + bytes.len() as u64 > self.max {
            self.rotate();
        }
        if fs::append(&self.path, bytes, 0o600).is_ok() {
            self.size += bytes.len() as u64;
        }
    }

    /// Appends a line of our own.
    pub(super) fn note(&mut self, line: &str) {
        self.write(format!("--- gantry: {line}\n").as_bytes());
    }

    fn numbered(&self, n: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{n}"));
        name.into()
    }

    fn rotate(&mut self) {
        let _ = fs::remove_file(&self.numbered(self.keep));
        for n in (1..self.keep).rev() {
            let _ = fs::rename(&self.numbered(n), &self.numbered(n + 1));
        }
        let _ = if self.keep == 0 { fs::remove_file(&self.path) } else { fs::rename(&self.path, &self.numbered(1)) };
        self.size = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_stays_within_its_limits() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.log");
        let mut log = Log::open(path.clone(), 100, 2);
        for n in 0..100 {
            log.write(format!("line {n:>4} of twenty..\n").as_bytes());
        }
        let names: Vec<String> = fs::list(root.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["a.log", "a.log.1", "a.log.2"]);
        assert!(names.iter().all(|n| fs::size(&root.path().join(n)).unwrap() <= 100));
        assert!(String::from_utf8(fs::read(&path, 1000).unwrap()).unwrap().contains("line   99"));
    }
}
