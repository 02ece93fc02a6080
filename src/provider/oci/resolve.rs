//! From a reference to a digest.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::reference::is_sha256;
use super::registry::{MANIFEST_TYPES, Registry};
use super::transport::Answer;
use super::{Reference, ResolveError};
use crate::ports::env;

/// The header in which a registry names the digest of what it sends.
const CONTENT_DIGEST: &str = "docker-content-digest";
/// The codes of the specification that say that the repository itself is unknown.
const UNKNOWN_REPOSITORY: &str = "NAME_UNKNOWN";

/// How a registry is asked.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of Docker's `config.json`, which holds logins; `None` for asking without any.
    pub docker_config: Option<PathBuf>,
    /// The folder of the credential helpers `docker-credential-*`; `None` for the `PATH`.
    pub helpers: Option<PathBuf>,
    /// How long one request may take, with its body.
    pub request_timeout: Duration,
    /// How long all of it may take, with the login, the retries and the waiting.
    pub deadline: Duration,
    /// How often a request is sent that fails in passing (429, 5xx, a broken connection).
    pub attempts: u32,
    /// How long is waited before the second attempt; the time doubles with each, and is half as long again at most.
    pub first_wait: Duration,
    /// The longest wait between attempts. A registry that asks for a longer one is given up at once.
    pub longest_wait: Duration,
}

impl Default for Options {
    /// Without any login, with limits that suit a person who waits for a plan.
    fn default() -> Self {
        Self {
            docker_config: None,
            helpers: None,
            request_timeout: Duration::from_secs(15),
            deadline: Duration::from_secs(60),
            attempts: 4,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
        }
    }
}

impl Options {
    /// With the logins of this user: those in `$DOCKER_CONFIG`, else in `~/.docker`.
    #[must_use]
    pub fn from_environment() -> Self {
        let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let docker_config = folder("DOCKER_CONFIG").or_else(|| folder("HOME").map(|home| home.join(".docker")));
        Self { docker_config, ..Self::default() }
    }
}

/// An image that is there, by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Registry and repository, completed: `docker.io/library/nginx`.
    pub repository: String,
    /// The tag that was asked for; `None` if the reference has a digest and no tag.
    pub tag: Option<String>,
    /// `sha256:` and 64 hexadecimal digits: of the index where the tag names one, else of the manifest.
    pub digest: String,
}

impl Resolved {
    /// The reference that never changes: `repository@sha256:…`.
    #[must_use]
    pub fn image(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}

/// Asks the registry of an image reference which digest its tag has now, or whether its digest is there.
///
/// It reads only. Dropping the future ends it.
///
/// # Errors
/// [`ResolveError`], whose text names the registry, the reason and the next step.
pub async fn resolve(reference: &str, options: &Options) -> Result<Resolved, ResolveError> {
    let image = Reference::parse(reference)?;
    let digest = tokio::time::timeout(options.deadline, digest(&image, options)).await.map_err(|_| {
        let (registry, repository) = (image.registry.clone(), image.path.clone());
        ResolveError::Deadline { registry, repository, after: options.deadline }
    })??;
    Ok(Resolved { repository: image.repository(), tag: image.tag, digest })
}

async fn digest(image: &Reference, options: &Options) -> Result<String, ResolveError> {
    let mut registry = Registry::new(image, options);
    let head = registry.manifest(Method::HEAD).await?;
    let digest = match named_by_head(&head) {
        Some(digest) => digest,
        // The body tells what the header does not: the digest itself, or the reason of the refusal.
        None => hashed(image, &registry.manifest(Method::GET).await?)?,
    };
    match &image.digest {
        Some(wanted) if *wanted != digest => Err(mismatch(image, wanted, &digest)),
        _ => Ok(digest),
    }
}

/// The digest in an answer without a body, if everything about the answer is as it should be.
fn named_by_head(answer: &Answer) -> Option<String> {
    let is_manifest = media_type(&answer.headers).is_some_and(|found| MANIFEST_TYPES.split(", ").any(|t| t == found));
    let digest = answer.headers.get(CONTENT_DIGEST)?.to_str().ok()?;
    (answer.status.as_u16() == 200 && is_manifest && is_sha256(digest)).then(|| digest.to_owned())
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u64,
}

/// The digest of a manifest that was sent whole, which has to be the one that its header names.
fn hashed(image: &Reference, answer: &Answer) -> Result<String, ResolveError> {
    let odd = |reason: String| ResolveError::Answer { registry: image.registry.clone(), reason };
    match answer.status.as_u16() {
        200 => {}
        404 if media_type(&answer.headers).as_deref() == Some("text/html") => {
            return Err(odd("asked for a manifest it answered 404 with a web page".to_owned()));
        }
        404 => return Err(not_found(image, &answer.body)),
        status => return Err(odd(format!("asked for a manifest it answered {status}"))),
    }
    match serde_json::from_slice::<Manifest>(&answer.body) {
        Ok(Manifest { schema_version: 2 }) => {}
        Ok(Manifest { schema_version: 1 }) => {
            return Err(odd(
                "the image is in Docker's first format, which has no lasting digest. Push it again with a \
                            Docker of this decade"
                    .to_owned(),
            ));
        }
        _ => return Err(odd("what it sent is no image manifest".to_owned())),
    }
    let actual = format!("sha256:{}", hex(&Sha256::digest(&answer.body)));
    match answer.headers.get(CONTENT_DIGEST).map(|value| value.to_str().unwrap_or("unreadable")) {
        Some(named) if is_sha256(named) && named != actual => Err(mismatch(image, named, &actual)),
        // Another algorithm's digest is as good a name, but not ours to check.
        Some(named) if !is_sha256(named) && !named.starts_with("sha512:") => {
            Err(odd("the digest that it names is malformed".to_owned()))
        }
        _ => Ok(actual),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn mismatch(image: &Reference, expected: &str, actual: &str) -> ResolveError {
    ResolveError::Mismatch {
        registry: image.registry.clone(),
        repository: image.path.clone(),
        expected: expected.to_owned(),
        actual: actual.to_owned(),
    }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    code: String,
}

fn not_found(image: &Reference, body: &[u8]) -> ResolveError {
    let errors: Option<Errors> = serde_json::from_slice(body).ok();
    ResolveError::NotFound {
        registry: image.registry.clone(),
        repository: image.path.clone(),
        wanted: image.wanted_in_words(),
        unknown_repository: errors.is_some_and(|e| e.errors.iter().any(|e| e.code == UNKNOWN_REPOSITORY)),
    }
}
