//! Public keys, and whether a signature is one of theirs.

use std::cmp::Ordering;
use std::fmt;

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use sha2::{Digest as _, Sha256};
use ssh_key::public::{EcdsaPublicKey, KeyData};
use ssh_key::{Algorithm, HashAlg, Signature};

use super::wire::Reader;

/// The flag of a security key's signature that says that somebody touched it (PROTOCOL.u2f).
const TOUCHED: u8 = 1;

/// A public key of a kind that can be verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    data: KeyData,
    wire: Vec<u8>,
}

/// Why a text or bytes are no key that is taken; the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A certificate.
    #[error("it is a certificate ({0}), and Gantry takes plain keys only")]
    Certificate(String),
    /// A kind of key that cannot be verified.
    #[error(
        "keys of the type {0} are not supported; take ssh-ed25519, ecdsa-sha2-nistp256 or ssh-rsa (2048 bits or more)"
    )]
    Unsupported(String),
    /// No key at all.
    #[error("it is not a public key as OpenSSH writes it (TYPE BASE64 COMMENT)")]
    NoKey,
}

impl Key {
    /// A key from OpenSSH's one line: type, base64, comment.
    ///
    /// # Errors
    /// When it is none, or of a kind that is not taken.
    pub fn parse(line: &str) -> Result<Self, KeyError> {
        let line = line.trim();
        let ty = line.split_ascii_whitespace().next().unwrap_or_default();
        if ty.contains("-cert-v0") {
            return Err(KeyError::Certificate(shown(ty)));
        }
        match ssh_key::PublicKey::from_openssh(line) {
            Ok(key) => Self::of(key.key_data()),
            Err(_) if ["ssh-dss", "ssh-xmss@openssh.com"].contains(&ty) => Err(KeyError::Unsupported(shown(ty))),
            Err(_) => Err(KeyError::NoKey),
        }
    }

    /// A key from its bytes, as an agent or a signature holds it.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_wire(bytes: &[u8]) -> Result<Self, KeyError> {
        let named = Reader(bytes).string().map(|ty| String::from_utf8_lossy(ty).into_owned()).unwrap_or_default();
        if named.contains("-cert-v0") {
            return Err(KeyError::Certificate(shown(&named)));
        }
        match ssh_key::PublicKey::from_bytes(bytes) {
            Ok(key) => Self::of(key.key_data()),
            Err(_) => Err(KeyError::NoKey),
        }
    }

    pub(super) fn of(data: &KeyData) -> Result<Self, KeyError> {
        match data {
            KeyData::Ed25519(_) | KeyData::Ecdsa(_) | KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_) => {}
            KeyData::Rsa(rsa) if rsa.n.as_positive_bytes().is_some_and(|n| n.len() >= 2048 / 8) => {}
            other => return Err(KeyError::Unsupported(shown(other.algorithm().as_str()))),
        }
        let wire = ssh_key::PublicKey::from(data.clone()).to_bytes().map_err(|_| KeyError::NoKey)?;
        Ok(Self { data: data.clone(), wire })
    }

    /// Its bytes as OpenSSH has them.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    pub(super) fn data(&self) -> &KeyData {
        &self.data
    }

    /// Its type, as `ssh-ed25519`.
    #[must_use]
    pub fn ty(&self) -> String {
        self.data.algorithm().as_str().to_owned()
    }

    /// `SHA256:` and base64, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.data.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Whether this key made a signature over some bytes.
    #[must_use]
    pub fn made(&self, signature: &Signature, message: &[u8]) -> bool {
        let bytes = signature.as_bytes();
        match (&self.data, signature.algorithm()) {
            (KeyData::Ed25519(key), Algorithm::Ed25519) => verifies(&ED25519, &key.0, message, bytes),
            (KeyData::Ecdsa(key), Algorithm::Ecdsa { curve }) if key.curve() == curve => ecdsa(key, message, bytes),
            (KeyData::Rsa(key), Algorithm::Rsa { hash: Some(hash) }) => {
                let (Some(n), Some(e)) = (key.n.as_positive_bytes(), key.e.as_positive_bytes()) else { return false };
                let parameters = match hash {
                    HashAlg::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                    HashAlg::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                    _ => return false,
                };
                // An agent may leave leading zeros out.
                let Some(missing) = n.len().checked_sub(bytes.len()) else { return false };
                let padded: Vec<u8> = std::iter::repeat_n(0, missing).chain(bytes.iter().copied()).collect();
                PublicKeyComponents { n, e }.verify(parameters, message, &padded).is_ok()
            }
            (KeyData::SkEd25519(key), Algorithm::SkEd25519) => {
                let Some((bytes, message)) = by_security_key(bytes, key.application(), message) else { return false };
                verifies(&ED25519, &key.public_key().0, &message, bytes)
            }
            (KeyData::SkEcdsaSha2NistP256(key), Algorithm::SkEcdsaSha2NistP256) => {
                let Some((bytes, message)) = by_security_key(bytes, key.application(), message) else { return false };
                ecdsa(&EcdsaPublicKey::NistP256(*key.ec_point()), &message, bytes)
            }
            _ => false,
        }
    }
}

fn verifies(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

/// A signature of two numbers, which the library takes at a fixed length.
fn ecdsa(key: &EcdsaPublicKey, message: &[u8], signature: &[u8]) -> bool {
    let (algorithm, length): (&'static dyn VerificationAlgorithm, usize) = match key {
        EcdsaPublicKey::NistP256(_) => (&ECDSA_P256_SHA256_FIXED, 32),
        EcdsaPublicKey::NistP384(_) => (&ECDSA_P384_SHA384_FIXED, 48),
        EcdsaPublicKey::NistP521(_) => (&ECDSA_P521_SHA512_FIXED, 66),
    };
    let mut reader = Reader(signature);
    let (Ok(r), Ok(s), true) = (reader.positive(), reader.positive(), reader.is_empty()) else { return false };
    let (Some(before_r), Some(before_s)) = (length.checked_sub(r.len()), length.checked_sub(s.len())) else {
        return false;
    };
    let mut fixed = vec![0; before_r];
    fixed.extend(r);
    fixed.extend(std::iter::repeat_n(0, before_s));
    fixed.extend(s);
    verifies(algorithm, key.as_sec1_bytes(), message, &fixed)
}

/// What a security key really signs (PROTOCOL.u2f), and its bare signature; `None` where nobody touched it.
fn by_security_key<'a>(bytes: &'a [u8], application: &str, message: &[u8]) -> Option<(&'a [u8], Vec<u8>)> {
    let (bare, tail) = bytes.split_last_chunk::<5>()?;
    if tail[0] & TOUCHED == 0 {
        return None;
    }
    let mut signed = Sha256::digest(application.as_bytes()).to_vec();
    signed.extend(tail);
    signed.extend(Sha256::digest(message));
    Some((bare, signed))
}

fn shown(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).take(60).collect()
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.wire.cmp(&other.wire)
    }
}
