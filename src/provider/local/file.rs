//! `local_file`: a file of this machine.
//!
//! **Whose it is.** A file carries no mark, so it is ours if its content is what the ledger recorded. One that no record
//! knows is not overwritten, unless its content is already exactly what is asked for. One whose content is neither recorded,
//! nor what the plan saw, nor what was planned, is neither changed nor removed. The digest that decides this is the
//! content's SHA-256, kept in the identity; of sensitive content it is an HMAC under a key that never leaves the state
//! directory, so that the ledger does not let anybody guess a password.
//!
//! **What a crash leaves.** The new content is written beside the file under a name made from the act's identity, then renamed
//! over it; another attempt, and `find`, remove what the first one left.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{KeyInit as _, Mac as _};
use serde_json::json;

use super::words::{hex, sha256, with};
use crate::ports::{crash, fs, id};
use crate::provider::{
    Act, Action, Context, Found, ImportRequest, Observation, Outcome, Prior, Problem, ProblemClass, ProposedChange,
    Readiness,
};
use crate::value::{Type, Value};

pub(super) const TYPE: &str = "local_file";

/// The largest file that is kept: it is held in memory and in the plan.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// The attributes of which one gives the content.
const CONTENTS: [&str; 3] = ["content", "sensitive_content", "content_base64"];

/// `id` is the name; the digest is known as soon as the content is.
pub(super) fn compute(change: &ProposedChange<'_>) -> Vec<(&'static str, Value)> {
    let mut known = Vec::new();
    if let Some(name) = change.proposed.get("filename") {
        known.push(("id", name.clone()));
    }
    if let Ok(Some(content)) = content_of(change.proposed) {
        known.push(("content_sha256", digest_value(&content)));
    }
    known
}

pub(super) fn validate(object: &Value) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let given: Vec<&str> = CONTENTS.into_iter().filter(|name| object.get(name).is_some_and(|v| !v.is_null())).collect();
    if given.len() > 1 {
        faults.push(("content", format!("Only one of {} can be given: they are the same bytes.", given.join(" and "))));
    }
    if let Some(text) = object.get_str("content_base64")
        && BASE64_STANDARD.decode(text).is_err()
    {
        faults.push(("content_base64", "This is not base64 (RFC 4648, section 4, with padding).".into()));
    }
    for name in ["file_permission", "directory_permission"] {
        if let Some(text) = object.get_str(name)
            && mode(text).is_none()
        {
            faults.push((
                name,
                format!("\"{text}\" are not permissions. Write three or four octal digits, as in \"0644\"."),
            ));
        }
    }
    if object.get_str("filename") == Some("") {
        faults.push(("filename", "The name is empty.".into()));
    }
    faults
}

/// `644` is `0644`.
pub(super) fn normalise_mode(value: &Value) -> Value {
    match value.as_str().and_then(mode) {
        Some(bits) => Value::string(format!("{bits:04o}")).mark(value.marks),
        None => value.clone(),
    }
}

fn mode(text: &str) -> Option<u32> {
    (3..=5).contains(&text.len()).then(|| u32::from_str_radix(text, 8).ok()).flatten().filter(|bits| *bits <= 0o7777)
}

struct Content {
    bytes: Vec<u8>,
    sensitive: bool,
}

/// The content that an object asks for; `None` where it is not known.
fn content_of(object: &Value) -> Result<Option<Content>, Problem> {
    let Some((name, value)) = CONTENTS.into_iter().find_map(|n| Some((n, object.get(n).filter(|v| !v.is_null())?)))
    else {
        return Ok(Some(Content { bytes: Vec::new(), sensitive: false }));
    };
    let Some(text) = value.as_str() else { return Ok(None) };
    let bytes = match name {
        "content_base64" => BASE64_STANDARD
            .decode(text)
            .map_err(|_| Problem::new(ProblemClass::Invalid, "The attribute \"content_base64\" is not base64."))?,
        _ => text.as_bytes().to_vec(),
    };
    Ok(Some(Content { bytes, sensitive: name == "sensitive_content" || value.marks.is_sensitive() }))
}

fn digest_value(content: &Content) -> Value {
    let digest = Value::string(sha256(&content.bytes));
    if content.sensitive { digest.sensitive() } else { digest }
}

