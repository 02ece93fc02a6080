//! The marker: what tells an empty ledger from a lost one.
//!
//! It is written once, after the first entry is durable and before anything acts on it, and names the lineage. From
//! then on a ledger without entries is a lost one, never a new one.

use serde_json::Value;

use super::format::{FORMAT, FormatError, Lineage, NEEDS, decode, to_canonical};

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The ledger's identity.
    pub lineage: Lineage,
}

/// Why a marker cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BadMarker {
    /// A newer Gantry wrote it: the format, and the version that reads it.
    Newer(u64, String),
    /// It is not a marker.
    Malformed(String),
}

impl Marker {
    /// Its text.
    ///
    /// # Errors
    /// Never in practice: it holds two strings and a number.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        let mut text = to_canonical(&serde_json::json!({"format": FORMAT, "lineage": self.lineage, "needs": NEEDS}))?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads a marker. The format is looked at before anything else, so that a later format may change the rest.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, BadMarker> {
        let malformed = |reason: &str| BadMarker::Malformed(reason.to_owned());
        let text = bytes.strip_suffix(b"\n").ok_or_else(|| malformed("it does not end with a newline"))?;
        let fields = match serde_json::from_slice::<Value>(text) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(malformed("it is not a JSON object")),
            Err(e) => return Err(BadMarker::Malformed(format!("it is not JSON: {e}"))),
        };
        let format = fields.get("format").and_then(Value::as_u64).ok_or_else(|| malformed("it names no format"))?;
        let needs = fields.get("needs").and_then(Value::as_str).unwrap_or("(it does not say which)");
        if format > FORMAT {
            return Err(BadMarker::Newer(format, needs.to_owned()));
        }
        if format != FORMAT || fields.len() != 3 || !fields.contains_key("needs") {
            return Err(malformed("it does not hold exactly `format`, `lineage` and `needs`"));
        }
        if let Err(e) = decode(text) {
            return Err(BadMarker::Malformed(e.to_string()));
        }
        let lineage = fields.get("lineage").and_then(Value::as_str).ok_or_else(|| malformed("it names no lineage"))?;
        Ok(Self { lineage: lineage.parse().map_err(|e: FormatError| BadMarker::Malformed(e.to_string()))? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_round_trips_and_no_bit_of_it_may_change_its_lineage_unseen() {
        let marker = Marker { lineage: Lineage::random() };
        let text = marker.encode().unwrap();
        assert_eq!(Marker::decode(&text).unwrap(), marker);
        for bad in ["", "\n", "{}\n", "[]\n", "{\"format\":1}\n", "null\n"] {
            assert!(matches!(Marker::decode(bad.as_bytes()), Err(BadMarker::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn a_newer_one_names_the_version_it_needs_whatever_else_it_holds() {
        let text = "{\"shape\": [1.5], \"format\": 7, \"needs\": \"3.2.0\"}\n";
        assert_eq!(Marker::decode(text.as_bytes()), Err(BadMarker::Newer(7, "3.2.0".to_owned())));
    }
}
