//! Planning: a synchronous pure function from configuration, records and facts to a decided plan.
//!
//! [`plan()`] is called in a loop: it answers with a [`Plan`], or with [`Question`]s about the outside that its caller answers
//! before it calls again. Nothing in here reads a file, a clock or a network, and the same inputs give the same bytes.
//!
//! One round goes like this:
//!
//! 1. `outline` draws which named thing needs which and orders them; a cycle ends here.
//! 2. `walk` evaluates them in that order, in every instance of their module. A resource is decided in `resource`, an
//!    artifact or data source in `data`, migrations and checks in files of their names.
//! 3. `orphans` decides about what the ledger has and the configuration does not ask for.
//! 4. `lower` makes steps of the changes; `effect` gives the digest of what they do.

pub mod approval;
pub(crate) mod assertions;
mod body;
mod builtin;
pub mod change;
mod check;
mod compare;
pub mod condition;
mod data;
pub mod drift;
pub mod watch;
pub mod duration;
pub mod effect;
mod encryption;
pub mod difference;
mod ephemeral;
pub mod fact;
mod fact_format;
pub mod file;
pub mod gate;
mod imports;
pub mod input;
mod look;
mod lower;
mod make;
mod migration;
mod runner;
mod orphans;
mod moves;
mod outline;
mod preview;
mod promotion;
mod provider_blocks;
#[expect(clippy::module_inception, reason = "the module's main noun")]
pub mod plan;
mod removals;
mod resource;
mod result;
mod schema_gate;
mod scope;
pub mod settings;
mod state_settings;
pub mod step;
mod triggers;
mod unopened;
mod walk;
mod way_back;
mod world;

pub use change::{Change, ChangeKind, Detail, Reason};
pub use data::pinned;
pub use encryption::Encryption;
pub use fact::{Fact, Facts, Imported, JournalEntry, Question};
pub use file::{PlanFile, PlanFileError, SavedInputs};
pub use input::{Files, Inputs, Options};
pub use look::{Draw, Look, Looked, Names, Sight, look};
pub use make::{Planned, basis, graph, plan};
pub use plan::{OnFailure, OutputChange, Plan, WayBack};
pub use promotion::NOT_PROMOTED;
pub use provider_blocks::{Configured, configurations};
pub use schema_gate::{NO_WAY_DOWN, SCHEMA_GATE};
pub use settings::{Keep, Settings, history_keep};
pub use state_settings::{PostgresState, S3State, StateSettings};
pub use step::{ActStep, CheckStep, ImportStep, PinStep, Step, Work};
pub use unopened::Unopened;

// What a plan's steps and schemas are made of, for those who read plans and have no business with providers.
pub use crate::provider::{Action, AttributeSchema, BlockSchema, Lowering, ResourceSchema};
