//! Who agreed to what: SSH signatures over one line of text, the people behind keys, and the decision whether a gate opens.
//!
//! Everything here is a pure function of what it is handed: no disk, no clock, no agent. The formats are OpenSSH's, so that
//! `ssh-keygen -Y sign` and `-Y verify` do the same with the same files.
//!
//! * [`statement`]: the line that is signed
//! * [`key`]: public keys, and whether a signature is one of theirs; [`private`]: signing with a private key
//! * [`sshsig`]: the armoured signature, in the namespace `gantry`
//! * [`pattern`], [`signers`], [`revoked`]: the allowed-signers file and what takes keys out of it again
//! * [`gate`]: the decision: which approvals count, and whether they are enough
//! * [`agent`]: the messages of an ssh-agent
//! * [`wire`]: how OpenSSH writes numbers and strings

pub mod wire;
pub mod key;
pub mod private;
pub mod statement;
pub mod sshsig;
pub mod pattern;
pub mod signers;
pub mod revoked;
pub mod gate;
pub mod agent;
#[cfg(test)]
mod tests;

pub use gate::{Author, Claim, Gate, Refusal, Request, Standing, judge};
pub use key::Key;
pub use private::{PrivateKey, PrivateKeyError};
pub use revoked::Revoked;
pub use signers::Signers;
pub use sshsig::{NAMESPACE, OpenError, Signed};
pub use statement::{Role, Statement};
