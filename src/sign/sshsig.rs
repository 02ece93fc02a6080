//! The armoured signature (PROTOCOL.sshsig), in the namespace `gantry`.

use serde::{Deserialize, Serialize};
use ssh_key::{HashAlg, LineEnding, Signature, SshSig};

use super::gate::Claim;
use super::key::{Key, KeyError};
use super::private::{PrivateKey, PrivateKeyError};
use super::statement::{LineError, Role, Statement};

/// The namespace of all that Gantry signs and takes: a signature for anything else (a file, a commit) is never one for this.
pub const NAMESPACE: &str = "gantry";

/// The longest armoured signature: one of RSA with 8192 bits is below 4 KiB.
const ARMOUR_MAX: usize = 16 * 1024;

/// A line with its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The line, without its end.
    pub line: String,
    /// The armoured signature over the line with its end.
    pub signature: String,
}

/// Why a line with a signature says nothing; the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The line is none.
    #[error("its line is not taken: {0}")]
    Line(LineError),
    /// It was signed as something else.
    #[error("it was signed as {}, not as {}", .0.word(), .1.word())]
    Role(Role, Role),
    /// It is no signature.
    #[error("it is not an SSH signature (-----BEGIN SSH SIGNATURE-----)")]
    Malformed,
    /// Its namespace is another one.
    #[error("it was made for the namespace \"{0}\", and Gantry takes \"{NAMESPACE}\" alone")]
    Namespace(String),
    /// Its key is of a kind that is not taken.
    #[error("its key is not taken: {0}")]
    Key(KeyError),
    /// It does not fit.
    #[error("the signature does not fit the line: one of them was changed, or it is over something else")]
    Unfit,
}

/// What the key is to sign for a line.
#[must_use]
pub fn to_be_signed(line: &str) -> Vec<u8> {
    SshSig::signed_data(NAMESPACE, HashAlg::Sha512, &Statement::message(line))
        .expect("invariant: the namespace is not empty")
}

/// Signs a line with a private key.
///
/// # Errors
/// When the key cannot sign.
pub fn sign(line: &str, key: &PrivateKey) -> Result<Signed, PrivateKeyError> {
    let signature = key.sign(&to_be_signed(line))?;
    armoured(line, key.key(), signature).ok_or(PrivateKeyError::Broken)
}

/// A line with the signature that an agent gave for [`to_be_signed`]: its bytes as the agent writes them.
#[must_use]
pub fn from_agent(line: &str, key: &Key, signature: &[u8]) -> Option<Signed> {
    let signature = Signature::try_from(signature).ok()?;
    armoured(line, key, signature)
}

fn armoured(line: &str, key: &Key, signature: Signature) -> Option<Signed> {
    let sig = SshSig::new(key.data().clone(), NAMESPACE, HashAlg::Sha512, signature).ok()?;
    let signature = sig.to_pem(LineEnding::LF).ok()?;
    Some(Signed { line: line.to_owned(), signature })
}

impl Signed {
    /// What it says, if the signature fits. Whether the key is anybody's is another question ([`super::gate`]).
    ///
    /// # Errors
    /// When the line or the signature is none, or they do not fit.
    pub fn open(&self, role: Role) -> Result<Claim, OpenError> {
        let statement = Statement::parse(&self.line).map_err(OpenError::Line)?;
        if statement.role != role {
            return Err(OpenError::Role(statement.role, role));
        }
        if self.signature.len() > ARMOUR_MAX {
            return Err(OpenError::Malformed);
        }
        let sig = SshSig::from_pem(self.signature.trim()).map_err(|_| OpenError::Malformed)?;
        // One spelling for each: the version is no part of what is signed, and the reader forgives lengths that are wrong.
        let bare = |text: &str| text.split_ascii_whitespace().collect::<String>();
        let same = sig.to_pem(LineEnding::LF).is_ok_and(|again| bare(&again) == bare(&self.signature));
        if !same || sig.version() != SshSig::VERSION {
            return Err(OpenError::Malformed);
        }
        if sig.namespace() != NAMESPACE {
            return Err(OpenError::Namespace(sig.namespace().chars().filter(|c| !c.is_control()).take(60).collect()));
        }
        let key = Key::of(sig.public_key()).map_err(OpenError::Key)?;
        let message = SshSig::signed_data(NAMESPACE, sig.hash_alg(), &Statement::message(&self.line));
        let fits = message.is_ok_and(|message| sig.reserved().is_empty() && key.made(sig.signature(), &message));
        if fits { Ok(Claim { statement, key }) } else { Err(OpenError::Unfit) }
    }
}
