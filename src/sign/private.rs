//! Signing with a private key of OpenSSH's format.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    Ed25519KeyPair, RSA_PKCS1_SHA512,
};
use base64::Engine as _;
use dashu_int::UBig;
use ssh_key::private::{EcdsaKeypair, KeypairData, RsaKeypair};
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, Signature};

use super::key::{Key, KeyError};
use super::wire::{Reader, put_positive, put_string};

/// A private key that can sign.
pub struct PrivateKey {
    inner: ssh_key::PrivateKey,
    key: Key,
}

/// Why a private key is not taken, or does not sign; the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// It is encrypted, and no passphrase was given.
    #[error("it is protected by a passphrase")]
    Encrypted,
    /// The passphrase does not open it.
    #[error("the passphrase does not open it")]
    Passphrase,
    /// It belongs to a security key.
    #[error("it belongs to a security key, which signs through the ssh-agent alone")]
    SecurityKey,
    /// It is a private key in another format.
    #[error("it is a private key in another format than OpenSSH's")]
    OtherFormat,
    /// It is a public key.
    #[error("it is a public key")]
    Public,
    /// It is no key.
    #[error("it is not a private key")]
    NoKey,
    /// It is of a kind that is not taken.
    #[error("{0}")]
    Unsupported(KeyError),
    /// Its parts do not belong together.
    #[error("its parts do not belong together")]
    Broken,
}

impl PrivateKey {
    /// Reads the text of a private key file. One that is encrypted needs its passphrase.
    ///
    /// # Errors
    /// When it is none, or the passphrase is missing or wrong.
    pub fn parse(text: &str, passphrase: Option<&str>) -> Result<Self, PrivateKeyError> {
        let read = ssh_key::PrivateKey::from_openssh(text.trim_start()).ok();
        let inner = read.or_else(|| widened(text)).ok_or_else(|| other_than_openssh(text))?;
        let key = Key::of(inner.public_key().key_data()).map_err(PrivateKeyError::Unsupported)?;
        if !inner.is_encrypted() {
            return Ok(Self { inner, key });
        }
        let passphrase = passphrase.ok_or(PrivateKeyError::Encrypted)?;
        let inner = inner.decrypt(passphrase).map_err(|_| PrivateKeyError::Passphrase)?;
        Ok(Self { inner, key })
    }

    /// Its public key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// A signature over some bytes.
    ///
    /// # Errors
    /// When the key is one that cannot sign by itself, or broken.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Signature, PrivateKeyError> {
        let broken = |_| PrivateKeyError::Broken;
        let (algorithm, bytes) = match self.inner.key_data() {
            KeypairData::Ed25519(pair) => {
                let signer = Ed25519KeyPair::from_seed_and_public_key(&pair.private.to_bytes(), &pair.public.0);
                (Algorithm::Ed25519, signer.map_err(broken)?.sign(message).as_ref().to_vec())
            }
            KeypairData::Ecdsa(pair) => ecdsa(pair, message)?,
            KeypairData::Rsa(pair) => (Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, rsa(pair, message)?),
            KeypairData::SkEd25519(_) | KeypairData::SkEcdsaSha2NistP256(_) => {
                return Err(PrivateKeyError::SecurityKey);
            }
            _ => return Err(PrivateKeyError::Broken),
        };
        Signature::new(algorithm, bytes).map_err(|_| PrivateKeyError::Broken)
    }
}

/// The public half of a private key file, which stands in it in clear even where it is encrypted.
#[must_use]
pub fn public_half(text: &str) -> Option<Key> {
    Key::of(ssh_key::PrivateKey::from_openssh(text.trim_start()).ok()?.public_key().key_data()).ok()
}

