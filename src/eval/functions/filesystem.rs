//! Filesystem functions. They ask the host, which has the answers that planning gathered; nothing is read here.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::argument::{spend_bytes, spend_items, string, text};
use super::build::{Called, function};
use super::{CallContext, Function, FunctionError, glob, hash};
use crate::eval::Answer;
use crate::value::{Type, Value, normal};

fn a_string(_: &[Type]) -> Type {
    Type::String
}

pub(super) fn functions() -> Vec<Function> {
    let mut all = contents();
    all.extend(names());
    all
}

fn contents() -> Vec<Function> {
    let digest = |name, doc, call| function(name, doc, a_string, call).takes("path", Type::String);
    vec![
        function("file", "The text of a file.", a_string, file).takes("path", Type::String),
        function("filebase64", "A file's bytes in Base64.", a_string, |c, a| {
            with_file(c, &a[0], missing_file, |bytes| Ok(string(STANDARD.encode(bytes))))
        })
        .takes("path", Type::String),
        digest("filemd5", "The MD5 of a file.", |c, a| digested(c, a, hash::md5)),
        digest("filesha1", "The SHA-1 of a file.", |c, a| digested(c, a, hash::sha1)),
        digest("filesha256", "The SHA-256 of a file.", |c, a| digested(c, a, hash::sha256)),
        digest("filesha512", "The SHA-512 of a file.", |c, a| digested(c, a, hash::sha512)),
        digest("filebase64sha256", "The SHA-256 of a file in Base64.", |c, a| digested(c, a, hash::base64sha256)),
        digest("filebase64sha512", "The SHA-512 of a file in Base64.", |c, a| digested(c, a, hash::base64sha512)),
        function("fileexists", "Whether a path is a file.", |_| Type::Bool, fileexists).takes("path", Type::String),
        function("fileset", "The files below a directory that match a pattern.", |_| Type::set(Type::String), fileset)
            .takes("path", Type::String)
            .takes("pattern", Type::String),
    ]
}

fn names() -> Vec<Function> {
    vec![
        function("abspath", "The absolute form of a path.", a_string, |c, a| {
            let path = text(&a[0])?;
            let from = if path.starts_with('/') { String::new() } else { c.host.directory() };
            Ok(string(clean(&format!("{from}/{path}"))))
        })
        .takes("path", Type::String),
        function("basename", "The last part of a path.", a_string, |_, a| Ok(string(base(text(&a[0])?))))
            .takes("path", Type::String),
        function("dirname", "A path without its last part.", a_string, |_, a| {
            let path = text(&a[0])?;
            Ok(string(clean(
                path.rsplit_once('/').map_or("", |(directory, _)| if directory.is_empty() { "/" } else { directory }),
            )))
        })
        .takes("path", Type::String),
        function("pathexpand", "A path with a leading ~ as the home directory.", a_string, pathexpand)
            .takes("path", Type::String),
    ]
}

/// A path in its shortest form, by its text alone: no `.`, no doubled slash, no `..` but in front.
pub(super) fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".into(),
        (false, false) => joined,
    }
}

fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/" } else { trimmed.rsplit('/').next().unwrap_or(trimmed) }
}

/// What to say of a file that cannot be read, from its path as written, the reason, and whether anything stands there.
type Refusal = fn(&str, &str, bool) -> FunctionError;

fn missing_file(path: &str, why: &str, nothing: bool) -> FunctionError {
    if !nothing {
        return FunctionError::at(0, format!("failed to read file: {why}"));
    }
    FunctionError::at(
        0,
        format!(
            "no file exists at \"{path}\"; this function works only with files that are distributed as part of the configuration source code, so if this file will be created by a resource in this configuration you must instead obtain this result from an attribute of that resource"
        ),
    )
    .discreetly("no such file exists")
}

fn missing_digest(path: &str, why: &str, nothing: bool) -> FunctionError {
    FunctionError::new(if nothing { format!("open {path}: no such file or directory") } else { why.to_owned() })
}

/// The bytes of a file, or `None` while they are being asked for.
fn read(context: &CallContext<'_>, path: &str, refusal: Refusal) -> Result<Option<Arc<[u8]>>, FunctionError> {
    let Some(full) = &expanded(context, path)? else { return Ok(None) };
    let bytes: Arc<[u8]> = match context.host.file(full) {
        Answer::Known(bytes) => bytes,
        Answer::Pending => return Ok(None),
        // Why there is nothing to read decides what the user has to do, so look what is there.
        Answer::Missing(why) => match context.host.file_kind(full) {
            Answer::Pending => return Ok(None),
            Answer::Known("") => return Err(refusal(path, &why, true)),
            Answer::Known("directory") => {
                return Err(refusal(path, &format!("read {}: is a directory", clean(path)), false));
            }
            Answer::Known(_) | Answer::Missing(_) => return Err(refusal(path, &why, false)),
        },
    };
    spend_bytes(context, bytes.len())?;
    Ok(Some(bytes))
}

