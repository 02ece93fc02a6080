//! Whom the tests' secrets are sealed for: pairs of keys, and what a configuration and a home say of them.

use std::os::unix::fs::PermissionsExt as _;

use age::secrecy::ExposeSecret as _;
use age::x25519::Identity;

use super::Sandbox;

/// A pair of keys.
pub(crate) struct Keys {
    pub(crate) recipient: String,
    pub(crate) identity: String,
}

/// A new pair.
pub(crate) fn keys() -> Keys {
    let identity = Identity::generate();
    Keys { recipient: identity.to_public().to_string(), identity: identity.to_string().expose_secret().to_owned() }
}

/// The environment block that seals for these.
pub(crate) fn encryption(recipients: &[&Keys]) -> String {
    environment(recipients, "")
}

/// The environment block that seals for these, or for nobody, and says this as well.
pub(crate) fn environment(recipients: &[&Keys], more: &str) -> String {
    let all: Vec<String> = recipients.iter().map(|k| format!("{:?}", k.recipient)).collect();
    let sealed = match all.is_empty() {
        true => String::new(),
        false => {
            format!("  encryption {{\n    recipients = [{}]\n    identities = [\"~/key.txt\"]\n  }}\n", all.join(", "))
        }
    };
    format!("environment {{\n{sealed}{more}}}\n")
}

/// Puts the identity where the configuration looks for it.
pub(crate) fn give_identity(sandbox: &Sandbox, keys: &Keys) {
    let path = sandbox.project().parent().expect("a project lies in its sandbox").join("home/key.txt");
    std::fs::write(&path, format!("# a key\n{}\n", keys.identity)).expect("the sandbox is writable");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("the sandbox is writable");
}
