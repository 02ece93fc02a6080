//! Taking secrets out of texts, in the forms in which a program would echo them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What stands for a secret.
const HIDDEN: &str = "(sensitive)";

/// The shortest base64 form that is looked for, in characters: shorter ones stand in any text by chance.
const SHORTEST_ENCODED: usize = 6;

/// The secrets that must not show. Its `Debug` form does not show them either.
#[derive(Clone, Default)]
pub struct Secrets {
    /// Every form of every secret, longest first.
    forms: Vec<String>,
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
            forms.extend(base64_forms(secret));
        }
        forms.retain(|f| !f.is_empty());
        forms.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        forms.dedup();
        Self { forms }
    }

    /// `text` without them.
    #[must_use]
    pub fn hide(&self, text: &str) -> String {
        // Behind the first replacement a later, shorter form could match inside of the mark itself; marks are kept apart.
        let mut parts = vec![text.to_owned()];
        for form in &self.forms {
            let split = parts.iter().flat_map(|part| part.split(form.as_str()).map(str::to_owned));
            parts = split.collect();
        }
        parts.join(HIDDEN)
    }
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
        ] {
            let hidden = secrets.hide(&format!("a {text} b"));
            assert!(hidden.contains(HIDDEN) && hidden.starts_with("a ") && hidden.ends_with(" b"), "{hidden}");
            assert!(!hidden.contains("w\"") && !hidden.contains("%2"), "{hidden}");
        }
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
