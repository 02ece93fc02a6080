//! The messages of an ssh-agent (draft-miller-ssh-agent): which keys it has, and having it sign.

use super::key::Key;
use super::wire::{Reader, put_string};

/// The longest answer that is taken: OpenSSH's agent has the same bound.
pub const ANSWER_MAX: usize = 256 * 1024;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// Of RSA, SHA-512 is asked for: the default is SHA-1, which counts nowhere any more.
const RSA_SHA2_512: u32 = 4;

/// Why an agent's answer is none; the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// It said no.
    #[error("it refused")]
    Refused,
    /// It said something else.
    #[error("its answer cannot be read")]
    Unreadable,
}

/// A key that an agent has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The key.
    pub key: Key,
    /// What its owner calls it.
    pub comment: String,
}

/// Asks which keys there are.
#[must_use]
pub fn ask_identities() -> Vec<u8> {
    framed(&[REQUEST_IDENTITIES])
}

/// Asks for a signature over some bytes.
#[must_use]
pub fn ask_signature(key: &Key, message: &[u8]) -> Vec<u8> {
    let mut body = vec![SIGN_REQUEST];
    put_string(&mut body, key.wire());
    put_string(&mut body, message);
    body.extend(RSA_SHA2_512.to_be_bytes());
    framed(&body)
}

fn framed(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 4);
    put_string(&mut out, body);
    out
}

/// The keys in an answer, without its length; those of kinds that are not taken are left out.
///
/// # Errors
/// When it is none.
pub fn identities(answer: &[u8]) -> Result<Vec<Identity>, AgentError> {
    let mut reader = Reader(answer);
    if reader.byte() != Ok(IDENTITIES_ANSWER) {
        return Err(AgentError::Refused);
    }
    let count = reader.uint32().map_err(|_| AgentError::Unreadable)?;
    let mut found = Vec::new();
    for _ in 0..count {
        let (Ok(key), Ok(comment)) = (reader.string(), reader.string()) else { return Err(AgentError::Unreadable) };
        if let Ok(key) = Key::from_wire(key) {
            found.push(Identity { key, comment: String::from_utf8_lossy(comment).into_owned() });
        }
    }
    Ok(found)
}

/// The signature in an answer, without its length.
///
/// # Errors
/// When there is none.
pub fn signature(answer: &[u8]) -> Result<&[u8], AgentError> {
    let mut reader = Reader(answer);
    match reader.byte() {
        Ok(SIGN_RESPONSE) => reader.string().map_err(|_| AgentError::Unreadable),
        _ => Err(AgentError::Refused),
    }
}
