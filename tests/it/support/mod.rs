//! What the integration tests share.
//!
//! * [`Sandbox`]: a project in a temporary directory and a `gantry` that sees nothing of the machine but its PATH. What it
//!   started is ended when it is dropped, whatever became of the test.
//! * [`scenario`]: a golden transcript of `tests/scenarios/`, run in a sandbox.
//! * [`canary`]: a random secret, and the search for it in everything. [`keys`]: whom secrets are sealed for.
//! * [`files`]: everything below a directory. [`Terminal`]: a person at the keyboard. [`http`]: one request, one answer. [`postgres`]: a server of the tests' own. [`Load`]: customers who never
//!   stop asking. [`s3`]: a strict store inside this process; [`moto`]: one that others wrote.

mod background;
pub(crate) mod canary;
mod failover;
mod files;
pub(crate) mod http;
pub(crate) mod keys;
mod load;
pub(crate) mod moto;
pub(crate) mod normalise;
mod ports;
pub(crate) mod postgres;
mod processes;
mod receiver;
#[expect(dead_code, reason = "shared with the tests of the ledger")]
pub(crate) mod s3;
mod sandbox;
pub(crate) mod scenario;
mod terminal;

pub(crate) use background::Background;
pub(crate) use files::files;
pub(crate) use load::Load;
pub(crate) use receiver::{Got, Receiver};
pub(crate) use sandbox::{Ran, Sandbox, shop_variant};
pub(crate) use terminal::Terminal;

/// Requires that a text has these parts in it. Where its lines are broken does not matter, for that depends on how long the
/// names in them are.
#[track_caller]
pub(crate) fn holds(text: &str, parts: &[&str]) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let unbroken = words.join(" ");
    for part in parts {
        assert!(text.contains(part) || unbroken.contains(part), "{part:?} is not in\n{text}");
    }
}

/// Waits until something holds, looking often; says whether it did within the time.
#[expect(clippy::disallowed_methods, reason = "tests read the clock")]
pub(crate) fn eventually(most: std::time::Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = std::time::Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > most {
            return false;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
