//! Execution: carrying a plan out so that nothing is ever lost.
//!
//! A [`Runner`] takes a [`Plan`](crate::plan::Plan) and the ledger's state, and ends with the run verified, rolled back, held
//! or stuck, or open for the next command to go on with. The rules (DESIGN section 5; W1-W6 of the reliability study):
//!
//! * an intent is durable before its act, an outcome before anything that depends on it, the run's end before it is told;
//! * what a call came to is *not sent*, *rejected*, *applied* or *unknown*, and unknown is never sent again before the target
//!   was asked, by the identity that the intent holds;
//! * every further attempt is a fresh intent;
//! * the state is advanced by the ledger's own replay, so what is true here is what a reader will find.
//!
//! [`machine`] decides what comes next and knows nothing else. `driver` is the loop around it: it batches what arrived with
//! what that unblocks, has it made durable once (`recorder`), then sends. `prepare` turns a planned step into an act,
//! `attempt` carries it from its intent to its answer, `conclude` says what the answer means. `run` goes forward and, if it
//! has to, back; `recover` is what goes first when a process that is gone left a run open. [`scrub`] keeps secrets out of what comes
//! back from outside as words.

pub mod machine;
pub mod journal;
pub mod runner;
pub mod outside;
mod request;
mod results;
pub mod scrub;
mod lanes;
mod recorder;
mod job;
mod prepare;
mod evidence;
mod fetch;
mod attempt;
mod check;
mod soundness;
mod work;
mod conclude;
mod condition;
mod driver;
mod reach;
mod recover;
mod run;
#[cfg(test)]
mod tests;

pub use journal::{Journal, JournalError};
pub use outside::{Outside, Real};
pub use runner::{Begin, Ending, Finished, Images, NoImages, Patience, Runner, Seal, StepFailure, WayBackPlanner};
pub use scrub::Scrub;
pub use soundness::unsound;
