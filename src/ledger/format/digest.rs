//! Digests and lineages: the two identities that the ledger knows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::FormatError;

/// A SHA-256 digest. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// The SHA-256 of bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// A SHA-256 that is computed piece by piece, for what is too large to hold.
#[derive(Clone, Default)]
pub struct Digester(Sha256);

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

impl Digester {
    /// Takes in the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(in crate::ledger) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
    text
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        let bad = || FormatError::Shape("a digest is 64 lower-case hexadecimal digits".to_owned());
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(bad());
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(bad()),
        };
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(&self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The random identity of a ledger, for ever: 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(String);

impl Lineage {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(crate::ports::id::random_hex::<16>())
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the first entry of a ledger with this lineage names as the digest before it. Because every digest hangs
    /// on it, no entry of another ledger fits into this one's chain.
    #[must_use]
    pub fn genesis(&self) -> Digest {
        digest(format!("gantry ledger {}\n", self.0).as_bytes())
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Lineage {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, FormatError> {
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(FormatError::Shape("a lineage is 32 lower-case hexadecimal digits".to_owned()))
        }
    }
}

impl Serialize for Lineage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Lineage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha_256_in_hexadecimal() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest(b"").to_string(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap(), digest(b""));
        let mut pieces = Digester::default();
        pieces.update(b"ab");
        pieces.update(b"c");
        assert_eq!(pieces.finish(), digest(b"abc"));
        assert_eq!(serde_json::to_string(&digest(b"")).unwrap(), format!("\"{empty}\""));
        assert_eq!(serde_json::from_str::<Digest>(&format!("\"{empty}\"")).unwrap(), digest(b""));
        for bad in ["", "e3", &empty.to_uppercase(), &empty.replace('e', "g"), &format!("{empty}0")] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn lineages_differ_and_so_do_their_first_digests() {
        let (one, two) = (Lineage::random(), Lineage::random());
        assert_ne!(one, two);
        assert_ne!(one.genesis(), two.genesis());
        assert_eq!(one.as_str().parse::<Lineage>().unwrap(), one);
        for bad in ["", "0", "ABCDEFABCDEFABCDEFABCDEFABCDEFAB", "../../../../../../../../../../etc"] {
            assert!(bad.parse::<Lineage>().is_err(), "{bad}");
        }
    }
}
