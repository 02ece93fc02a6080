//! Encoding functions.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};

use super::argument::{spend_bytes, string, text};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError, charset, csv, json, yaml, yaml_write};
use crate::value::{Type, Value};

/// Standard base64 that does not mind bits after the end, as Go's does not.
pub(super) const LENIENT: GeneralPurpose =
    GeneralPurpose::new(&base64::alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

fn a_string(_: &[Type]) -> Type {
    Type::String
}

fn anything(_: &[Type]) -> Type {
    Type::Any
}

pub(super) fn functions() -> Vec<Function> {
    let mut all = base64_functions();
    all.extend(formats());
    all
}

fn base64_functions() -> Vec<Function> {
    vec![
        function("base64decode", "The text of a Base64 string.", a_string, base64decode).takes("str", Type::String),
        function("base64encode", "A text as a Base64 string.", a_string, |c, a| {
            let bytes = text(&a[0])?;
            spend_bytes(c, bytes.len())?;
            Ok(string(STANDARD.encode(bytes)))
        })
        .takes("str", Type::String),
        function("base64gzip", "A text, compressed with gzip, as a Base64 string.", a_string, base64gzip)
            .takes("str", Type::String),
        function("textdecodebase64", "The text of a Base64 string in a character encoding.", a_string, |c, a| {
            let source = text(&a[0])?;
            spend_bytes(c, source.len())?;
            let bytes = LENIENT
                .decode(unbroken(source))
                .map_err(|e| FunctionError::at(0, symbol_error(source, &e)).discreetly("it is not valid Base64"))?;
            charset::decode(&bytes, text(&a[1])?).map(string)
        })
        .takes("source", Type::String)
        .takes("encoding", Type::String),
        function("textencodebase64", "A text in a character encoding as a Base64 string.", a_string, |c, a| {
            let source = text(&a[0])?;
            spend_bytes(c, source.len())?;
            Ok(string(STANDARD.encode(charset::encode(source, text(&a[1])?)?)))
        })
        .takes("string", Type::String)
        .takes("encoding", Type::String),
        function("urlencode", "A text with all but plain characters escaped for a URL.", a_string, urlencode)
            .takes("str", Type::String),
    ]
}

fn formats() -> Vec<Function> {
    vec![
        function("csvdecode", "The lines of a CSV text as objects.", anything, csv::csvdecode)
            .takes("str", Type::String),
        function("jsondecode", "The value of a JSON text.", anything, |c, a| {
            let source = text(&a[0])?;
            spend_bytes(c, source.len())?;
            json::decode(source).map_err(|why| FunctionError::new(why).discreetly("it is not valid JSON"))
        })
        .takes("str", Type::String),
        function("jsonencode", "A value as JSON text.", a_string, |c, a| {
            let text = json::encode(&a[0]).map_err(FunctionError::new)?;
            spend_bytes(c, text.len())?;
            Ok(string(text))
        })
        .takes("val", Type::Any)
        .null(),
        function("yamldecode", "The value of a YAML text.", anything, yaml::yamldecode).takes("src", Type::String),
        function("yamlencode", "A value as YAML text.", a_string, |c, a| {
            let text = yaml_write::encode(&a[0])?;
            spend_bytes(c, text.len())?;
            Ok(string(text))
        })
        .takes("value", Type::Any)
        .null(),
    ]
}

/// Without line ends, which Base64 may have anywhere.
fn unbroken(text: &str) -> String {
    text.replace(['\r', '\n'], "")
}

fn symbol_error(source: &str, e: &base64::DecodeError) -> String {
    let at = match e {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol { offset: at, .. } => *at,
        _ => source.len(),
    };
    format!("the given value is has an invalid base64 symbol at offset {at}")
}

fn base64decode(context: &CallContext<'_>, args: &[Value]) -> Called {
    let source = text(&args[0])?;
    spend_bytes(context, source.len())?;
    let bytes = LENIENT.decode(unbroken(source));
    let refused = || FunctionError::new(format!("failed to decode base64 data \"{source}\""));
    let bytes = bytes.map_err(|_| refused().discreetly("it is not valid Base64"))?;
    let decoded = String::from_utf8(bytes);
    let message = "the result of decoding the provided string is not valid UTF-8";
    decoded.map(string).map_err(|_| FunctionError::new(message))
}

fn base64gzip(context: &CallContext<'_>, args: &[Value]) -> Called {
    let source = text(&args[0])?;
    spend_bytes(context, source.len())?;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let bytes = gzip.write_all(source.as_bytes()).and_then(|()| gzip.finish());
    let bytes = bytes.map_err(|e| FunctionError::new(format!("failed to compress: {e}")))?;
    Ok(string(STANDARD.encode(bytes)))
}

fn urlencode(context: &CallContext<'_>, args: &[Value]) -> Called {
    let source = text(&args[0])?;
    spend_bytes(context, source.len().saturating_mul(3))?;
    let mut out = String::with_capacity(source.len());
    for byte in source.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(string(out))
}
