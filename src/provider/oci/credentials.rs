//! The credentials that `docker login` left: in Docker's `config.json`, or with a credential helper that it names.
//!
//! Docker's own order holds: a helper for this registry (`credHelpers`), then the helper for all (`credsStore`), then
//! the file itself (`auths`).

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::secret::Secret;
use super::{Options, Reference};
use crate::ports::{exec, fs};

/// Far above any real `config.json`, so that a wrong file is not read whole.
const MAX_CONFIG: u64 = 1024 * 1024;
/// A helper may ask a network service; one that waits for a person never ends.
const HELPER_TIMEOUT: Duration = Duration::from_secs(20);
/// A helper's answer is one small object; cloud tokens take a few KiB.
const MAX_HELPER_ANSWER: usize = 64 * 1024;
/// With this user name a helper says that the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// What a registry or its token server is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// A whole `Authorization` header, `Basic …`.
    Basic(Secret),
    /// A refresh token of OAuth 2, to be exchanged at the token server.
    Identity(Secret),
    /// A token for the registry itself.
    Registry(Secret),
}

/// Whether there is a login, and in words where it is from or why there is none.
#[derive(Debug)]
pub(super) struct Found {
    /// What was found.
    pub(super) login: Option<Login>,
    /// `/home/me/.docker/config.json`, or `` `docker-credential-pass` ``; for a missing one a whole clause.
    pub(super) words: String,
}

impl Found {
    fn nothing(why: String) -> Self {
        Self { login: None, words: why }
    }
}

/// Looks for the login of a registry. What is in the way is no error yet: most images can be read without one.
pub(super) async fn look(image: &Reference, options: &Options) -> Found {
    let Some(folder) = &options.docker_config else {
        return Found::nothing("there are no credentials, since neither DOCKER_CONFIG nor HOME is set".into());
    };
    let path = folder.join("config.json");
    let bytes = match fs::read(&path, MAX_CONFIG) {
        Ok(bytes) => bytes,
        Err(e) if e.is_not_found() => {
            return Found::nothing(format!("there are no credentials for it, since {} does not exist", path.display()));
        }
        Err(e) => return Found::nothing(format!("its credentials are unknown, since we {e} ({})", e.source)),
    };
    let config: Value = match serde_json::from_slice(&bytes) {
        Ok(config) => config,
        // Its message may quote what it met, which may be a password.
        Err(e) => {
            let place = format!("{}:{}:{}", path.display(), e.line(), e.column());
            return Found::nothing(format!("its credentials are unknown, since {place} is not JSON"));
        }
    };
    let keys = image.credential_keys();
    if let Some(helper) = helper_for(&config, &keys) {
        return ask_helper(&helper, keys[0], options).await;
    }
    match in_file(&config, &keys) {
        Some(Ok(login)) => Found { login: Some(login), words: path.display().to_string() },
        Some(Err(why)) => Found::nothing(format!("its entry in {} {why}", path.display())),
        None => Found::nothing(format!("there are no credentials for it in {}", path.display())),
    }
}

/// Docker writes keys with and without scheme and path.
fn host_of_key(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

/// The value of an object under the first of the keys that it has, exactly or by the host alone.
fn entry<'a>(object: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    let object = object.as_object()?;
    keys.iter().find_map(|key| object.get(*key)).or_else(|| {
        keys.iter().find_map(|key| object.iter().find(|(k, _)| host_of_key(k) == *key).map(|(_, value)| value))
    })
}

fn helper_for(config: &Value, keys: &[&str]) -> Option<String> {
    let own = config.get("credHelpers").and_then(|all| entry(all, keys));
    let name = own.or_else(|| config.get("credsStore"))?.as_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn in_file(config: &Value, keys: &[&str]) -> Option<Result<Login, &'static str>> {
    let entry = entry(config.get("auths")?, keys)?;
    let text = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if let Some(token) = text("registrytoken") {
        return Some(Ok(Login::Registry(Secret::new(token))));
    }
    if let Some(token) = text("identitytoken") {
        return Some(Ok(Login::Identity(Secret::new(token))));
    }
    if let Some(auth) = text("auth") {
        return Some(decoded(auth).ok_or("is no base64 of USER:PASSWORD"));
    }
    Some(Ok(basic(text("username")?, text("password")?)))
}

fn decoded(auth: &str) -> Option<Login> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, lenient).decode(auth.trim()).ok()?;
    let pair = String::from_utf8(bytes).ok()?;
    let (user, password) = pair.split_once(':')?;
    // Docker pads passwords with NUL.
    Some(basic(user, password.trim_end_matches('\0')))
}

fn basic(user: &str, password: &str) -> Login {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    Login::Basic(Secret::new(format!("Basic {pair}")))
}

