//! Containers whose program is Gantry itself: it is really run, as a process of this machine, with what its Secret gives it.

use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

use super::Core;
use super::world::{list, text};

/// How a program ended: exit code, reason, and its termination message.
pub(super) type End = (i64, &'static str, String);

/// Runs a container's program, if that is Gantry. An image called "nogantry" does not have it.
pub(super) fn run(core: &Core, pod: &Json, spec: &Json) -> Option<End> {
    let words: Vec<&str> = list(spec, "/command").iter().filter_map(Json::as_str).collect();
    let arguments = words.strip_prefix(&["gantry"])?;
    if text(spec, "/image").contains("nogantry") {
        return Some((128, "StartError", "exec: \"gantry\": executable file not found in $PATH".into()));
    }
    let directory = tempfile::tempdir().unwrap();
    let word = directory.path().join("termination-log");
    std::fs::write(&word, "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
    command.args(arguments).env_clear().env("GANTRY_LAST_WORD", &word);
    for one in list(spec, "/env") {
        command.env(text(one, "/name"), text(one, "/value"));
    }
    let namespace = text(pod, "/metadata/namespace");
    for volume in list(pod, "/spec/volumes") {
        let Some(secret) = core.world.get("Secret", namespace, text(volume, "/secret/secretName")) else { continue };
        for (name, value) in secret["data"].as_object().into_iter().flatten() {
            let file = directory.path().join(name);
            std::fs::write(&file, BASE64_STANDARD.decode(value.as_str().unwrap_or_default()).unwrap()).unwrap();
            command.env("GANTRY_TASK", file);
        }
    }
    let output = command.output().unwrap();
    let code = i64::from(output.status.code().unwrap_or(137));
    let reason = if code == 0 { "Completed" } else { "Error" };
    Some((code, reason, std::fs::read_to_string(word).unwrap()))
}
