//! Sealing secrets with age, so that they can come back.
//!
//! Beside its keyed digest a sensitive value stands in the ledger as a file of [age](https://age-encryption.org/v1) in base64, for
//! all recipients that the environment names. Whoever has one of the identities opens it again: Gantry, or the `age` tool
//! without it. Sealing says nothing about who sealed: that an entry is ours is the chain's business, and that the text is the one
//! of the digest is looked at when it is opened.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use age::x25519;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::value;

/// The largest text that is opened; nothing that was sealed is larger than an entry.
const TEXT_MAX: u64 = 64 << 20;

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A recipient was expected, and this is the secret key itself.
    #[error(
        "it is an identity, which is the secret key itself, where a recipient is expected, which is the public one"
    )]
    Secret,
    /// An identity was expected, and this is the public key.
    #[error("it holds a recipient, which can only seal; the identity that opens begins with \"AGE-SECRET-KEY-1\"")]
    Public,
    /// Keys of SSH.
    #[error("keys of SSH are not taken; make a key for age with: age-keygen")]
    Ssh,
    /// Keys of hardware and other programs.
    #[error("keys of age plugins are not taken; make a key for age with: age-keygen")]
    Plugin,
    /// A file of identities that is itself encrypted.
    #[error("it is encrypted, and nobody can be asked for its passphrase here; decrypt it first")]
    Encrypted,
    /// Its checksum is wrong.
    #[error("it is incomplete or has a typing error: its checksum does not fit")]
    Malformed,
    /// There is no key at all.
    #[error("there is no key in it")]
    Empty,
    /// Nothing of the above.
    #[error("it does not begin as a key of age does")]
    Other,
}

/// Somebody for whom secrets are sealed: the public key.
#[derive(Clone)]
pub struct Recipient(x25519::Recipient);

impl Recipient {
    /// Reads `age1…`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            return Err(KeyError::Secret);
        }
        if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
            return Err(KeyError::Ssh);
        }
        let Some(rest) = text.strip_prefix("age1") else { return Err(KeyError::Other) };
        // The digits of bech32 have no "1", so a second one belongs to a plugin's name.
        if rest.contains('1') {
            return Err(KeyError::Plugin);
        }
        text.parse().map(Self).map_err(|_| KeyError::Malformed)
    }
}

/// Who may open: the secret keys. Nothing of them is ever shown.
#[derive(Clone, Default)]
pub struct Identities(Vec<x25519::Identity>);

impl Identities {
    /// Reads a file of identities as `age-keygen` writes it: one a line, `#` in front of remarks.
    ///
    /// # Errors
    /// When a line is none, with its number, or there is none at all.
    pub fn parse(text: &str) -> Result<Self, (usize, KeyError)> {
        let mut all = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |why| (at + 1, why);
            match line {
                _ if line.starts_with("AGE-SECRET-KEY-1") => {
                    all.push(line.parse().map_err(|_| wrong(KeyError::Malformed))?);
                }
                _ if line.starts_with("AGE-PLUGIN-") => return Err(wrong(KeyError::Plugin)),
                _ if line.starts_with("age1") => return Err(wrong(KeyError::Public)),
                _ if line.starts_with("age-encryption.org/") || line.starts_with("-----BEGIN AGE ENCRYPTED") => {
                    return Err(wrong(KeyError::Encrypted));
                }
                _ if line.starts_with("-----BEGIN ") || line.starts_with("ssh-") => return Err(wrong(KeyError::Ssh)),
                _ => return Err(wrong(KeyError::Other)),
            }
        }
        if all.is_empty() { Err((1, KeyError::Empty)) } else { Ok(Self(all)) }
    }

    /// These and others.
    pub fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.0.len())
    }
}

/// Seals for all recipients. The same text is sealed once: its digest tells anyway that it is the same.
pub struct Sealer {
    recipients: Vec<Recipient>,
    sealed: Mutex<BTreeMap<String, Arc<str>>>,
}

impl Sealer {
    /// For these; `None` where there is nobody to seal for.
    #[must_use]
    pub fn new(recipients: Vec<Recipient>) -> Option<Self> {
        (!recipients.is_empty()).then(|| Self { recipients, sealed: Mutex::default() })
    }

    fn seal_now(&self, text: &[u8]) -> Arc<str> {
        let recipients = self.recipients.iter().map(|r| &r.0 as &dyn age::Recipient);
        let sealed = age::Encryptor::with_recipients(recipients).ok().and_then(|encryptor| {
            let mut out = Vec::new();
            let mut writer = encryptor.wrap_output(&mut out).ok()?;
            writer.write_all(text).ok()?;
            writer.finish().ok()?;
            Some(out)
        });
        STANDARD.encode(sealed.expect("invariant: sealing into memory for at least one recipient cannot fail")).into()
    }
}

impl value::Sealer for Sealer {
    fn seal(&self, digest: &str, text: &[u8]) -> Arc<str> {
        let known = self.sealed.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned();
        known.unwrap_or_else(|| {
            let sealed = self.seal_now(text);
            self.sealed.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.to_owned(), Arc::clone(&sealed));
            sealed
        })
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({})", self.recipients.len())
    }
}

/// What was opened, or that it cannot be, by what was sealed.
type Opened = BTreeMap<Arc<str>, Option<Arc<Vec<u8>>>>;