fn with_file(context: &CallContext<'_>, path: &Value, refusal: Refusal, make: impl FnOnce(&[u8]) -> Called) -> Called {
    match read(context, text(path)?, refusal)? {
        Some(bytes) => make(&bytes),
        None => Ok(Value::opaque(Type::String)),
    }
}

/// A file's text, or `None` while it is being asked for.
pub(super) fn read_text(context: &CallContext<'_>, path: &str) -> Result<Option<String>, FunctionError> {
    let Some(bytes) = read(context, path, missing_file)? else { return Ok(None) };
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        FunctionError::new(format!(
            "contents of \"{path}\" are not valid UTF-8; use the filebase64 function to obtain the Base64 encoded contents or the other file functions (e.g. filemd5, filesha256) to obtain file hashing results instead"
        ))
    })?;
    Ok(Some(normal(text).into_owned()))
}

fn file(context: &CallContext<'_>, args: &[Value]) -> Called {
    Ok(read_text(context, text(&args[0])?)?.map_or_else(|| Value::opaque(Type::String), Value::string))
}

/// A path with a leading `~` as the home directory, or `None` while that is being asked for.
fn expanded(context: &CallContext<'_>, path: &str) -> Result<Option<String>, FunctionError> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(Some(path.to_owned())) };
    if !rest.is_empty() && !rest.starts_with('/') {
        return Err(FunctionError::new("failed to expand ~: cannot expand user-specific home dir"));
    }
    match context.host.variable("HOME") {
        Answer::Known(home) => Ok(Some(clean(&format!("{home}{rest}")))),
        Answer::Pending => Ok(None),
        Answer::Missing(why) => Err(FunctionError::new(format!("failed to expand ~: {why}"))),
    }
}

fn digested(context: &CallContext<'_>, args: &[Value], digest: fn(&[u8]) -> String) -> Called {
    with_file(context, &args[0], missing_digest, |bytes| Ok(string(digest(bytes))))
}

fn fileexists(context: &CallContext<'_>, args: &[Value]) -> Called {
    let Some(path) = &expanded(context, text(&args[0])?)? else { return Ok(Value::opaque(Type::Bool)) };
    match context.host.file_kind(path) {
        Answer::Known("file") => Ok(Value::bool(true)),
        Answer::Known("") => Ok(Value::bool(false)),
        Answer::Known("directory") => Err(FunctionError::new(format!("\"{path}\" is a directory, not a file"))),
        Answer::Known(_) => Err(FunctionError::new(format!("\"{path}\" is not a regular file"))),
        Answer::Pending => Ok(Value::opaque(Type::Bool)),
        Answer::Missing(why) => Err(FunctionError::new(why)),
    }
}

fn fileset(context: &CallContext<'_>, args: &[Value]) -> Called {
    let (path, pattern) = (text(&args[0])?, text(&args[1])?);
    let pending = || Ok(Value::opaque(Type::set(Type::String)));
    let full = clean(&format!("{path}/{pattern}"));
    // The part in front of the first wildcard says which directory to walk, which may be above `path`.
    let (root, rest) = glob::split(&full);
    let glob = glob::Glob::new(rest)
        .ok_or_else(|| FunctionError::new(format!("failed to glob pattern \"{full}\": syntax error in pattern")))?;
    match context.host.file_kind(root) {
        Answer::Known("directory") => {}
        Answer::Known(_) => return Ok(Value::set(Type::String, [])),
        Answer::Pending => return pending(),
        Answer::Missing(why) => return Err(FunctionError::new(why)),
    }
    let tree = match context.host.file_tree(root) {
        Answer::Known(tree) => tree,
        Answer::Pending => return pending(),
        Answer::Missing(why) => return Err(FunctionError::new(why)),
    };
    spend_items(context, tree.len())?;
    let from = clean(path);
    let found = tree.iter().filter(|file| glob.matches(file)).map(|file| {
        let file = clean(&format!("{root}/{file}"));
        string(relative(&file, &from))
    });
    Ok(Value::set(Type::String, found.collect::<Vec<_>>()))
}

/// A clean path as seen from a clean directory, both relative to the same place or both absolute.
fn relative(file: &str, directory: &str) -> String {
    let mut file: Vec<&str> = file.split('/').collect();
    let mut directory: Vec<&str> = directory.split('/').filter(|p| *p != ".").collect();
    let same = file.iter().zip(&directory).take_while(|(a, b)| a == b).count();
    file.drain(..same);
    directory.drain(..same);
    directory.iter().map(|_| "..").chain(file).collect::<Vec<_>>().join("/")
}

fn pathexpand(context: &CallContext<'_>, args: &[Value]) -> Called {
    let plain = |e: FunctionError| FunctionError::new(e.message.trim_start_matches("failed to expand ~: ").to_owned());
    let path = expanded(context, text(&args[0])?).map_err(plain)?;
    Ok(path.map_or_else(|| Value::opaque(Type::String), string))
}
