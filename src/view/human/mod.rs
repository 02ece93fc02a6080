//! Text for people.
//!
//! [`plan()`] shows a plan, [`HumanRun`] a run while it goes on and [`summary()`] how it ended; the rest are the tables and texts
//! of the commands that look. Lines of a plan are laid out on a page; `diff` decides which lines a difference has.

mod page;
mod text;
mod diff;
mod reason;
mod delivery;
mod block;

pub mod plan;
pub mod run;
mod live;
pub mod summary;

pub mod approval;
pub mod checks;
pub mod diagnostics;
pub mod drift;
pub mod graph;
pub mod help;
pub mod history;
pub mod outputs;
pub mod promotion;
pub mod release;
pub mod show;
pub mod story;
pub mod state;
pub mod stats;
pub mod value;
pub mod watch;

pub use approval::{agreed, agreement, approved, bare_steps};
pub use checks::verdicts;
pub use diagnostics::{diagnostic, diagnostics};
pub use drift::{drift, drifted};
pub use graph::{dot, mermaid};
pub use history::history;
pub use outputs::{NotRaw, output, output_raw, outputs};
pub use plan::plan;
pub use promotion::promotion;
pub use release::{KnownRelease, release};
pub use run::HumanRun;
pub use show::{show, show_generation};
pub use state::{state_list, state_show};
pub use stats::stats;
pub use story::show_run;
pub use summary::{Failure, Tally, summary};
pub use value::{type_of, value};

pub(in crate::view) use history::{checked, lasted, outcome as outcome_word, outcome_of};
pub(in crate::view) use outputs::recorded;
pub(in crate::view) use reason::word as reason_word;
