//! Signing a statement: with a private key file, or through the ssh-agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::{Failure, Result};
use crate::ports::process::connect_in;
use crate::ports::{env, fs};
use crate::sign::agent::{self, AgentError, Identity};
use crate::sign::sshsig::{self, Signed};
use crate::sign::{Gate, Key, PrivateKey, PrivateKeyError, Role, Statement};

/// The largest key file: one of RSA with 8192 bits has 7 KiB.
const KEY_FILE_MAX: u64 = 64 * 1024;

/// How long the agent may take to list its keys.
const LISTING: Duration = Duration::from_secs(10);

/// How long it may take to sign: it may ask its owner, or wait for a finger on a security key.
const SIGNING: Duration = Duration::from_secs(120);

/// Asks for the passphrase of a file; `None` where nobody can be asked.
pub type Ask = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// With what whoever runs this command signs.
#[derive(Clone, Default)]
pub struct Signing {
    /// `--key`: a private key, or a public one whose private half the agent has.
    pub key: Option<PathBuf>,
    /// Who is asked for a passphrase.
    pub ask: Option<Ask>,
}

impl std::fmt::Debug for Signing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signing").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Where a signature comes from.
enum Hand {
    File(Box<PrivateKey>, PathBuf),
    Agent(Key),
}

impl Signing {
    /// Signs a statement with the key that was named, or with one of the agent's that the gates know.
    ///
    /// # Errors
    /// When there is no such key, or it does not sign.
    pub async fn sign(&self, statement: &Statement, gates: &[&Gate]) -> Result<Signed> {
        let what = match statement.role {
            Role::Approval => "An approval is signed",
            Role::Author => "The author of a plan that needs approval signs it",
            Role::Start => "Whoever starts a run that needs approval signs for it",
        };
        let hand = match &self.key {
            Some(path) => self.named(path).await?,
            None => Hand::Agent(among_the_agent_s(gates, what).await?),
        };
        let line = statement.line();
        match hand {
            Hand::File(key, path) => sshsig::sign(&line, &key).map_err(|why| refuse(&path, &why)),
            Hand::Agent(key) => by_agent(&line, &key).await,
        }
    }

