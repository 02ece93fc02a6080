//! Processes: who one is, starting one that outlives us or dies with us, signals that reach the right one.
//!
//! A pid is a number that the system hands out again. A process is known here by its [`ProcessId`]: pid, start time and the
//! boot that it runs in. A signal goes through a pidfd whose start time was looked at after it was opened, so that it
//! can never reach a stranger that inherited the number (`pidfd_open(2)`, `pidfd_send_signal(2)`).
//!
//! Descendants are found by a variable in their environment ([`with_variable`]): it is inherited over every fork, also by
//! those that leave their parent's session, and nobody else has it.
//!
//! Linux has all of this. Elsewhere identity comes from `ps`, signals go by pid after a look at the identity, and descendants
//! are reached through their process group alone.

mod identity;
mod lock;
mod socket;
mod spawn;
mod table;

pub use identity::{ProcessId, Signal};
pub use lock::Lock;
pub use socket::{bind_in, connect_in};
pub use spawn::{
    Captured, Detached, Ended, Launch, LaunchError, Piped, adopt_orphans, become_program, capture, find_program,
    leave_session, new_session, start_detached, start_piped, terminate_signal,
};
pub use table::{kill_with_variable, port_owner, reap_orphans, with_variable};
