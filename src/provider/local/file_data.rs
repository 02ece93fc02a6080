//! `data "local_file"` and `data "local_sensitive_file"`: the content of a file of this machine, with its digests, as in the provider `hashicorp/local`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::file;
use super::words::{hex, with};
use crate::provider::{Context, Problem, ProblemClass, ReadRequest};
use crate::value::Value;

/// The type whose content is never shown.
pub(super) const SENSITIVE: &str = "local_sensitive_file";

/// Reads the file.
///
/// # Errors
/// When there is none, or it cannot be read.
pub(super) fn read(context: &Context, request: &ReadRequest) -> Result<Value, Problem> {
    let name = request.arguments.get_str("filename").unwrap_or_default();
    let Some(bytes) = file::content(context, name)? else {
        let sentence = format!(
            "There is no file \"{name}\" (relative to the environment's directory). Where a resource of this run makes it, name \
             that resource in depends_on."
        );
        return Err(Problem::new(ProblemClass::Invalid, sentence));
    };
    let text = |text: String| Value::string(text);
    Ok(with(
        &request.arguments,
        [
            ("content", text(String::from_utf8_lossy(&bytes).into_owned())),
            ("content_base64", text(BASE64_STANDARD.encode(&bytes))),
            ("content_base64sha256", text(BASE64_STANDARD.encode(Sha256::digest(&bytes)))),
            ("content_base64sha512", text(BASE64_STANDARD.encode(Sha512::digest(&bytes)))),
            ("content_md5", text(hex(&Md5::digest(&bytes)))),
            ("content_sha1", text(hex(&Sha1::digest(&bytes)))),
            ("content_sha256", text(hex(&Sha256::digest(&bytes)))),
            ("content_sha512", text(hex(&Sha512::digest(&bytes)))),
            ("id", text(hex(&Sha1::digest(&bytes)))),
        ],
    ))
}