    async fn named(&self, path: &Path) -> Result<Hand> {
        let unreadable = |why: String| {
            Failure::refused("Unreadable key", format!("The key file {} cannot be read: {why}.", path.display()))
        };
        let bytes = fs::read(path, KEY_FILE_MAX).map_err(|e| unreadable(e.source.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| refuse(path, &PrivateKeyError::NoKey))?;
        if let Ok(key) = Key::parse(&text) {
            return Ok(Hand::Agent(key));
        }
        let mode = fs::mode(path).unwrap_or_default();
        if mode & 0o077 != 0 {
            let why = format!("its mode is {mode:04o}, so others on this machine can sign with it");
            return Err(unreadable(why).hint(format!("chmod 600 {}", path.display())));
        }
        let found = match PrivateKey::parse(&text, None) {
            Err(PrivateKeyError::Encrypted) => {
                // The agent may have it open already.
                if let Some(key) = crate::sign::private::public_half(&text)
                    && identities().await.is_ok_and(|all| all.iter().any(|identity| identity.key == key))
                {
                    return Ok(Hand::Agent(key));
                }
                let asked = self.ask.as_ref().and_then(|ask| ask(&path.display().to_string()));
                asked.map_or(Err(PrivateKeyError::Encrypted), |words| PrivateKey::parse(&text, Some(&words)))
            }
            found => found,
        };
        let key = found.map_err(|why| refuse(path, &why))?;
        Ok(Hand::File(Box::new(key), path.to_path_buf()))
    }
}

/// Why a key file does not sign, with what to do.
fn refuse(path: &Path, why: &PrivateKeyError) -> Failure {
    let shown = path.display();
    let summary = match why {
        PrivateKeyError::Encrypted => "Passphrase needed",
        PrivateKeyError::Passphrase => "Wrong passphrase",
        _ => "Unusable key",
    };
    let rest = match why {
        PrivateKeyError::Encrypted => ", and there is no terminal to ask for it at",
        _ => "",
    };
    let failure = Failure::refused(summary, format!("The key file {shown} does not sign: {why}{rest}."));
    let public = format!("{}.pub", shown.to_string().trim_end_matches(".pub"));
    match why {
        PrivateKeyError::Encrypted | PrivateKeyError::Passphrase => failure.hint(format!(
            "Have the ssh-agent open it once (ssh-add {shown}), then run this again: what the agent has needs no passphrase."
        )),
        PrivateKeyError::SecurityKey => {
            failure.hint(format!("Add it to the ssh-agent (ssh-add {shown}) and name the public half: --key {public}"))
        }
        PrivateKeyError::OtherFormat => {
            failure.hint(format!("Bring a copy of it into OpenSSH's format: ssh-keygen -p -f {shown}"))
        }
        _ => failure.hint("Name a private key of OpenSSH: --key ~/.ssh/id_ed25519"),
    }
}

/// The agent's key that whoever calls can sign with: one that every gate knows, else one that any does.
async fn among_the_agent_s(gates: &[&Gate], what: &str) -> Result<Key> {
    let all = identities().await.map_err(|why| no_key(what, &why))?;
    let known = |key: &Key, gate: &&&Gate| gate.signers.name_of(key).is_some() && !gate.revoked.holds(key);
    let known = |identity: &&Identity| gates.iter().filter(|gate| known(&identity.key, gate)).count();
    // Of equal ones the first.
    if let Some(found) = all.iter().rev().max_by_key(known).filter(|best| known(best) > 0) {
        return Ok(found.key.clone());
    }
    if all.is_empty() {
        return Err(no_key(what, "the ssh-agent has no key"));
    }
    let shown: Vec<String> = all.iter().map(|i| i.key.fingerprint()).collect();
    Err(no_key(what, &format!("none of the ssh-agent's keys is in the signers file ({})", shown.join(", "))))
}

fn no_key(what: &str, why: &str) -> Failure {
    Failure::refused("No key to sign with", format!("{what}, no --key was given, and {why}."))
        .hint("Name a private key (--key ~/.ssh/id_ed25519), or add one to the ssh-agent (ssh-add).")
}

async fn by_agent(line: &str, key: &Key) -> Result<Signed> {
    let failed = |why: String| {
        let shown = key.fingerprint();
        Failure::refused("The ssh-agent did not sign", format!("It was asked to sign with {shown}: {why}."))
            .hint("See which keys it has (ssh-add -l), add this one (ssh-add), or name a private key: --key FILE")
    };
    let message = sshsig::to_be_signed(line);
    let answer = exchange(&agent::ask_signature(key, &message), SIGNING).await.map_err(failed)?;
    let signature = agent::signature(&answer).map_err(|e| failed(e.to_string()))?;
    sshsig::from_agent(line, key, signature).ok_or_else(|| failed(AgentError::Unreadable.to_string()))
}

/// The keys that the agent has; or why that cannot be told, as the end of a sentence.
async fn identities() -> std::result::Result<Vec<Identity>, String> {
    let answer = exchange(&agent::ask_identities(), LISTING).await?;
    agent::identities(&answer).map_err(|e| format!("the ssh-agent cannot be asked: {e}"))
}

/// One question to the agent and its answer, without its length.
async fn exchange(question: &[u8], patience: Duration) -> std::result::Result<Vec<u8>, String> {
    let path = env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
    let path = PathBuf::from(path.ok_or("no ssh-agent runs here (SSH_AUTH_SOCK is not set)")?);
    let unreachable = |why: String| format!("the ssh-agent at {} does not answer: {why}", path.display());
    let talk = async {
        let (directory, name) = path.parent().zip(path.file_name()).ok_or("it is no socket")?;
        let mut stream = connect_in(directory, &name.to_string_lossy()).await.map_err(|e| e.to_string())?;
        stream.write_all(question).await.map_err(|e| e.to_string())?;
        let length = stream.read_u32().await.map_err(|e| e.to_string())?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > agent::ANSWER_MAX {
            return Err(format!("its answer has {length} bytes"));
        }
        let mut answer = vec![0; length];
        stream.read_exact(&mut answer).await.map_err(|e| e.to_string())?;
        Ok(answer)
    };
    match tokio::time::timeout(patience, talk).await {
        Ok(answer) => answer.map_err(|why: String| unreachable(why.trim_end_matches('.').to_owned())),
        Err(_) => Err(unreachable(format!("it took longer than {} seconds", patience.as_secs()))),
    }
}