/// Where a file of this machine stands, and how its content is told.
struct Files<'a> {
    context: &'a Context,
}

impl Files<'_> {
    fn path(&self, filename: &str) -> PathBuf {
        self.context.environment.join(filename)
    }

    /// The key of digests of sensitive content, made when it is first needed.
    fn key(&self) -> fs::Result<Vec<u8>> {
        let path = self.context.state.join("run").join("file-key");
        match fs::read(&path, 1024) {
            Err(e) if e.is_not_found() => {
                fs::create_private_dir(&self.context.state.join("run"))?;
                fs::write_atomic(&path, id::random_hex::<32>().as_bytes(), 0o600)?;
                fs::read(&path, 1024)
            }
            other => other,
        }
    }

    /// The content's digest for the identity: in clear, or keyed if the content is sensitive.
    fn digest(&self, bytes: &[u8], sensitive: bool) -> fs::Result<String> {
        if !sensitive {
            return Ok(format!("sha256:{}", sha256(bytes)));
        }
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&self.key()?)
            .expect("invariant: HMAC takes a key of any length");
        mac.update(bytes);
        Ok(format!("hmac-sha256:{}", hex(&mac.finalize().into_bytes())))
    }

    /// Whether the bytes have a digest that was recorded.
    fn has_digest(&self, bytes: &[u8], digest: &str) -> fs::Result<bool> {
        Ok(self.digest(bytes, digest.starts_with("hmac-"))? == digest)
    }
}

fn problem(error: &fs::FsError) -> Problem {
    let class = match error.source.kind() {
        std::io::ErrorKind::PermissionDenied => ProblemClass::Denied,
        _ => ProblemClass::Invalid,
    };
    Problem::new(class, format!("Gantry {error}: {}.", error.source))
}

fn invalid(sentence: impl Into<String>) -> Problem {
    Problem::new(ProblemClass::Invalid, sentence)
}

pub(super) fn act(context: &Context, act: &Act) -> Outcome {
    let files = Files { context };
    let done = match act.action {
        Action::Create | Action::Update => write(&files, act),
        Action::Delete => delete(&files, act),
        other => return super::unsupported(TYPE, other),
    };
    done.unwrap_or_else(Outcome::Rejected)
}

/// The bytes that stand there now; `None` if nothing does.
fn standing(path: &Path) -> Result<Option<Vec<u8>>, Problem> {
    match fs::read(path, SIZE_MAX) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(problem(&e)),
    }
}

/// The bytes of a file; `None` if there is none.
pub(super) fn content(context: &Context, name: &str) -> Result<Option<Vec<u8>>, Problem> {
    standing(&Files { context }.path(name))
}

/// Refuses unless what stands there is what was recorded or what the plan saw.
fn check_ours(
    files: &Files<'_>,
    prior: &Prior,
    path: &Path,
    now: &[u8],
    planned: Option<&[u8]>,
) -> Result<(), Problem> {
    let recorded = prior.identity.get("digest").and_then(serde_json::Value::as_str).unwrap_or("none");
    let seen = content_of(&prior.attributes)?.is_some_and(|c| c.bytes == now);
    if seen || files.has_digest(now, recorded).map_err(|e| problem(&e))? || planned == Some(now) {
        return Ok(());
    }
    let is = files.digest(now, recorded.starts_with("hmac-")).map_err(|e| problem(&e))?;
    Err(Problem::new(
        ProblemClass::Conflict,
        format!(
            "Somebody else changed {}: its content is {is}, and what was recorded is {recorded}. It is left as it is. \
             Run the plan again to see the difference, or move the file away.",
            path.display()
        ),
    ))
}

