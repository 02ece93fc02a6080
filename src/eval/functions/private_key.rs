//! Private keys as text: PEM with PKCS #1 or PKCS #8 in it (RFC 7468, RFC 8017 appendix A.1.2), and OpenSSH's own format
//! (`PROTOCOL.key` in its sources). What comes out is PKCS #8, whatever went in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dashu_int::UBig;
use dashu_int::ops::BitTest as _;

/// What OpenSSH's format begins with.
const OPENSSH: &[u8] = b"openssh-key-v1\0";

/// `rsaEncryption` and its parameters, as ASN.1 has them in PKCS #8.
const RSA: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

const PROTECTED: &str = "invalid private key: ssh: this private key is passphrase protected";
const NOT_RSA: &str = "invalid private key type: an RSA private key is needed";

/// A private RSA key as PKCS #8.
///
/// # Errors
/// When the text is none; the reason as Terraform words it, where it does.
pub(super) fn pkcs8(text: &str) -> Result<Vec<u8>, String> {
    let Some(block) = pem(text) else { return Err("invalid private key: ssh: no key found".into()) };
    if block.encrypted || block.label == "ENCRYPTED PRIVATE KEY" {
        return Err(PROTECTED.into());
    }
    match block.label {
        "RSA PRIVATE KEY" => Ok(wrapped(&block.bytes)),
        "PRIVATE KEY" if block.bytes.windows(RSA.len()).any(|w| w == RSA) => Ok(block.bytes),
        "OPENSSH PRIVATE KEY" => openssh(&block.bytes),
        "PRIVATE KEY" | "EC PRIVATE KEY" | "DSA PRIVATE KEY" => Err(NOT_RSA.into()),
        other => Err(format!("invalid private key: ssh: unsupported key type {other:?}")),
    }
}

struct Pem<'t> {
    label: &'t str,
    encrypted: bool,
    bytes: Vec<u8>,
}

/// The first block of a PEM text.
fn pem(text: &str) -> Option<Pem<'_>> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let (headers, lines): (Vec<&str>, Vec<&str>) = body.lines().map(str::trim).partition(|line| line.contains(':'));
    let encrypted = headers.iter().any(|line| line.starts_with("Proc-Type:") && line.ends_with("ENCRYPTED"));
    // The body of an encrypted one is none of our business.
    let bytes = if encrypted { Vec::new() } else { STANDARD.decode(lines.concat()).ok()? };
    Some(Pem { label, encrypted, bytes })
}

/// PKCS #1 in PKCS #8.
fn wrapped(pkcs1: &[u8]) -> Vec<u8> {
    element(SEQUENCE, &[&element(INTEGER, &[0]), &RSA[..], &element(OCTETS, pkcs1)].concat())
}

/// An element in DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    /// Lengths from here on are written with their own length in front.
    const LONG: usize = 0x80;
    let mut out = vec![tag];
    let length = content.len();
    if length < LONG {
        out.extend(u8::try_from(length));
    } else {
        let bytes = length.to_be_bytes();
        let bytes = &bytes[bytes.iter().take_while(|b| **b == 0).count()..];
        out.extend(u8::try_from(LONG + bytes.len()));
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(content);
    out
}

fn integer(n: &UBig) -> Vec<u8> {
    let mut bytes = n.to_be_bytes().to_vec();
    // The first bit is the sign.
    if bytes.first().is_none_or(|b| b.bit(7)) {
        bytes.insert(0, 0);
    }
    element(INTEGER, &bytes)
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'b [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).ok()?)
    }

    fn integer(&mut self) -> Option<UBig> {
        self.text().map(UBig::from_be_bytes)
    }
}

fn openssh(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let damaged = || "invalid private key: ssh: invalid openssh private key format".to_owned();
    let mut outer = Reader(bytes.strip_prefix(OPENSSH).ok_or_else(damaged)?);
    let cipher = outer.text().ok_or_else(damaged)?;
    if cipher != b"none" {
        return Err(PROTECTED.into());
    }
    // The key derivation and its options, how many keys, the public one.
    let skipped = (|| Some((outer.text()?, outer.text()?, outer.number()?, outer.text()?)))();
    skipped.ok_or_else(damaged)?;
    let mut inner = Reader(outer.text().ok_or_else(damaged)?);
    // Twice the same number, which would differ after decryption with a wrong key.
    let checks = (|| Some((inner.number()?, inner.number()?)))();
    checks.filter(|(a, b)| a == b).ok_or_else(damaged)?;
    if inner.text().ok_or_else(damaged)? != b"ssh-rsa" {
        return Err(NOT_RSA.into());
    }
    let numbers: Option<Vec<UBig>> = (0..6).map(|_| inner.integer()).collect();
    let [n, e, d, inverse, p, q] = <[UBig; 6]>::try_from(numbers.ok_or_else(damaged)?).map_err(|_| damaged())?;
    let one = UBig::ONE;
    if p <= one || q <= one {
        return Err(damaged());
    }
    let (dp, dq) = (&d % (&p - &one), &d % (&q - &one));
    let all = [&UBig::ZERO, &n, &e, &d, &p, &q, &dp, &dq, &inverse];
    Ok(wrapped(&element(SEQUENCE, &all.map(integer).concat())))
}
