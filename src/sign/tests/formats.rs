//! Lines, signatures, signers and revoked keys: what is taken, and that nothing else is.

use jiff::Timestamp;
use proptest::prelude::*;

use crate::sign::signers::Unfit;
use crate::sign::{Key, OpenError, PrivateKey, Revoked, Role, Signed, Signers, Statement, agent, sshsig};

/// A key that was made for this test, and opens nothing.
const PRIVATE: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n\
QyNTUxOQAAACAE3olBA4AXcLd4Rgyi9QUvUWlq5OK2i4qBC+h77lYzKQAAAIgPRv8ZD0b/\n\
GQAAAAtzc2gtZWQyNTUxOQAAACAE3olBA4AXcLd4Rgyi9QUvUWlq5OK2i4qBC+h77lYzKQ\n\
AAAED4psJoQAlslJqsONhELGG2bqAkudEKkt5hy2zzkSOf5ATeiUEDgBdwt3hGDKL1BS9R\n\
aWrk4raLioEL6HvuVjMpAAAABHRlc3QB\n\
-----END OPENSSH PRIVATE KEY-----\n\
";
const PUBLIC: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIATeiUEDgBdwt3hGDKL1BS9RaWrk4raLioEL6HvuVjMp test";

/// The same, and its passphrase is "open sesame".
const LOCKED: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDOtOYg6e\n\
SNxhVGwTZTpGgCAAAABAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAID4hv+K+3A3I4z0/\n\
WNFD2ZG6KxrU6C6QfjC2Uot8+hgIAAAAkIWtOQxpkSYcAYOsDIhL0wCY/6wblEFGQEtURE\n\
AwpN2O8+UINq8N2aYWPfi6PWgqV8AaJPqEF60mkDDDBvCPVVUCb0CQJ4VRhsWwqLtj+AWt\n\
H05gX5r0f25yp6FmRbDQkGQZA+Pvjr1SO4oGLME0z3Ig72tXlFI/43TDiS6YR+7MZzA/66\n\
zlZqem/+0q4kSr3Q==\n\
-----END OPENSSH PRIVATE KEY-----\n\
";

fn statement(role: Role) -> Statement {
    Statement {
        role,
        effect: "e".repeat(64),
        environment: "production".into(),
        lineage: "0123".into(),
        expires: (role == Role::Approval).then(|| "2026-11-22T20:00:00Z".parse().unwrap()),
        nonce: "4567".into(),
    }
}

fn signed(role: Role) -> Signed {
    sshsig::sign(&statement(role).line(), &PrivateKey::parse(PRIVATE, None).unwrap()).unwrap()
}

#[test]
fn a_line_has_one_spelling_and_comes_back() {
    for role in [Role::Approval, Role::Author, Role::Start] {
        let statement = statement(role);
        assert_eq!(Statement::parse(&statement.line()), Ok(statement));
    }
    let line = statement(Role::Approval).line();
    let expected = "{\"approval\":1,\"effect\":\"eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\",\"environment\":\"production\",\
                    \"expires\":\"2026-11-22T20:00:00Z\",\"lineage\":\"0123\",\"nonce\":\"4567\"}";
    assert_eq!(line, expected);
    for (from, to) in [
        (":1,", ":1 ,"),
        (":1,", ":1.0,"),
        ("{", "{\"approval\":1,"),
        ("{", "{\"a\":1,"),
        ("4567\"", "4567\",\"nonce\":\"4567\""),
        ("20:00:00Z", "20:00:00.0Z"),
        ("20:00:00Z", "21:00:00+01:00"),
        ("0123", "\\u0030123"),
        ("\"lineage\":\"0123\",", ""),
    ] {
        assert!(Statement::parse(&line.replacen(from, to, 1)).is_err(), "{from} {to}");
    }
}

#[test]
fn a_signature_is_good_for_its_line_and_its_role_alone() {
    let good = signed(Role::Approval);
    let claim = good.open(Role::Approval).unwrap();
    assert_eq!((claim.statement, claim.key), (statement(Role::Approval), Key::parse(PUBLIC).unwrap()));
    assert_eq!(good.open(Role::Start), Err(OpenError::Role(Role::Approval, Role::Start)));
    assert_eq!(signed(Role::Author).open(Role::Approval), Err(OpenError::Role(Role::Author, Role::Approval)));
    let other = Signed { line: good.line.replace("production", "staging"), ..good.clone() };
    assert_eq!(other.open(Role::Approval), Err(OpenError::Unfit));
    // No bit of the armour's content may change unseen.
    let lines: Vec<&str> = good.signature.lines().collect();
    let body: String = lines[1..lines.len() - 1].concat();
    for at in 0..body.len() {
        let mut changed = body.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        let text: Vec<String> =
            changed.as_bytes().chunks(70).map(|c| String::from_utf8_lossy(c).into_owned()).collect();
        let signature = format!("{}\n{}\n{}\n", lines[0], text.join("\n"), lines[lines.len() - 1]);
        assert!(Signed { signature, ..good.clone() }.open(Role::Approval).is_err(), "{at}");
    }
}

