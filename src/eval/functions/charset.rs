//! Character encodings by their IANA names.

use encoding_rs::Encoding;

use super::FunctionError;

/// The encodings that are written here, since the web's standard, which `encoding_rs` follows, has them otherwise or not
/// at all; all others are that crate's.
enum Charset {
    Utf8,
    Utf16 {
        big: bool,
    },
    /// Each byte is the character of that number, up to this one.
    Direct {
        last: u8,
    },
    Web(&'static Encoding),
}

/// The encoding and the name that messages have for it.
fn find(name: &str) -> Result<(Charset, String), FunctionError> {
    let lower = name.to_ascii_lowercase();
    Ok(match &*lower {
        "utf-8" | "utf8" => (Charset::Utf8, "UTF-8".into()),
        "utf-16be" => (Charset::Utf16 { big: true }, "UTF-16BE".into()),
        "utf-16" | "utf-16le" => (Charset::Utf16 { big: false }, lower.to_ascii_uppercase()),
        "iso-8859-1" | "iso_8859-1" | "latin1" | "l1" => (Charset::Direct { last: 0xff }, "ISO_8859-1:1987".into()),
        "us-ascii" | "ascii" => (Charset::Direct { last: 0x7f }, "US-ASCII".into()),
        _ => {
            let encoding = Encoding::for_label(lower.as_bytes()).ok_or_else(|| {
                FunctionError::at(
                    1,
                    format!("\"{name}\" is not a supported IANA encoding name or alias in this Gantry version"),
                )
            })?;
            (Charset::Web(encoding), encoding.name().into())
        }
    })
}

/// A text in an encoding.
pub(super) fn encode(text: &str, name: &str) -> Result<Vec<u8>, FunctionError> {
    let (charset, name) = find(name)?;
    let fail =
        || FunctionError::at(0, format!("the given string contains characters that cannot be represented in {name}"));
    Ok(match charset {
        Charset::Utf8 => text.as_bytes().to_vec(),
        Charset::Utf16 { big: true } => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Charset::Utf16 { big: false } => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Charset::Direct { last } => {
            let byte = |c: char| u8::try_from(u32::from(c)).ok().filter(|b| *b <= last).ok_or_else(fail);
            text.chars().map(byte).collect::<Result<_, _>>()?
        }
        Charset::Web(encoding) => {
            let (bytes, _, unmappable) = encoding.encode(text);
            if unmappable {
                return Err(fail());
            }
            bytes.into_owned()
        }
    })
}

/// The text of bytes in an encoding.
pub(super) fn decode(bytes: &[u8], name: &str) -> Result<String, FunctionError> {
    let (charset, name) = find(name)?;
    let fail = || FunctionError::at(0, format!("the given string contains symbols that are not defined for {name}"));
    match charset {
        Charset::Utf8 => String::from_utf8(bytes.to_vec()).map_err(|_| fail()),
        Charset::Utf16 { big } => {
            let unit = |pair: &[u8; 2]| if big { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
            let (pairs, []) = bytes.as_chunks::<2>() else { return Err(fail()) };
            String::from_utf16(&pairs.iter().map(unit).collect::<Vec<_>>()).map_err(|_| fail())
        }
        Charset::Direct { last } => {
            if bytes.iter().any(|b| *b > last) {
                return Err(fail());
            }
            Ok(bytes.iter().map(|b| char::from(*b)).collect())
        }
        Charset::Web(encoding) => {
            encoding.decode_without_bom_handling_and_without_replacement(bytes).map(Into::into).ok_or_else(fail)
        }
    }
}
