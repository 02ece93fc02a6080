//! Hash and crypto functions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

use super::argument::{spend_bytes, string, text};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError, date};
use crate::value::{Type, Value};

/// The namespaces that RFC 4122 names, appendix C.
const NAMESPACES: [(&str, &str); 4] = [
    ("dns", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    ("url", "6ba7b811-9dad-11d1-80b4-00c04fd430c8"),
    ("oid", "6ba7b812-9dad-11d1-80b4-00c04fd430c8"),
    ("x500", "6ba7b814-9dad-11d1-80b4-00c04fd430c8"),
];

fn a_string(_: &[Type]) -> Type {
    Type::String
}

pub(super) fn functions() -> Vec<Function> {
    let digest = |name, doc, call| function(name, doc, a_string, call).takes("str", Type::String);
    vec![
        digest("base64sha256", "The SHA-256 of a text in Base64.", |c, a| digested(c, a, base64sha256)),
        digest("base64sha512", "The SHA-512 of a text in Base64.", |c, a| digested(c, a, base64sha512)),
        digest("md5", "The MD5 of a text.", |c, a| digested(c, a, md5)),
        digest("sha1", "The SHA-1 of a text.", |c, a| digested(c, a, sha1)),
        digest("sha256", "The SHA-256 of a text.", |c, a| digested(c, a, sha256)),
        digest("sha512", "The SHA-512 of a text.", |c, a| digested(c, a, sha512)),
        function("uuid", "A random UUID, drawn once at apply.", a_string, |c, _| Ok(date::drawn(c, "uuid"))),
        function("uuidv5", "The UUID of a name in a namespace.", a_string, uuidv5)
            .takes("namespace", Type::String)
            .takes("name", Type::String),
    ]
}

fn digested(context: &CallContext<'_>, args: &[Value], digest: fn(&[u8]) -> String) -> Called {
    let source = text(&args[0])?;
    spend_bytes(context, source.len())?;
    Ok(string(digest(source.as_bytes())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The MD5 in hexadecimal.
pub(super) fn md5(bytes: &[u8]) -> String {
    hex(&md5::Md5::digest(bytes))
}

/// The SHA-1 in hexadecimal.
pub(super) fn sha1(bytes: &[u8]) -> String {
    hex(&sha1::Sha1::digest(bytes))
}

/// The SHA-256 in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&sha2::Sha256::digest(bytes))
}

/// The SHA-512 in hexadecimal.
pub(super) fn sha512(bytes: &[u8]) -> String {
    hex(&sha2::Sha512::digest(bytes))
}

/// The SHA-256 in Base64.
pub(super) fn base64sha256(bytes: &[u8]) -> String {
    STANDARD.encode(sha2::Sha256::digest(bytes))
}

/// The SHA-512 in Base64.
pub(super) fn base64sha512(bytes: &[u8]) -> String {
    STANDARD.encode(sha2::Sha512::digest(bytes))
}

/// RFC 4122, section 4.3: the first 16 bytes of the SHA-1 of namespace and name, with version and variant set.
fn uuidv5(context: &CallContext<'_>, args: &[Value]) -> Called {
    let (namespace, name) = (text(&args[0])?, text(&args[1])?);
    spend_bytes(context, name.len())?;
    let known = NAMESPACES.iter().find(|(n, _)| *n == namespace).map(|(_, id)| *id);
    let space = parse_uuid(known.unwrap_or(namespace))
        .map_err(|why| FunctionError::new(format!("uuidv5() doesn't support namespace {namespace} ({why})")))?;
    let digest = sha1::Sha1::new().chain_update(space).chain_update(name).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    Ok(string(format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])))
}

fn parse_uuid(text: &str) -> Result<[u8; 16], String> {
    let plain = text.strip_prefix("urn:uuid:").unwrap_or(text);
    let plain = plain.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(plain);
    let digits = match plain.len() {
        32 => plain.to_owned(),
        36 if [8, 13, 18, 23].iter().all(|i| plain.as_bytes()[*i] == b'-') => plain.replace('-', ""),
        36 => return Err("invalid UUID format".into()),
        _ => return Err(format!("invalid UUID length: {}", text.len())),
    };
    if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("invalid UUID format".into());
    }
    let mut bytes = [0; 16];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).map_err(|_| "invalid UUID format".to_owned())?;
    }
    Ok(bytes)
}