fn write(files: &Files<'_>, act: &Act) -> Result<Outcome, Problem> {
    let name = act.planned.get_str("filename").ok_or_else(|| invalid("The attribute \"filename\" is missing."))?;
    let path = files.path(name);
    let content = content_of(&act.planned)?.ok_or_else(|| invalid("The content of this file is not known yet."))?;
    if content.bytes.len() as u64 > SIZE_MAX {
        return Err(invalid(format!(
            "The content is larger than {SIZE_MAX} bytes, the most that a local_file may have."
        )));
    }
    let permission = act.planned.get_str("file_permission").unwrap_or("0644");
    let bits = mode(permission).ok_or_else(|| invalid(format!("\"{permission}\" are no permissions.")))?;
    let now = standing(&path)?;
    match (&now, &act.prior) {
        (Some(now), None) if *now != content.bytes => {
            return Err(Problem::new(
                ProblemClass::Conflict,
                format!(
                    "There is a file {} already, with other content, and no record says that it is Gantry's. It is left as it \
                     is. Move it away, or give this resource another \"filename\".",
                    path.display()
                ),
            ));
        }
        (Some(now), Some(prior)) => check_ours(files, prior, &path, now, Some(&content.bytes))?,
        _ => {}
    }
    let digest = files.digest(&content.bytes, content.sensitive).map_err(|e| problem(&e))?;
    if now.as_ref() != Some(&content.bytes) || fs::mode(&path).ok() != Some(bits) {
        crash::point("local_file write");
        if let Err(e) = put(&act.op, &path, &content.bytes, bits, act.planned.get_str("directory_permission")) {
            return Ok(match standing(&path) {
                Ok(Some(there)) if there == content.bytes => Outcome::Unknown(problem(&e)),
                _ => Outcome::Rejected(problem(&e)),
            });
        }
    }
    let attributes = with(&act.planned, [("id", Value::string(name)), ("content_sha256", digest_value(&content))]);
    Ok(Outcome::Applied { attributes, identity: json!({ "filename": name, "digest": digest }) })
}

/// The name beside the file under which an act's content is written.
fn temporary(op: &str, path: &Path) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.gantry-{}.tmp", &sha256(op.as_bytes())[..16]))
}

fn put(op: &str, path: &Path, bytes: &[u8], mode_bits: u32, directory: Option<&str>) -> fs::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_with(parent, directory.and_then(mode).unwrap_or(0o755))?;
    }
    let temporary = temporary(op, path);
    fs::remove_file(&temporary)?;
    let written = fs::write_new(&temporary, bytes, mode_bits).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| fs::sync_parent(path))
}

fn delete(files: &Files<'_>, act: &Act) -> Result<Outcome, Problem> {
    let prior = act.prior.as_ref().ok_or_else(|| invalid("There is no record of the file that is to be deleted."))?;
    let name = filename(prior).ok_or_else(|| invalid("The record of this file does not name it."))?;
    let path = files.path(name);
    if let Some(now) = standing(&path)? {
        check_ours(files, prior, &path, &now, None)?;
        crash::point("local_file delete");
        fs::remove_file(&path).and_then(|()| fs::sync_parent(&path)).map_err(|e| problem(&e))?;
    }
    Ok(Outcome::Applied { attributes: Value::null(Type::Any), identity: serde_json::Value::Null })
}

fn filename(prior: &Prior) -> Option<&str> {
    prior.identity.get("filename")?.as_str().or_else(|| prior.attributes.get_str("filename"))
}

pub(super) fn observe(context: &Context, prior: &Prior) -> Observation {
    let files = Files { context };
    let Some(name) = filename(prior) else {
        return Observation::Unreadable("The record of this file does not name it.".into());
    };
    let path = files.path(name);
    let now = match fs::read(&path, SIZE_MAX) {
        Ok(now) => now,
        Err(e) if e.is_not_found() => return Observation::Absent,
        Err(e) => return Observation::Unreadable(problem(&e).sentence),
    };
    let bits = match fs::mode(&path) {
        Ok(bits) => bits,
        Err(e) => return Observation::Unreadable(problem(&e).sentence),
    };
    let recorded = prior.identity.get("digest").and_then(serde_json::Value::as_str).unwrap_or_default();
    let mut attributes = match files.has_digest(&now, recorded) {
        Ok(true) => prior.attributes.clone(),
        Ok(false) => drifted(&prior.attributes, now),
        Err(e) => return Observation::Unreadable(problem(&e).sentence),
    };
    if prior.attributes.get_str("file_permission").and_then(mode) != Some(bits) {
        attributes = with(&attributes, [("file_permission", Value::string(format!("{bits:04o}")))]);
    }
    Observation::Present { attributes, readiness: Readiness::Ready }
}