/// An ECDSA key whose number is short: OpenSSH leaves leading zeros out, and the reader wants them. (One of two keys of P-521, one of
/// 256 of the others; of those with a passphrase the agent signs.)
fn widened(text: &str) -> Option<ssh_key::PrivateKey> {
    const MAGIC: &[u8] = b"openssh-key-v1\0";
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(body).ok()?;
    let mut outer = Reader(bytes.strip_prefix(MAGIC)?);
    let (cipher, kdf, options) = (outer.string().ok()?, outer.string().ok()?, outer.string().ok()?);
    let (count, public) = (outer.uint32().ok()?, outer.string().ok()?);
    let mut inner = Reader(outer.string().ok()?);
    let checks = [inner.uint32().ok()?, inner.uint32().ok()?];
    let (ty, curve, point) = (inner.string().ok()?, inner.string().ok()?, inner.string().ok()?);
    let (number, comment) = (inner.positive().ok()?, inner.string().ok()?);
    let length = [(&b"nistp256"[..], 32_usize), (b"nistp384", 48), (b"nistp521", 66)];
    let length = length.iter().find(|(name, _)| *name == curve).filter(|_| cipher == b"none")?.1;
    let mut wide = vec![0; length.checked_sub(number.len())?];
    wide.extend(number);
    let mut private: Vec<u8> = checks.iter().flat_map(|check| check.to_be_bytes()).collect();
    for field in [ty, curve, point, &wide, comment] {
        put_string(&mut private, field);
    }
    private.extend((1..8).take((8 - private.len() % 8) % 8));
    let mut out = MAGIC.to_vec();
    for field in [cipher, kdf, options] {
        put_string(&mut out, field);
    }
    out.extend(count.to_be_bytes());
    put_string(&mut out, public);
    put_string(&mut out, &private);
    ssh_key::PrivateKey::from_bytes(&out).ok()
}

fn other_than_openssh(text: &str) -> PrivateKeyError {
    if Key::parse(text).is_ok() {
        return PrivateKeyError::Public;
    }
    match text.contains("PRIVATE KEY-----") && !text.contains("BEGIN OPENSSH") {
        true => PrivateKeyError::OtherFormat,
        false => PrivateKeyError::NoKey,
    }
}

fn ecdsa(pair: &EcdsaKeypair, message: &[u8]) -> Result<(Algorithm, Vec<u8>), PrivateKeyError> {
    let (curve, algorithm, length) = match pair {
        EcdsaKeypair::NistP256 { .. } => (EcdsaCurve::NistP256, &ECDSA_P256_SHA256_FIXED_SIGNING, 32),
        EcdsaKeypair::NistP384 { .. } => (EcdsaCurve::NistP384, &ECDSA_P384_SHA384_FIXED_SIGNING, 48),
        EcdsaKeypair::NistP521 { .. } => (EcdsaCurve::NistP521, &ECDSA_P521_SHA512_FIXED_SIGNING, 66),
    };
    let (private, public) = (pair.private_key_bytes(), pair.public_key_bytes());
    let signer = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public);
    let signer = signer.map_err(|_| PrivateKeyError::Broken)?;
    let fixed = signer.sign(&SystemRandom::new(), message).map_err(|_| PrivateKeyError::Broken)?;
    let (r, s) = fixed.as_ref().split_at_checked(length).ok_or(PrivateKeyError::Broken)?;
    let mut bytes = Vec::new();
    put_positive(&mut bytes, r);
    put_positive(&mut bytes, s);
    Ok((Algorithm::Ecdsa { curve }, bytes))
}

fn rsa(pair: &RsaKeypair, message: &[u8]) -> Result<Vec<u8>, PrivateKeyError> {
    let part = |number: &ssh_key::Mpint| number.as_positive_bytes().map(<[u8]>::to_vec).ok_or(PrivateKeyError::Broken);
    let (n, e) = (part(&pair.public.n)?, part(&pair.public.e)?);
    let (d, p, q) = (part(&pair.private.d)?, part(&pair.private.p)?, part(&pair.private.q)?);
    // OpenSSH leaves out what follows from the rest.
    let reduced = |prime: &[u8]| {
        let below = UBig::from_be_bytes(prime);
        let one = UBig::from(1_u8);
        if below <= one { None } else { Some((UBig::from_be_bytes(&d) % (below - one)).to_be_bytes().to_vec()) }
    };
    let (d_p, d_q) = reduced(&p).zip(reduced(&q)).ok_or(PrivateKeyError::Broken)?;
    let q_inv = part(&pair.private.iqmp)?;
    let public_key = PublicKeyComponents { n, e };
    let components = KeyPairComponents { public_key, d, p, q, dP: d_p, dQ: d_q, qInv: q_inv };
    let signer = RsaKeyPair::from_components(&components).map_err(|_| PrivateKeyError::Broken)?;
    let mut bytes = vec![0; signer.public_modulus_len()];
    let signed = signer.sign(&RSA_PKCS1_SHA512, &SystemRandom::new(), message, &mut bytes);
    signed.map(|()| bytes).map_err(|_| PrivateKeyError::Broken)
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({:?})", self.key)
    }
}
