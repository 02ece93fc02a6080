//! Canonical JSON: one spelling per value.
//!
//! UTF-8; object keys sorted by their bytes, none twice; no white space; only the escapes that JSON demands, in the
//! short form where there is one (`\b \t \n \f \r`, else `\u00xx` in lower case); integers within `i64` or `u64`
//! without sign or leading zeros; no floats at all, since their spelling is where implementations differ. The rules
//! are those of RFC 8785 but for its numbers and its sort by UTF-16 units.
//!
//! Decoding is parse, encode again, compare: whatever does not come out as the same bytes is refused, which needs no
//! second list of rules that could differ from the first.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How deep arrays and objects may nest. Below serde_json's own bound of 128, and far above what entries need.
pub const MAX_DEPTH: usize = 100;

/// The longest canonical text, in bytes. Values above 64 KiB are blobs, so that an entry stays far below; the bound
/// keeps a hostile file from filling memory.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// Why a value has no canonical form, or why bytes are not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A number that is no integer between -2^63 and 2^64-1.
    #[error("the number {0} is not an integer that canonical JSON can hold")]
    Number(String),
    /// Arrays and objects nest deeper than [`MAX_DEPTH`].
    #[error("it nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Longer than a limit.
    #[error("it has {bytes} bytes, more than the limit of {limit}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Not JSON at all.
    #[error("it is not JSON: {0}")]
    NotJson(String),
    /// JSON, spelt in another way than the canonical one.
    #[error("it is not canonical JSON (first difference at byte {offset})")]
    NotCanonical {
        /// Where the canonical spelling differs first, from 0.
        offset: usize,
    },
    /// A value that does not have the shape which was asked for.
    #[error("it does not have the expected form: {0}")]
    Shape(String),
    /// A field is missing, unknown or holds what it must not.
    #[error("field `{name}`: {reason}")]
    Field {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The canonical text of a value.
///
/// # Errors
/// When the value holds a float, nests too deep, or is too long.
pub fn encode(value: &Value) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::with_capacity(128);
    write_value(&mut out, value, 0)?;
    within(out.len(), MAX_BYTES)?;
    Ok(out)
}

/// The canonical text of anything that serialises to JSON.
///
/// # Errors
/// As [`encode`], and when it does not serialise (a map with keys that are no strings).
pub fn to_canonical<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, FormatError> {
    encode(&serde_json::to_value(value).map_err(|e| FormatError::Shape(e.to_string()))?)
}

/// The value whose canonical text these bytes are.
///
/// # Errors
/// When they are not the canonical text of any value.
pub fn decode(bytes: &[u8]) -> Result<Value, FormatError> {
    within(bytes.len(), MAX_BYTES)?;
    let value: Value = serde_json::from_slice(bytes).map_err(|e| FormatError::NotJson(e.to_string()))?;
    let mut compare = Compare { bytes, at: 0, differs: None };
    write_value(&mut compare, &value, 0)?;
    match compare.differs {
        Some(offset) => Err(FormatError::NotCanonical { offset }),
        None if compare.at < bytes.len() => Err(FormatError::NotCanonical { offset: compare.at }),
        None => Ok(value),
    }
}

/// Decodes canonical text into a type.
///
/// # Errors
/// As [`decode`], and when the value does not have the type's form.
pub fn from_canonical<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormatError> {
    serde_json::from_value(decode(bytes)?).map_err(|e| FormatError::Shape(e.to_string()))
}

/// Refuses what is longer than a limit.
pub(super) fn within(bytes: usize, limit: usize) -> Result<(), FormatError> {
    if bytes > limit { Err(FormatError::TooLong { bytes, limit }) } else { Ok(()) }
}

/// Where canonical text goes: into a buffer, or beside bytes that it must equal.
pub(super) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Compares canonical text with given bytes while it is produced, so that strict decoding copies nothing.
struct Compare<'a> {
    bytes: &'a [u8],
    at: usize,
    differs: Option<usize>,
}

impl Sink for Compare<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if self.differs.is_some() {
            return;
        }
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(bytes) {
            self.at += bytes.len();
        } else {
            let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
            self.differs = Some(self.at + same);
        }
    }
}

/// Writes a value. `depth` is how many arrays and objects it already stands in.
pub(super) fn write_value(out: &mut impl Sink, value: &Value, depth: usize) -> Result<(), FormatError> {
    match value {
        Value::Null => out.put(b"null"),
        Value::Bool(true) => out.put(b"true"),
        Value::Bool(false) => out.put(b"false"),
        Value::Number(number) if number.is_i64() || number.is_u64() => out.put(number.to_string().as_bytes()),
        Value::Number(number) => return Err(FormatError::Number(number.to_string())),
        Value::String(text) => write_string(out, text),
        Value::Array(items) => {
            if depth >= MAX_DEPTH {
                return Err(FormatError::TooDeep);
            }
            out.put(b"[");
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.put(b",");
                }
                write_value(out, item, depth + 1)?;
            }
            out.put(b"]");
        }
        Value::Object(fields) => {
            if depth >= MAX_DEPTH {
                return Err(FormatError::TooDeep);
            }
            // Sorted already, unless a dependency turns on serde_json's `preserve_order`: features are global.
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            if !sorted.is_sorted_by(|a, b| a.0 < b.0) {
                sorted.sort_by(|a, b| a.0.cmp(b.0));
            }
            out.put(b"{");
            for (at, (key, item)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.put(b",");
                }
                write_string(out, key);
                out.put(b":");
                write_value(out, item, depth + 1)?;
            }
            out.put(b"}");
        }
    }
    Ok(())
}

