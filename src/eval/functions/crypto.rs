//! `bcrypt` and `rsadecrypt`.

use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;

use super::argument::{spend_bytes, string, text, whole};
use super::build::{Called, function};
use super::encoding::LENIENT;
use super::{CallContext, Function, FunctionError, date, private_key};
use crate::value::{Type, Value};

/// The cost where none is given.
const COST: i64 = 10;

/// The smallest cost; for less the usual one is taken, as Go's library does.
const COST_MIN: i64 = 4;

/// The largest cost that there is.
const COST_TOP: i64 = 31;

/// The largest cost that is computed: twice the work with each, and an apply must not be busy for minutes with one value.
const COST_MAX: i64 = 15;

/// What is left over of a longer text is not looked at by the algorithm.
const TEXT_MAX: usize = 72;

/// Bytes of a salt.
const SALT: usize = 16;

/// The shortest key that is taken, in bits, and the longest: what aws-lc does.
const KEY_BITS: [usize; 2] = [2048, 8192];

pub(super) fn functions() -> Vec<Function> {
    let a_string = |_: &[Type]| Type::String;
    vec![
        function(
            "bcrypt",
            "The bcrypt hash of a text, with a salt drawn once at apply. The cost is 10 unless given.",
            a_string,
            bcrypt,
        )
        .takes("str", Type::String)
        .rest("cost", Type::Number),
        function(
            "rsadecrypt",
            "The text of a Base64 ciphertext that was encrypted with RSA and PKCS #1 v1.5.",
            a_string,
            rsadecrypt,
        )
        .takes("ciphertext", Type::String)
        .takes("privatekey", Type::String),
    ]
}

fn bcrypt(context: &CallContext<'_>, args: &[Value]) -> Called {
    let source = text(&args[0])?;
    let cost = match args.get(1).map(whole).transpose()?.unwrap_or(COST) {
        low if low < COST_MIN => COST,
        cost => cost,
    };
    if args.len() > 2 {
        return Err(FunctionError::new("bcrypt() takes no more than two arguments"));
    }
    let refuse = |why: String| Err(FunctionError::new(format!("error occured generating password {why}")));
    if source.len() > TEXT_MAX {
        return refuse(format!("bcrypt: password length exceeds {TEXT_MAX} bytes"));
    }
    if cost > COST_TOP {
        return refuse(format!("crypto/bcrypt: cost {cost} is outside allowed range ({COST_MIN},{COST_TOP})"));
    }
    if cost > COST_MAX {
        let why = format!("a cost of {cost} takes minutes and more; the limit here is {COST_MAX}");
        return Err(FunctionError::at(1, why));
    }
    let drawn = date::drawn(context, "bcrypt");
    let Some(drawn) = drawn.as_str() else { return Ok(drawn) };
    let salt = <[u8; SALT]>::try_from(&salt(drawn)[..]).map_err(|_| FunctionError::new("no salt could be drawn"))?;
    let cost = u32::try_from(cost).unwrap_or_default();
    (context.spend)(1 << cost)?;
    let hashed = bcrypt::hash_with_salt(source, cost, salt);
    match hashed {
        Ok(parts) => Ok(string(parts.format_for_version(bcrypt::Version::TwoA))),
        Err(e) => refuse(e.to_string()),
    }
}

/// The first bytes of a drawn text of hexadecimal digits.
fn salt(drawn: &str) -> Vec<u8> {
    let digits = drawn.as_bytes().chunks_exact(2).take(SALT);
    digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn rsadecrypt(context: &CallContext<'_>, args: &[Value]) -> Called {
    let (source, key) = (text(&args[0])?, text(&args[1])?);
    spend_bytes(context, source.len() + key.len())?;
    let plain = source.replace(['\r', '\n'], "");
    let ciphertext = LENIENT.decode(plain).map_err(|_| {
        FunctionError::at(0, format!("failed to decode input {source:?}: cipher text must be base64-encoded"))
    })?;
    let key = private_key::pkcs8(key).map_err(|why| FunctionError::at(1, why))?;
    let refused = |_| {
        let [least, most] = KEY_BITS;
        FunctionError::at(1, format!("invalid private key: it is damaged, or no RSA key of {least} to {most} bits"))
    };
    let key = PrivateDecryptingKey::from_pkcs8(&key).map_err(refused)?;
    let failed = || FunctionError::new("failed to decrypt: crypto/rsa: decryption error");
    let key = Pkcs1PrivateDecryptingKey::new(key).map_err(|_| failed())?;
    let mut room = vec![0; key.min_output_size()];
    let bytes = key.decrypt(&ciphertext, &mut room).map_err(|_| failed())?;
    // Text is Unicode, and Go puts the replacement character for what is none.
    Ok(string(String::from_utf8_lossy(bytes)))
}
