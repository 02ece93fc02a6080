//! Taking secrets out of texts, in the forms in which a program would echo them.

use std::fmt;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands for a secret.
const HIDDEN: &str = "(sensitive)";

/// The shortest secret of which hexadecimal digits are looked for, in bytes: shorter ones are any small number.
const SHORTEST_HEX: usize = 4;

/// The shortest base64 form that is looked for, in characters: shorter ones stand in any text by chance.
const SHORTEST_ENCODED: usize = 6;

/// The secrets that must not show. Its `Debug` form does not show them either.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Every form of every secret, longest first.
    forms: Vec<String>,
    /// The same in UTF-16, in both orders of bytes. Only bytes are searched for them, and most secrets never meet any.
    wide: OnceLock<Vec<Vec<u8>>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Secrets to be hidden wherever they stand: as they are, percent-encoded, in JSON, and in base64, also as part of a
    /// longer text that was encoded (`Authorization: Basic`).
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut forms: Vec<String> = Vec::new();
        for secret in secrets.into_iter().filter(|s| !s.is_empty()) {
            forms.push(secret.to_owned());
            forms.extend(percent_encoded(secret));
            forms.push(serde_json::Value::from(secret).to_string().trim_matches('"').to_owned());
            forms.push(format!("{secret:?}").trim_matches('"').to_owned());
            forms.push(ascii_json(secret));
            // What a program says in UTF-16 has become text by the time that it is looked at.
            for order in [u16::to_le_bytes, u16::to_be_bytes] {
                let wide: Vec<u8> = secret.encode_utf16().flat_map(order).collect();
                forms.push(String::from_utf8_lossy(&wide).into_owned());
            }
            forms.extend(base64_forms(secret));
            if secret.len() >= SHORTEST_HEX {
                forms.push(secret.bytes().map(|b| format!("{b:02x}")).collect());
                forms.push(secret.bytes().map(|b| format!("{b:02X}")).collect());
            }
        }
        forms.retain(|f| !f.is_empty());
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self { forms, wide: OnceLock::new() }
    }

    fn wide(&self) -> &[Vec<u8>] {
        let wide = |order: fn(u16) -> [u8; 2]| {
            self.forms.iter().map(move |form| form.encode_utf16().flat_map(order).collect::<Vec<u8>>())
        };
        self.wide.get_or_init(|| wide(u16::to_le_bytes).chain(wide(u16::to_be_bytes)).collect())
    }

    /// Bytes without them, also where they stand in UTF-16.
    #[must_use]
    pub fn hide_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mut parts = vec![bytes.to_vec()];
        for form in self.forms.iter().map(String::as_bytes).chain(self.wide().iter().map(Vec::as_slice)) {
            parts = parts.iter().flat_map(|part| split(part, form)).collect();
        }
        parts.join(HIDDEN.as_bytes())
    }

    /// `text` without them.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        // Behind the first replacement a later, shorter form could match inside of the mark itself; marks are kept apart.
        let mut parts = vec![text.to_owned()];
        for form in self.forms.iter().filter(|form| text.contains(form.as_str())) {
            let split = parts.iter().flat_map(|part| part.split(form.as_str()).map(str::to_owned));
            parts = split.collect();
        }
        parts.join(HIDDEN)
    }
}

/// What stands around each occurrence of `form`.
fn split(part: &[u8], form: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at + form.len() <= part.len() {
        if part[at..].starts_with(form) {
            out.push(part[start..at].to_vec());
            at += form.len();
            start = at;
        } else {
            at += 1;
        }
    }
    out.push(part[start..].to_vec());
    out
}

/// As JSON that keeps to ASCII, which is what Python and others write.
fn ascii_json(secret: &str) -> String {
    let quoted = serde_json::Value::from(secret).to_string();
    let inner = &quoted[1..quoted.len() - 1];
    let mut out = String::new();
    for c in inner.chars() {
        match c {
            _ if c.is_ascii() => out.push(c),
            _ => out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    out
}

fn percent_encoded(secret: &str) -> [String; 3] {
    let encode = |keep: &[u8], upper: bool| {
        secret.bytes().fold(String::new(), |mut out, b| {
            match b {
                _ if b.is_ascii_alphanumeric() || keep.contains(&b) => out.push(char::from(b)),
                _ if upper => out.push_str(&format!("%{b:02X}")),
                _ => out.push_str(&format!("%{b:02x}")),
            }
            out
        })
    };
    // As `encodeURIComponent` does it, as a strict encoder does, and in small letters.
    [encode(b"-_.!~*'()", true), encode(b"-_.~", true), encode(b"-_.~", false)]
}

/// The characters of base64 that depend on the secret alone, for each of the three ways in which it can lie in a longer
/// text.
fn base64_forms(secret: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3_usize {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(secret.as_bytes());
        let from = (before * 8).div_ceil(6);
        let to = bytes.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms.extend(encoded.get(from..to).filter(|f| f.len() >= SHORTEST_ENCODED).map(str::to_owned));
            // As a whole, with the last character that padding completes.
            forms.extend((before == 0 && encoded.len() >= SHORTEST_ENCODED).then_some(encoded));
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    const SECRET: &str = "p@ss/w\"örd 1";

    #[test]
    fn a_secret_is_hidden_in_every_form() {
        let secrets = Secrets::new([SECRET, ""]);
        for text in [
            SECRET.to_owned(),
            "p%40ss%2Fw%22%C3%B6rd%201".to_owned(),
            "p%40ss%2fw%22%c3%b6rd%201".to_owned(),
            serde_json::json!(SECRET).to_string(),
            format!("{SECRET:?}"),
            STANDARD.encode(SECRET),
            "p@ss/w\\\"\\u00f6rd 1".to_owned(),
            SECRET.bytes().map(|b| format!("{b:02x}")).collect(),
            SECRET.bytes().map(|b| format!("{b:02X}")).collect(),
        ] {
            let hidden = secrets.hide(&format!("a {text} b"));
            assert!(hidden.contains(HIDDEN) && hidden.starts_with("a ") && hidden.ends_with(" b"), "{hidden}");
            assert!(!hidden.contains("w\"") && !hidden.contains("%2"), "{hidden}");
        }
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let wide = |text: &str| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
            let hidden = secrets.hide_bytes(&[wide("a "), wide(SECRET), wide(" b")].concat());
            // One byte around it may belong to either order.
            assert!(hidden.windows(HIDDEN.len()).any(|w| w == HIDDEN.as_bytes()), "{hidden:?}");
            assert_eq!(hidden.len(), wide("a  b").len() + HIDDEN.len(), "{hidden:?}");
        }
        assert_eq!(secrets.hide_bytes(format!("{SECRET}-{SECRET}").as_bytes()), b"(sensitive)-(sensitive)");
        for before in ["", "u", "us", "use", "user:"] {
            let text = STANDARD.encode(format!("{before}{SECRET}:after"));
            assert!(secrets.hide(&text).contains(HIDDEN), "{before}");
        }
        assert_eq!(format!("{secrets:?}"), "Secrets");
    }

    #[test]
    fn marks_are_left_alone() {
        assert_eq!(Secrets::new(["abc", "sensitive", "e"]).hide("xabcx"), "x(sensitive)x");
        assert_eq!(Secrets::new(["abc", "ab"]).hide("abcab"), "(sensitive)(sensitive)");
        assert_eq!(Secrets::default().hide("as it is"), "as it is");
    }
}