/// Writes a string with its quotes and the escapes that JSON demands.
pub(super) fn write_string(out: &mut impl Sink, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.put(b"\"");
    let bytes = text.as_bytes();
    let mut plain_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.put(&bytes[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => out.put(b"\\\""),
            b'\\' => out.put(b"\\\\"),
            0x08 => out.put(b"\\b"),
            b'\t' => out.put(b"\\t"),
            b'\n' => out.put(b"\\n"),
            0x0c => out.put(b"\\f"),
            b'\r' => out.put(b"\\r"),
            other => out.put(&[b'\\', b'u', b'0', b'0', HEX[usize::from(other >> 4)], HEX[usize::from(other & 0x0f)]]),
        }
    }
    out.put(&bytes[plain_from..]);
    out.put(b"\"");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn text(value: &Value) -> String {
        String::from_utf8(encode(value).unwrap()).unwrap()
    }

    #[test]
    fn keys_are_sorted_by_bytes_and_nothing_is_spelt_longer_than_needed() {
        let value = json!({"b": [1, -2, true, null], "a": "x\u{7f}é\u{1}\n/\"\\", "Z": {}, "é": [], "\u{10000}": 0, "\u{ffff}": 0});
        let want = "{\"Z\":{},\"a\":\"x\u{7f}é\\u0001\\n/\\\"\\\\\",\"b\":[1,-2,true,null],\"é\":[],\"\u{ffff}\":0,\"\u{10000}\":0}";
        assert_eq!(text(&value), want);
        assert_eq!(decode(want.as_bytes()).unwrap(), value);
    }

    #[test]
    fn integers_reach_from_i64_to_u64() {
        for number in ["0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551615"] {
            assert_eq!(text(&decode(number.as_bytes()).unwrap()), number);
        }
        for number in ["18446744073709551616", "-9223372036854775809", "1.0", "1e3", "-0", "0.5"] {
            assert!(matches!(decode(number.as_bytes()), Err(FormatError::Number(_))), "{number}");
        }
        assert!(matches!(encode(&json!(1.5)), Err(FormatError::Number(_))));
    }

    #[test]
    fn another_spelling_is_refused_with_its_place() {
        for (bytes, offset) in [
            (r#" {}"#, 0),
            (r#"{} "#, 2),
            (r#"{"a":1,"a":1}"#, 6),
            (r#"{"b":1,"a":1}"#, 2),
            (r#"{"a": 1}"#, 5),
            (r#""\u0041""#, 1),
            (r#""\/""#, 1),
            ("\"\\u001F\"", 6),
            (r#""\u000a""#, 2),
        ] {
            assert_eq!(decode(bytes.as_bytes()), Err(FormatError::NotCanonical { offset }), "{bytes}");
        }
        for bytes in ["", "{", "01", "+1", "nul", "\"\n\"", "\"\\ud800\"", "\u{feff}{}", "{} {}", "[1,]"] {
            assert!(matches!(decode(bytes.as_bytes()), Err(FormatError::NotJson(_))), "{bytes}");
        }
        assert!(matches!(decode(b"\"\xff\""), Err(FormatError::NotJson(_))));
    }

    #[test]
    fn nesting_and_length_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(decode(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(decode(nested(MAX_DEPTH + 1).as_bytes()), Err(FormatError::TooDeep));
        assert!(matches!(decode(nested(100_000).as_bytes()), Err(FormatError::NotJson(_))));
        let long = Value::String("x".repeat(MAX_BYTES));
        assert!(matches!(encode(&long), Err(FormatError::TooLong { .. })));
        assert!(matches!(decode(&vec![b' '; MAX_BYTES + 1]), Err(FormatError::TooLong { .. })));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\\x00-\\x7f]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn encoding_round_trips(value in any_value()) {
            let bytes = encode(&value).unwrap();
            prop_assert_eq!(decode(&bytes).unwrap(), value.clone());
            // serde_json's own compact form agrees wherever it has no freedom.
            prop_assert_eq!(bytes, serde_json::to_vec(&value).unwrap());
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(value in any_value(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = encode(&value).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(other) = decode(&bytes) {
                prop_assert_eq!(encode(&other).unwrap(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
