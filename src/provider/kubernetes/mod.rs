//! Kubernetes: objects of any kind that a cluster serves, by server-side apply.
//!
//! **Whose it is.** Gantry applies with a field manager of its own for each ledger (`gantry-` and eight characters of the
//! lineage), so the server itself keeps the account of which fields are ours: drift is looked for in those alone, and what is
//! taken out of a manifest is taken out of the object. An object is changed or deleted only if it has the uid that was recorded.
//! Fields that somebody else owns are not taken unless `field_manager { force_conflicts = true }` says so.
//!
//! **How recovery finds an act.** Every apply writes its act's identity into the annotation `gantry.dev/op`; an object that carries
//! it was written by that very act. A delete is done when the uid is gone.
//!
//! **The way of a change.** `preview` asks the server with `dryRun=All` what it would make of it; `apply` carries it out; a step of
//! its own then waits (`ready` says for what, `doom` when waiting is over) so that an object that was made and does not
//! become ready is in the records and can be taken back. `observe` reads each kind in each namespace with one LIST.
//!
//! `connect` resolves credentials as kubectl does; `wire` is the one place that speaks HTTP and tells apart what was not sent, what
//! was refused and what is unknown; `refusal` puts the server's answers into words.

mod look;
mod connect;
mod wire;
mod kinds;
mod refusal;
mod object;
mod fields;
mod secret;
mod schemas;
mod order;
mod apply;
mod predecessors;
mod versions;
mod task;
mod delete;
mod observe;
mod preview;
mod access;
mod watch;
mod config;
mod job;
mod settle;
mod evidence;
mod progress;
mod symptom;
mod doom;
mod import;
mod read;
mod target;
mod ready;
mod kept;
mod survey;

pub use order::implied;
pub use schemas::{configuration, runner, schemas};
pub use survey::{Standing, Survey, survey};
pub use target::Kubernetes;
