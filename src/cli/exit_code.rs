//! Exit codes: the same for every command. `docs/exit-codes.md` explains them to people.

use crate::ops::Ending;
use crate::ops::RunOutcome;
use crate::ops::{Failure, FailureKind};

/// Success, or nothing to do.
pub const SUCCESS: u8 = 0;
/// Error, and nothing was changed.
pub const ERROR: u8 = 1;
/// There are differences.
pub const DIFFERENT: u8 = 2;
/// The run failed, and the environment was taken back to its base.
pub const ROLLED_BACK: u8 = 3;
/// The run failed, and so did the way back.
pub const STUCK: u8 = 4;
/// Refused before anything was touched.
pub const REFUSED: u8 = 5;
/// Part of what was to be read could not be read.
pub const INCOMPLETE: u8 = 6;
/// Changed and not finished.
pub const UNFINISHED: u8 = 7;

/// The code of a failure.
#[must_use]
pub fn of_failure(failure: &Failure) -> u8 {
    match failure.kind {
        FailureKind::Error => ERROR,
        FailureKind::Refused => REFUSED,
        FailureKind::Incomplete => INCOMPLETE,
        FailureKind::Unfinished => UNFINISHED,
    }
}

/// The code of a run's end.
#[must_use]
pub fn of_ending(ending: &Ending) -> u8 {
    match ending {
        Ending::Ended(RunOutcome::Verified) => SUCCESS,
        Ending::Ended(RunOutcome::RolledBack) => ROLLED_BACK,
        Ending::Ended(RunOutcome::Stuck) => STUCK,
        Ending::Ended(RunOutcome::Held | RunOutcome::Unknown) | Ending::Left | Ending::Broken(_) => UNFINISHED,
    }
}
