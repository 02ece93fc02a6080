//! Tasks: programs that run in a target once, to their end. A migration of a database that only the target reaches is one.

use super::act::{Evidence, Problem};
use crate::addr::Address;
use crate::value::Value;

/// A program that is to run.
#[derive(Clone)]
pub struct Task {
    /// The node that it is for.
    pub address: Address,
    /// What it is one of: of all tasks of a series at most one runs at a time. An earlier one that is still there goes first, so that
    /// nothing that was given up on begins later.
    pub series: String,
    /// Which run it is. The same key is the same run, and never begun twice.
    pub key: String,
    /// What its `runner` block says, all known.
    pub settings: Value,
    /// The image that it runs in.
    pub image: String,
    /// The program with its arguments.
    pub command: Vec<String>,
    /// What it reads from the file that the variable [`INPUT`] names: a secret.
    pub input: Option<Vec<u8>>,
    /// Whether it is only looked for, and not begun where it is not there.
    pub only_look: bool,
    /// How long it may take.
    pub deadline: std::time::Duration,
}

/// The environment variable that names the file with a task's input.
pub const INPUT: &str = "GANTRY_TASK";

/// What became of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskEnd {
    /// It ran to its end.
    Ended {
        /// Whether it ended well.
        well: bool,
        /// What it left: the last of what it wrote, or what it put where its platform keeps a word of it.
        message: String,
        /// In a sentence, where it did not end well.
        sentence: String,
        /// What was seen, where it did not end well.
        evidence: Vec<Evidence>,
    },
    /// It is not there, and was only looked for.
    Absent,
    /// It did not begin, and will not.
    NotBegun(Problem),
    /// Nobody can tell.
    Unknown(Problem),
}