/// The file of a name, as it stands. A name that means the configured file takes its spelling from there.
pub(super) fn import(context: &Context, request: &ImportRequest) -> Result<Option<Prior>, Problem> {
    let files = Files { context };
    let path = files.path(&request.id);
    let Some(now) = standing(&path)? else { return Ok(None) };
    let bits = fs::mode(&path).map_err(|e| problem(&e))?;
    let configured = request.wanted.get_str("filename").filter(|name| files.path(name) == path);
    let name = configured.unwrap_or(&request.id);
    let none = || Value::null(Type::String);
    let bare = Value::object_of([
        ("filename", Value::string(name)),
        ("content", none()),
        ("sensitive_content", none()),
        ("content_base64", none()),
        ("file_permission", Value::string(format!("{bits:04o}"))),
        ("directory_permission", Value::string("0755")),
        ("id", Value::string(name)),
        ("content_sha256", none()),
    ]);
    let given = |attribute: &&str| request.wanted.get(attribute).is_some_and(|v| !v.is_null());
    let by = CONTENTS.into_iter().find(given);
    let by = by.unwrap_or(if std::str::from_utf8(&now).is_ok() { "content" } else { "content_base64" });
    let secret = by == "sensitive_content" || request.wanted.get(by).is_some_and(|v| v.marks.is_sensitive());
    // A digest of secret content needs a key, and whoever plans makes none: the content itself tells whose the file is.
    let identity = match secret {
        true => json!({ "filename": name }),
        false => json!({ "filename": name, "digest": files.digest(&now, false).map_err(|e| problem(&e))? }),
    };
    let text = if secret { Value::string("").sensitive() } else { Value::string("") };
    Ok(Some(Prior { attributes: drifted(&with(&bare, [(by, text)]), now), identity }))
}

/// The object with the content that is really there, in the attribute that gave it.
fn drifted(recorded: &Value, now: Vec<u8>) -> Value {
    let name = CONTENTS.into_iter().find(|n| recorded.get(n).is_some_and(|v| !v.is_null())).unwrap_or("content");
    let sensitive = name == "sensitive_content" || recorded.get(name).is_some_and(|v| v.marks.is_sensitive());
    let content = Content { bytes: now, sensitive };
    let digest = digest_value(&content);
    let text = match (name, String::from_utf8(content.bytes)) {
        ("content_base64", Ok(text)) => BASE64_STANDARD.encode(text),
        ("content_base64", Err(e)) => BASE64_STANDARD.encode(e.as_bytes()),
        (_, Ok(text)) => text,
        (_, Err(e)) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    };
    let text = if sensitive { Value::string(text).sensitive() } else { Value::string(text) };
    with(recorded, [(name, text), ("content_sha256", digest)])
}

/// Whether the act's content stands there, or the file is gone. Removes what an interrupted attempt left beside it.
pub(super) fn find(context: &Context, act: &Act) -> Found {
    let files = Files { context };
    let name = match act.action {
        Action::Delete => act.prior.as_ref().and_then(filename),
        _ => act.planned.get_str("filename"),
    };
    let Some(name) = name else { return Found::NotDone };
    let path = files.path(name);
    if let Err(e) = fs::remove_file(&temporary(&act.op, &path)) {
        return Found::NotNow(problem(&e).sentence);
    }
    let now = match standing(&path) {
        Ok(now) => now,
        Err(e) if e.class == ProblemClass::Denied => return Found::NotNow(e.sentence),
        // A directory, or far too large: not what this act would have left.
        Err(_) => return Found::NotDone,
    };
    match (act.action, now) {
        (Action::Delete, None) => Found::Done { attributes: Value::null(Type::Any), identity: serde_json::Value::Null },
        (Action::Create | Action::Update, Some(now)) => {
            let bits = act.planned.get_str("file_permission").and_then(mode);
            let planned = content_of(&act.planned).ok().flatten().is_some_and(|c| c.bytes == now);
            if !planned || fs::mode(&path).ok() != bits {
                return Found::NotDone;
            }
            // It stands there: writing it again changes nothing and gives the answer.
            match write(&files, act) {
                Ok(Outcome::Applied { attributes, identity }) => Found::Done { attributes, identity },
                _ => Found::NotDone,
            }
        }
        _ => Found::NotDone,
    }
}
