//! The ledger in people's hands: moving and dropping records, taking a lease away, copying a whole ledger, taking on what
//! another tool recorded.

mod adopt;
mod copy;
mod edit;
mod gc;
mod unlock;

pub use adopt::{Adoption, terraform};
pub use copy::{Carefully, Copied, migrate, pull, push};
pub(in crate::ops) use edit::no_open_run;
pub use edit::{mv, rm};
pub use gc::{Collecting, Garbage, KEEP, gc, is_begun, look};
pub use unlock::{Unlocked, unlock};
