//! Checks: asking what serves whether it serves, and how it answers.
//!
//! A [`Probe`] is one question, plain data; a [`Judge`] says how often it is asked and what counts. [`judge()`] asks
//! until the verdict is clear and never longer than the judge's time, and says in one sentence why. Each attempt is
//! made on a connection of its own, straight to the address that is named: what answers is what serves there now.
//!
//! What comes back is bounded and free of the secrets that the caller named ([`Secrets`]); `Debug` forms of probes show
//! no value that could be one.

mod spec;
mod secrets;
mod expect;
mod http;
mod tcp;
mod grpc;
mod command;
mod judge;

pub use judge::{MAX_EXCERPT, attempt, judge};
pub use secrets::Secrets;
pub use spec::{Attempt, CommandProbe, Context, Expect, HttpProbe, Judge, Probe, Verdict};
