//! `gantry fmt`

use std::io::Read as _;

use clap::{ArgAction, Args};
use serde_json::{Value, json};
use similar::TextDiff;

use super::root::Context;
use super::{error, exit_code};
use crate::ops::format::{self, File};
use crate::ops::{Failure, Result};

/// The name of standard input, as Terraform shows it.
const STDIN: &str = "<stdin>";

/// Unchanged lines around each change of a diff.
const AROUND: usize = 3;

#[derive(Debug, Args)]
#[command(
    after_help = "Files whose names end in .hcl, .tf or .tfvars are brought into the format of `terraform fmt`, and the names of \
                  those that change are listed. Without PATH, the files of the working directory are formatted; at the root of a \
                  project, --recursive takes in environments/ and modules/. Hidden files and directories are passed over, and so is \
                  state/. A file with a syntax error stays as it is.\n\n\
                  Exit codes: 0, also where files were formatted; 2 from --check where a file is not formatted; 1 where a file \
                  cannot be read or parsed, 7 if others were formatted then."
)]
pub(super) struct Arguments {
    /// Files and directories; - reads standard input and writes to standard output
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Write nothing, and exit with 2 if a file is not formatted
    #[arg(long)]
    check: bool,
    /// Show what changes, as a unified diff
    #[arg(long)]
    diff: bool,
    /// Replace files that change
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    write: bool,
    /// List the names of files that change
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    list: bool,
    /// Format the files of all directories below as well
    #[arg(long)]
    recursive: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> u8 {
    fmt(context, arguments).unwrap_or_else(|failure| error::fail(context.shell, &failure))
}

fn fmt(context: &Context, arguments: &Arguments) -> Result<u8> {
    if arguments.paths.iter().any(|path| path == "-") {
        return standard_input(context, arguments);
    }
    let here = [".".to_owned()];
    let paths = if arguments.paths.is_empty() { &here } else { arguments.paths.as_slice() };
    let write = arguments.write && !arguments.check;
    let outcome = format::format(&context.directory, paths, arguments.recursive, write)?;
    let whole = !arguments.list && !arguments.write && !arguments.diff && !arguments.check;
    if context.shell.json {
        context.shell.out_json(&report(&outcome.files, arguments, write, whole));
    } else {
        outcome.files.iter().for_each(|file| context.shell.out(&shown(file, arguments, arguments.list, whole)));
    }
    if let Some(failure) = &outcome.failure {
        return Ok(error::fail(context.shell, failure));
    }
    let at_root = || crate::ops::workspace::project_of(&context.directory).as_deref() == Some(&context.directory);
    if outcome.files.is_empty()
        && arguments.paths.is_empty()
        && !arguments.recursive
        && !context.shell.json
        && at_root()
    {
        context.shell.err("There is no file to format in this directory. All of the project: gantry fmt --recursive\n");
    }
    Ok(code(arguments, &outcome.files))
}

/// From standard input to standard output. As from Terraform, what is written ends with a line end.
fn standard_input(context: &Context, arguments: &Arguments) -> Result<u8> {
    if arguments.paths.len() > 1 {
        let detail = "- stands for standard input, and is given alone.";
        return Err(Failure::error("Too many paths", detail));
    }
    let mut bytes = Vec::new();
    // One byte more than is allowed shows that there is more.
    std::io::stdin()
        .lock()
        .take(format::TEXT_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Failure::error("Unreadable input", format!("Standard input cannot be read: {e}.")))?;
    let files = [format::text(STDIN, bytes)?];
    let whole = !arguments.diff && !arguments.check;
    if context.shell.json {
        context.shell.out_json(&report(&files, arguments, false, whole));
    } else {
        let text = shown(&files[0], arguments, false, whole);
        let end = if whole && !text.ends_with('\n') { "\n" } else { "" };
        context.shell.out(&format!("{text}{end}"));
    }
    Ok(code(arguments, &files))
}

fn code(arguments: &Arguments, files: &[File]) -> u8 {
    if arguments.check && files.iter().any(File::is_changed) { exit_code::DIFFERENT } else { exit_code::SUCCESS }
}

/// What is said of a file: its name and diff if it changes, or its whole text.
fn shown(file: &File, arguments: &Arguments, list: bool, whole: bool) -> String {
    let mut out = String::new();
    if file.is_changed() && list {
        out.push_str(&format!("{}\n", file.path));
    }
    if file.is_changed() && arguments.diff {
        out.push_str(&diff(file));
    }
    if whole {
        out.push_str(&file.after);
    }
    out
}

fn diff(file: &File) -> String {
    let all = TextDiff::from_lines(&file.before, &file.after);
    let (old, new) = (format!("old/{}", file.path), format!("new/{}", file.path));
    all.unified_diff().context_radius(AROUND).header(&old, &new).to_string()
}

/// The same for programs: the files that change.
fn report(files: &[File], arguments: &Arguments, written: bool, whole: bool) -> Value {
    let listed = files.iter().filter(|file| whole || file.is_changed()).map(|file| {
        let mut entry = json!({ "path": file.path, "changed": file.is_changed() });
        if arguments.diff {
            entry["diff"] = diff(file).into();
        }
        if whole {
            entry["text"] = file.after.as_str().into();
        }
        entry
    });
    json!({ "format_version": "1.0", "written": written, "files": listed.collect::<Vec<_>>() })
}