#[test]
fn a_locked_key_opens_with_its_passphrase_alone() {
    let why = |words: Option<&str>| PrivateKey::parse(LOCKED, words).unwrap_err().to_string();
    assert_eq!(why(None), "it is protected by a passphrase");
    assert_eq!(why(Some("close sesame")), "the passphrase does not open it");
    let key = PrivateKey::parse(LOCKED, Some("open sesame")).unwrap();
    assert_eq!(crate::sign::private::public_half(LOCKED).as_ref(), Some(key.key()));
    let signed = sshsig::sign(&statement(Role::Approval).line(), &key).unwrap();
    assert_eq!(&signed.open(Role::Approval).unwrap().key, key.key());
    for (text, why) in [
        (PUBLIC, "it is a public key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n", "it is a private key in another format than OpenSSH's"),
        ("", "it is not a private key"),
    ] {
        assert_eq!(PrivateKey::parse(text, None).unwrap_err().to_string(), why);
    }
}

#[test]
fn a_security_key_s_signature_counts_where_somebody_touched_it() {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
    use sha2::{Digest as _, Sha256};
    use ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};
    use ssh_key::{Algorithm, Signature};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public = Ed25519PublicKey(pair.public_key().as_ref().try_into().unwrap());
    let data = KeyData::SkEd25519(SkEd25519::new(public, "ssh:"));
    let key = Key::of(&data).unwrap();
    assert_eq!(Key::from_wire(key.wire()), Ok(key.clone()));
    let message = sshsig::to_be_signed("a line");
    let by = |flags: u8| {
        let mut signed = Sha256::digest(b"ssh:").to_vec();
        signed.extend([flags, 0, 0, 0, 9]);
        signed.extend(Sha256::digest(&message));
        let mut bytes = pair.sign(&signed).as_ref().to_vec();
        bytes.extend([flags, 0, 0, 0, 9]);
        Signature::new(Algorithm::SkEd25519, bytes).unwrap()
    };
    assert!(key.made(&by(1), &message));
    assert!(key.made(&by(5), &message), "and a PIN was asked for");
    assert!(!key.made(&by(4), &message), "nobody touched it");
    assert!(!key.made(&by(1), b"another line"));
}

#[test]
fn an_agent_s_answers_are_read_and_cut_off_ones_refused() {
    let key = Key::parse(PUBLIC).unwrap();
    let mut answer = vec![12, 0, 0, 0, 1];
    crate::sign::wire::put_string(&mut answer, key.wire());
    crate::sign::wire::put_string(&mut answer, b"me");
    let found = agent::identities(&answer).unwrap();
    assert_eq!((&found[0].key, &*found[0].comment), (&key, "me"));
    for end in 0..answer.len() {
        assert!(agent::identities(&answer[..end]).is_err(), "{end}");
    }
    assert!(agent::identities(&[12, 255, 255, 255, 255]).is_err(), "a count that nothing stands behind");
    assert_eq!(agent::signature(&[5]), Err(agent::AgentError::Refused));
}