/// Opens with any of some identities. What was opened once is not opened again.
#[derive(Default)]
pub struct Opener {
    identities: Identities,
    opened: Mutex<Opened>,
}

impl Opener {
    /// With these.
    #[must_use]
    pub fn new(identities: Identities) -> Self {
        Self { identities, opened: Mutex::default() }
    }

    /// Whether nobody opens anything here.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.identities.is_empty()
    }

    fn open_now(&self, sealed: &str) -> Option<Vec<u8>> {
        let bytes = STANDARD.decode(sealed).ok()?;
        let decryptor = age::Decryptor::new(bytes.as_slice()).ok()?;
        // A file that asks for a passphrase is none that was sealed here, and trying it would cost seconds.
        if decryptor.is_scrypt() {
            return None;
        }
        let identities = self.identities.0.iter().map(|i| i as &dyn age::Identity);
        let mut text = Vec::new();
        decryptor.decrypt(identities).ok()?.take(TEXT_MAX).read_to_end(&mut text).ok()?;
        Some(text)
    }
}

impl value::Opener for Opener {
    fn open(&self, sealed: &str) -> Option<Vec<u8>> {
        if self.is_idle() {
            return None;
        }
        let known = self.opened.lock().unwrap_or_else(PoisonError::into_inner).get(sealed).cloned();
        let text = known.unwrap_or_else(|| {
            let text = self.open_now(sealed).map(Arc::new);
            self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(sealed.into(), text.clone());
            text
        });
        text.map(|text| text.to_vec())
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener({:?})", self.identities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Opener as _, Sealer as _};

    // Made by age-keygen for this test.
    const IDENTITY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";

    fn pair() -> (Recipient, Identities) {
        let identity = x25519::Identity::generate();
        (Recipient(identity.to_public()), Identities(vec![identity]))
    }

    #[test]
    fn each_recipient_opens_and_nobody_else() {
        let (anna, annas) = pair();
        let (berta, bertas) = pair();
        let (_, others) = pair();
        let sealer = Sealer::new(vec![anna, berta]).unwrap();
        let sealed = sealer.seal("digest", b"hunter2");
        assert_eq!(sealed, sealer.seal("digest", b"hunter2"), "one text is sealed once");
        for identities in [annas, bertas] {
            let opener = Opener::new(identities);
            assert_eq!(opener.open(&sealed).as_deref(), Some(b"hunter2".as_slice()));
            assert_eq!(opener.open(&sealed).as_deref(), Some(b"hunter2".as_slice()), "from what was opened");
        }
        assert_eq!(Opener::new(others).open(&sealed), None);
        assert_eq!(Opener::default().open(&sealed), None);
        let text = STANDARD.decode(&*sealed).unwrap();
        assert!(text.starts_with(b"age-encryption.org/v1\n"), "the age tool opens it as well");
    }

    #[test]
    fn what_was_tampered_with_does_not_open() {
        let (anna, annas) = pair();
        let sealed = Sealer::new(vec![anna]).unwrap().seal("digest", b"hunter2");
        let opener = Opener::new(annas);
        let mut bytes = STANDARD.decode(&*sealed).unwrap();
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert_ne!(opener.open(&STANDARD.encode(&bytes)).as_deref(), Some(b"hunter2".as_slice()), "byte {at}");
            bytes[at] ^= 1;
        }
        for junk in ["", "x", "AAAA", &sealed[..sealed.len() / 2]] {
            assert_eq!(opener.open(junk), None);
        }
    }

    #[test]
    fn what_is_no_key_says_what_it_is() {
        assert!(Identities::parse(IDENTITY).is_ok(), "the key of these tests");
        let identity: x25519::Identity = IDENTITY.parse().unwrap();
        let recipient = identity.to_public().to_string();
        assert!(Recipient::parse(&recipient).is_ok());
        let recipients = [
            (IDENTITY, KeyError::Secret),
            ("ssh-ed25519 AAAA", KeyError::Ssh),
            ("age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", KeyError::Plugin),
            (&recipient[..20], KeyError::Malformed),
            (" ", KeyError::Empty),
            ("anna@example.com", KeyError::Other),
        ];
        for (text, why) in recipients {
            assert_eq!(Recipient::parse(text).err(), Some(why), "{text}");
        }
        let identities = [
            (format!("# created\n{recipient}\n"), (2, KeyError::Public)),
            (format!("\n{}", &IDENTITY[..30]), (2, KeyError::Malformed)),
            ("# nothing".into(), (1, KeyError::Empty)),
            ("age-encryption.org/v1\n-> scrypt".into(), (1, KeyError::Encrypted)),
            ("-----BEGIN OPENSSH PRIVATE KEY-----".into(), (1, KeyError::Ssh)),
            ("AGE-PLUGIN-YUBIKEY-1".into(), (1, KeyError::Plugin)),
            ("hunter2".into(), (1, KeyError::Other)),
        ];
        for (text, why) in identities {
            assert_eq!(Identities::parse(&text).err(), Some(why), "{text}");
        }
    }

    #[test]
    fn nothing_of_a_secret_key_shows() {
        let identities = Identities::parse(IDENTITY).unwrap();
        assert_eq!(format!("{:?}", Opener::new(identities)), "Opener(Identities(1))");
    }
}
