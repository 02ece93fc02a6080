//! The same for programs.
//!
//! [`Stream`] writes one event a line under the type names of Terraform's machine-readable UI (its `ui` version 1.2) and, where
//! that has none, under names of Gantry's own. [`plan()`] gives a plan and [`show`] a state in Terraform's representations, so
//! that the policy and review tools that people have work on them; what only Gantry has stands under the key `gantry`. One
//! thing differs on purpose: Terraform's documents hold sensitive values in clear, these never do.

mod console;
mod line;
mod values;

pub mod approval;
pub mod drift;
pub mod plan;
pub mod promotion;
pub mod records;
pub mod stats;
pub mod story;
pub mod stream;
pub mod watch;

pub use approval::{agreement, approved};
pub use console::{console_text, console_type, console_value};
pub use drift::drift;
pub use line::diagnostic;
pub use plan::plan;
pub use promotion::release;
pub use records::{history, output, outputs, show, show_generation, state_list, state_pull, state_show};
pub use stats::stats;
pub use story::show_run;
pub use stream::Stream;