#[test]
fn signers_are_openssh_s() {
    let key = Key::parse(PUBLIC).unwrap();
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let who = |line: &str| Signers::parse(line).unwrap().signer(&key, now).map(|s| s.principal);
    for line in [
        format!("alice {PUBLIC}"),
        format!("# a comment\n\nalice   {PUBLIC} and more\n"),
        format!("\"alice\" {PUBLIC}"),
        format!("alice namespaces=\"file,gantry\" {PUBLIC}"),
        format!("alice NameSpaces=\"g*\",valid-after=\"20261121\",valid-before=\"20261121120001Z\" {PUBLIC}"),
        format!("alice namespaces=\"git\" {PUBLIC}\nalice {PUBLIC}"),
    ] {
        assert_eq!(who(&line).as_deref(), Ok("alice"), "{line}");
    }
    assert_eq!(who(&format!("a namespaces=\"git\" {PUBLIC}")), Err(Unfit::Namespace));
    assert_eq!(who(&format!("a namespaces=\"!gantry,*\" {PUBLIC}")), Err(Unfit::Namespace));
    let noon = "2026-11-21T13:00:00Z".parse().unwrap();
    assert_eq!(who(&format!("a valid-after=\"202611211300\" {PUBLIC}")), Err(Unfit::NotYet(noon)));
    let eleven = "2026-11-21T11:00:00Z".parse().unwrap();
    assert_eq!(who(&format!("a valid-before=\"202611211100\" {PUBLIC}")), Err(Unfit::NoLonger(eleven)));
    for (line, why) in [
        ("alice", "what stands behind the principals is no key"),
        ("alice x", "what stands behind the principals is no key"),
        ("alice nonsense KEY", "the option \"nonsense\" is unknown"),
        ("alice namespaces=git KEY", "the value of \"namespaces\" needs quotation marks"),
        ("alice namespaces=\"a\",namespaces=\"b\" KEY", "the option \"namespaces\" stands twice"),
        ("alice valid-after=\"soon\" KEY", "\"soon\" is not a time"),
        ("alice valid-after=\"20261341\" KEY", "\"20261341\" is not a time"),
        ("alice valid-after=\"20260102\",valid-before=\"20260101\" KEY", "is not later than"),
        ("*@x cert-authority KEY", "Gantry takes plain keys only"),
        ("\"alice KEY", "its quotation mark does not end"),
        ("alice ssh-dss AAAA", "what stands behind the principals is no key"),
    ] {
        let found = Signers::parse(&line.replace("KEY", PUBLIC)).unwrap_err();
        assert!(found.line == 1 && found.why.contains(why), "{line}: {found}");
    }
}

#[test]
fn the_same_key_and_the_same_name_are_the_same_person() {
    let keys: Vec<String> = (0_u8..4).map(super::model::public).collect();
    let people = |lines: &[(&str, usize)]| {
        let text: String = lines.iter().map(|(name, key)| format!("{name} {}\n", keys[*key])).collect();
        Signers::parse(&text).unwrap().people()
    };
    assert_eq!(people(&[("a", 0), ("b", 1), ("c", 2)]), 3);
    assert_eq!(people(&[("a", 0), ("b", 0)]), 1, "one key under two names");
    assert_eq!(people(&[("a", 0), ("a", 1)]), 1, "two keys under one name");
    assert_eq!(people(&[("a,b", 0), ("b,c", 1), ("c", 2), ("d", 3)]), 2, "through somebody between them");
    assert_eq!(people(&[("*@x", 0), ("a@x", 1), ("b@y", 2)]), 2, "through a pattern");
}

#[test]
fn a_krl_that_is_cut_off_anywhere_is_refused() {
    use crate::sign::wire::put_string;
    let key = Key::parse(PUBLIC).unwrap();
    let mut krl = 0x5353_484b_524c_0a00_u64.to_be_bytes().to_vec();
    krl.extend([0, 0, 0, 1]);
    krl.extend([0; 24]);
    put_string(&mut krl, b"");
    put_string(&mut krl, b"a comment");
    let head = krl.len();
    krl.push(2);
    let mut section = Vec::new();
    put_string(&mut section, key.wire());
    put_string(&mut krl, &section);
    assert!(Revoked::parse_krl(&krl).unwrap().holds(&key));
    for end in (0..krl.len()).filter(|end| *end != head) {
        assert!(Revoked::parse_krl(&krl[..end]).is_err(), "{end}");
    }
    let with = |ty: u8, body: &[u8]| {
        let mut bytes = krl.clone();
        bytes.push(ty);
        put_string(&mut bytes, body);
        Revoked::parse_krl(&bytes).map_err(|e| e.to_string())
    };
    assert!(with(1, b"whatever is said of certificates").is_ok());
    assert!(with(5, &[0, 0, 0, 1, 9]).unwrap_err().contains("wrong length"));
    assert!(with(9, b"").unwrap_err().contains("unknown type 9"));
    let mut extension = Vec::new();
    put_string(&mut extension, b"x");
    extension.push(1);
    put_string(&mut extension, b"");
    assert!(with(255, &extension).unwrap_err().contains("critical extension \"x\""));
}

proptest! {
    #[test]
    fn no_bytes_panic(text in "\\PC*", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop((Signers::parse(&text), Revoked::parse_list(&text), Statement::parse(&text)));
        drop((Revoked::parse_krl(&bytes), agent::identities(&bytes), Key::from_wire(&bytes)));
        let _ = agent::signature(&bytes);
        drop(Signed { line: text.clone(), signature: text.clone() }.open(Role::Approval));
        drop(PrivateKey::parse(&text, Some("x")));
        let mut krl = 0x5353_484b_524c_0a00_u64.to_be_bytes().to_vec();
        krl.extend(bytes);
        drop(Revoked::parse_krl(&krl));
        drop(Signers::parse(&format!("a {text} {PUBLIC}")));
    }
}
