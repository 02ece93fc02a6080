//! Keyed digests of what must not be written down.
//!
//! A sensitive value stands in the ledger as HMAC-SHA256 under the ledger's key: enough to see whether it is the same
//! value again, worth nothing to who has the ledger but not the key. The key is 32 random bytes, kept with their digest in a file
//! of its own beside the ledger. Values that have to come back are sealed as well: see [`super::encryption`].

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::format::digest::{digest, hex};

/// The bytes of a key.
pub const KEY_BYTES: usize = 32;

/// A ledger's key. It has no `Display`, and its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; KEY_BYTES]);

impl Key {
    /// A new key from the system's randomness.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::ports::id::random())
    }

    /// The key that these bytes are; `None` unless there are exactly [`KEY_BYTES`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    /// Its bytes as hexadecimal digits, for a plan that is saved before there is a ledger to have a key.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex(&self.0)
    }

    /// A key back from [`Key::to_hex`]'s digits; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits = |n: usize| text.get(2 * n..2 * n + 2).and_then(|d| u8::from_str_radix(d, 16).ok());
        let bytes: Vec<u8> = (0..KEY_BYTES).map_while(digits).collect();
        if text.len() == 2 * KEY_BYTES { Self::from_bytes(&bytes) } else { None }
    }

    /// The bytes that are kept of it: its own, then their digest, by which a rotten key is told from a good one before it makes
    /// every secret look changed.
    pub(in crate::ledger) fn kept(&self) -> Vec<u8> {
        [self.0.as_slice(), &digest(&self.0).0].concat()
    }

    /// A key back from [`Key::kept`]'s bytes. A key alone, as older ledgers have it, is taken as it is.
    ///
    /// # Errors
    /// When it is no key, or not the one that was kept; the reason.
    pub(in crate::ledger) fn from_kept(bytes: &[u8]) -> Result<Self, &'static str> {
        let Some((own, rest)) = bytes.split_at_checked(KEY_BYTES) else { return Err("it is too short") };
        match rest {
            [] => {}
            rest if rest.len() != KEY_BYTES => return Err("it is neither a key nor a key with its digest"),
            rest if rest != digest(own).0 => return Err("it is not the key that was kept: its digest is another"),
            _ => {}
        }
        Self::from_bytes(own).ok_or("it is too short")
    }

    /// The keyed digest of bytes, as `hmac-sha256:` and 64 hexadecimal digits.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    #[must_use]
    pub fn hmac(&self, bytes: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("invariant: HMAC takes a key of any length");
        mac.update(bytes);
        format!("hmac-sha256:{}", hex(&mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        // RFC 4231 has no case with a key of 32 bytes; this one is computed with Python's hmac module.
        let key = Key::from_bytes(&[0x0b; 32]).unwrap();
        assert_eq!(
            key.hmac(b"Hi There"),
            "hmac-sha256:198a607eb44bfbc69903a0f1cf2bbdc5ba0aa3f3d9ae3c1c7a3b1696a0b68cf7"
        );
        assert_ne!(key.hmac(b"Hi There"), Key::random().hmac(b"Hi There"));
    }

    #[test]
    fn a_kept_key_comes_back_and_a_rotten_one_does_not() {
        let key = Key::random();
        let kept = key.kept();
        assert!(Key::from_kept(&kept).is_ok_and(|back| back == key));
        assert!(Key::from_kept(&kept[..KEY_BYTES]).is_ok_and(|back| back == key), "as older ledgers have it");
        for bit in 0..kept.len() * 8 {
            let mut changed = kept.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Key::from_kept(&changed).is_err(), "bit {bit}");
        }
        for length in (0..kept.len()).filter(|n| *n != KEY_BYTES) {
            assert!(Key::from_kept(&kept[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_key_shows_nothing_of_itself() {
        let key = Key::from_bytes(b"abcdefghijklmnopqrstuvwxyz012345").unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
        assert!(Key::from_bytes(b"short").is_none() && Key::from_bytes(&[0; 33]).is_none());
    }
}