/// The helper protocol: the registry on standard input, one JSON object on standard output.
async fn ask_helper(name: &str, key: &str, options: &Options) -> Found {
    let clean = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(clean) {
        return Found::nothing("the name of the credential helper in Docker's config.json is no program's name".into());
    }
    let program = format!("docker-credential-{name}");
    let path = options
        .helpers
        .as_ref()
        .map_or_else(|| program.clone(), |folder| folder.join(&program).to_string_lossy().into_owned());
    let argv = [path, "get".to_owned()];
    let command = exec::Command {
        argv: &argv,
        directory: Path::new("/"),
        environment: &[],
        timeout: HELPER_TIMEOUT,
        keep: MAX_HELPER_ANSWER,
    };
    // What it writes may hold the secret, so none of it is repeated.
    let finished = match exec::run_with_input(command, Some(key.as_bytes().to_vec())).await {
        Ok(finished) => finished,
        Err(e) => {
            let why = e.kind();
            return Found::nothing(format!("its credentials are with `{program}`, which cannot be started ({why})"));
        }
    };
    match finished.ended {
        exec::Ended::Exit(0) => {}
        exec::Ended::TimedOut => {
            let limit = HELPER_TIMEOUT.as_secs();
            return Found::nothing(format!("`{program} get` did not answer within {limit} seconds"));
        }
        exec::Ended::Exit(_) if finished.stdout.trim_ascii() == b"credentials not found in native keychain" => {
            return Found::nothing(format!("`{program}` has no credentials for it"));
        }
        exec::Ended::Exit(code) => return Found::nothing(format!("`{program} get` failed with exit code {code}")),
        exec::Ended::Signal(signal) => return Found::nothing(format!("`{program} get` was ended by signal {signal}")),
    }
    let answer: Option<Value> = serde_json::from_slice(&finished.stdout).ok();
    let text = |name: &str| answer.as_ref().and_then(|a| a.get(name)).and_then(Value::as_str);
    match (text("Username"), text("Secret")) {
        (Some(TOKEN_USER), Some(token)) => {
            Found { login: Some(Login::Identity(Secret::new(token))), words: format!("`{program}`") }
        }
        (Some(user), Some(password)) => Found { login: Some(basic(user, password)), words: format!("`{program}`") },
        _ => Found::nothing(format!("what `{program} get` wrote holds no Username and Secret")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(config: &str, image: &str) -> Option<Result<Login, &'static str>> {
        let config: Value = serde_json::from_str(config).unwrap();
        in_file(&config, &Reference::parse(image).unwrap().credential_keys())
    }

    #[test]
    fn entries_are_found_as_docker_writes_them() {
        let ann =
            |config: &str, image: &str| assert_eq!(file(config, image), Some(Ok(basic("ann", "p:w"))), "{config}");
        ann(r#"{"auths":{"r.io":{"auth":"YW5uOnA6dw=="}}}"#, "r.io/a");
        ann(r#"{"auths":{"r.io":{"auth":"YW5uOnA6dw"}}}"#, "r.io/a");
        ann(r#"{"auths":{"https://r.io:5000/v2/":{"auth":"YW5uOnA6dwAA"}}}"#, "r.io:5000/a");
        ann(r#"{"auths":{"r.io":{"username":"ann","password":"p:w"}}}"#, "r.io/a");
        ann(r#"{"auths":{"https://index.docker.io/v1/":{"auth":"YW5uOnA6dw=="}}}"#, "nginx");
        assert_eq!(file(r#"{"auths":{"r.io":{"auth":"YW5uOnA6dw=="}}}"#, "r.io:5000/a"), None);
        assert_eq!(file(r#"{"auths":{"evil.r.io":{"auth":"YW5uOnA6dw=="}}}"#, "r.io/a"), None);
        assert_eq!(file(r#"{"auths":{"r.io":{}}}"#, "r.io/a"), None);
        assert_eq!(file(r#"{"auths":[1]}"#, "r.io/a"), None);
        assert!(matches!(file(r#"{"auths":{"r.io":{"auth":"%%"}}}"#, "r.io/a"), Some(Err(_))));
    }

    #[test]
    fn a_helper_goes_before_the_file() {
        let config =
            serde_json::json!({"credHelpers": {"https://r.io": "one"}, "credsStore": "all", "auths": {"r.io": {}}});
        assert_eq!(helper_for(&config, &["r.io"]).as_deref(), Some("one"));
        assert_eq!(helper_for(&config, &["x.io"]).as_deref(), Some("all"));
        assert_eq!(helper_for(&serde_json::json!({"credsStore": ""}), &["r.io"]), None);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?} {:?}", basic("ann", "hunter2"), Login::Identity(Secret::new("hunter2")));
        assert!(!shown.contains("hunter2") && !shown.contains("YW5u"), "{shown}");
    }
}
