//! Planning: a synchronous pure function from configuration, records and facts to a decided plan.

pub mod change;
#[expect(clippy::module_inception, reason = "the module's main noun")]
pub mod plan;
pub mod step;

pub use change::{Change, ChangeKind, Detail, Reason};
pub use plan::{OnFailure, OutputChange, Plan, WayBack};
pub use step::{ActStep, CheckStep, PinStep, Step, Work};
