//! Revoked keys: a list of public keys, one a line, or OpenSSH's binary KRL (PROTOCOL.krl).

use std::collections::BTreeSet;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use super::key::Key;
use super::wire::{Reader, Short};

/// What a KRL begins with.
const MAGIC: u64 = 0x5353_484b_524c_0a00;
/// The version of its format.
const VERSION: u32 = 1;

/// The sections of a KRL.
const CERTIFICATES: u8 = 1;
const EXPLICIT_KEY: u8 = 2;
const FINGERPRINT_SHA1: u8 = 3;
const SIGNATURE: u8 = 4;
const FINGERPRINT_SHA256: u8 = 5;
const EXTENSION: u8 = 255;

/// The keys that count no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    keys: BTreeSet<Vec<u8>>,
    sha1: BTreeSet<Vec<u8>>,
    sha256: BTreeSet<Vec<u8>>,
}

/// What is wrong with a file of revoked keys; the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevokedError {
    /// A line is no key.
    #[error("line {0}: {1}")]
    Line(usize, String),
    /// The KRL is broken.
    #[error("it is a KRL that cannot be read: {0}")]
    Krl(String),
}

impl From<Short> for RevokedError {
    fn from(short: Short) -> Self {
        Self::Krl(short.to_string())
    }
}

/// Whether bytes are a KRL.
#[must_use]
pub fn is_krl(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC.to_be_bytes())
}

impl Revoked {
    /// Reads a list of public keys, one a line.
    ///
    /// # Errors
    /// When a line is no key: a key that nobody can read would go on counting.
    pub fn parse_list(text: &str) -> Result<Self, RevokedError> {
        let mut revoked = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = Key::parse(line).map_err(|why| RevokedError::Line(at + 1, why.to_string()))?;
            revoked.keys.insert(key.wire().to_vec());
        }
        Ok(revoked)
    }

    /// Reads a KRL. What it says about certificates is passed over, for none is taken; its signatures, if it has any, are not
    /// looked at: it comes with the configuration.
    ///
    /// # Errors
    /// When it is broken, or holds something critical that is not known.
    pub fn parse_krl(bytes: &[u8]) -> Result<Self, RevokedError> {
        let krl = |why: String| RevokedError::Krl(why);
        let mut reader = Reader(bytes);
        if reader.uint64()? != MAGIC {
            return Err(krl("it does not begin as one".into()));
        }
        let version = reader.uint32()?;
        if version != VERSION {
            return Err(krl(format!("its format is {version}, and Gantry knows {VERSION}")));
        }
        // Its number, its date, its flags, a reserved field, its comment.
        for _ in 0..3 {
            reader.uint64()?;
        }
        reader.string()?;
        reader.string()?;
        let mut revoked = Self::default();
        while !reader.is_empty() {
            let (ty, body) = (reader.byte()?, reader.string()?);
            match ty {
                CERTIFICATES => {}
                EXPLICIT_KEY => each(body, &mut revoked.keys, None)?,
                FINGERPRINT_SHA1 => each(body, &mut revoked.sha1, Some(20))?,
                FINGERPRINT_SHA256 => each(body, &mut revoked.sha256, Some(32))?,
                // The key was that string; the signature follows.
                SIGNATURE => drop(reader.string()?),
                EXTENSION => {
                    let mut extension = Reader(body);
                    let (name, critical) = (extension.string()?, extension.byte()? != 0);
                    if critical {
                        let name: String = String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).collect();
                        return Err(krl(format!(
                            "it holds the critical extension \"{name}\", which Gantry does not know"
                        )));
                    }
                }
                other => return Err(krl(format!("it holds a section of the unknown type {other}"))),
            }
        }
        Ok(revoked)
    }

    /// Whether a key counts no more.
    #[must_use]
    pub fn holds(&self, key: &Key) -> bool {
        let wire = key.wire();
        self.keys.contains(wire)
            || (!self.sha1.is_empty() && self.sha1.contains(Sha1::digest(wire).as_slice()))
            || (!self.sha256.is_empty() && self.sha256.contains(Sha256::digest(wire).as_slice()))
    }
}

fn each(body: &[u8], into: &mut BTreeSet<Vec<u8>>, length: Option<usize>) -> Result<(), RevokedError> {
    let mut reader = Reader(body);
    while !reader.is_empty() {
        let bytes = reader.string()?;
        if length.is_some_and(|length| length != bytes.len()) {
            return Err(RevokedError::Krl("a digest in it has the wrong length".into()));
        }
        into.insert(bytes.to_vec());
    }
    Ok(())
}
