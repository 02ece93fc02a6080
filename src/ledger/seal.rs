//! Keyed digests of what must not be written down.
//!
//! A sensitive value stands in the ledger as HMAC-SHA256 under the ledger's key: enough to see whether it is the same
//! value again, worth nothing to who has the ledger but not the key. The key is 32 random bytes in a file of its own
//! beside the ledger. Values that have to come back are sealed as well: see [`super::encryption`].

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::format::digest::hex;

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

    /// Its bytes, for the file that keeps them.
    pub(in crate::ledger) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
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
    fn a_key_shows_nothing_of_itself() {
        let key = Key::from_bytes(b"abcdefghijklmnopqrstuvwxyz012345").unwrap();
        assert_eq!(format!("{key:?}"), "Key(…)");
        assert!(Key::from_bytes(b"short").is_none() && Key::from_bytes(&[0; 33]).is_none());
    }
}
