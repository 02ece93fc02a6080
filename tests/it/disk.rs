//! The disk refuses: every act on the ledger's directory, one after the other, as a full disk and as a sync that fails.
//!
//! No step starts whose intent is not durable, no run says that it is done without a durable outcome, and when the disk is well
//! again the same command comes to its end. By default a sample of the acts; `GANTRY_KILL_ALL=1` takes every one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::support::{Sandbox, files};

const MAIN: &str = "environments/local/main.hcl";

const APPLY: &str = "apply local --auto-approve";

/// What is applied: three files, one after the other.
const FILES: &str = r#"
resource "local_file" "first" {
  filename = "../../out/first"
  content  = "one"
}

resource "local_file" "second" {
  filename = "../../out/second"
  content  = "after ${local_file.first.content}"
}

resource "local_file" "third" {
  filename = "../../out/third"
  content  = "after ${local_file.second.content}"
}
"#;

/// How many acts are tried unless all are.
const SAMPLE: usize = 24;

fn sandbox(second: bool) -> Sandbox {
    let sandbox = Sandbox::new().with_crash_points();
    sandbox.write(MAIN, FILES);
    if second {
        drop(sandbox.run(APPLY).succeeds());
        sandbox.write(MAIN, &FILES.replace("one", "two"));
    }
    sandbox
}

#[expect(clippy::disallowed_methods, reason = "that is how whoever runs the tests says so")]
fn all() -> bool {
    std::env::var_os("GANTRY_KILL_ALL").is_some()
}

/// The lines of the ledger.
fn lines(sandbox: &Sandbox) -> Vec<String> {
    let folder = sandbox.project().join("state/local/ledger");
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths: BTreeSet<PathBuf> = entries.map(|e| e.expect("it is readable").path()).collect();
    let segments = paths.into_iter().filter(|p| p.extension().is_some_and(|e| e == "jsonl"));
    segments
        .flat_map(|p| {
            let text = std::fs::read_to_string(p).expect("it is readable");
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

/// Every file that holds what this run wants has an intent of this run in the ledger.
fn intents_came_first(sandbox: &Sandbox, word: &str, runs_before: usize) -> Result<(), String> {
    let lines = lines(sandbox);
    for name in ["first", "second", "third"] {
        let path = sandbox.project().join("out").join(name);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if !text.contains(word) {
            continue;
        }
        let step = format!("\"address\":\"local_file.{name}\"");
        let intents = lines.iter().filter(|l| l.contains("\"step_intended\"") && l.contains(&step)).count();
        if intents <= runs_before {
            return Err(format!("{name} was written and the ledger has no intent of it:\n{}", lines.join("\n")));
        }
    }
    Ok(())
}

/// Lets one act fail, and looks at everything that must hold.
fn fail_at(at: usize, once: bool, second: bool) -> Result<i32, String> {
    let sandbox = sandbox(second);
    let fault = if once { format!("{at}:once") } else { at.to_string() };
    let word = if second { "two" } else { "one" };
    let ran = sandbox.run_in(&[("GANTRY_DISK_FAIL", &fault)], &APPLY.split(' ').collect::<Vec<_>>());
    let told = format!("act {fault}, second {second}: {ran:?}");
    let code = ran.code().ok_or_else(|| format!("killed: {told}"))?;
    if ran.stderr.contains("panicked") {
        return Err(told);
    }
    intents_came_first(&sandbox, word, usize::from(second)).map_err(|why| format!("{why}\n{told}"))?;
    let changed = ["first", "second", "third"].iter().any(|name| {
        std::fs::read_to_string(sandbox.project().join("out").join(name)).is_ok_and(|text| text.contains(word))
    });
    let lower = format!("{}{}", ran.stdout, ran.stderr).to_lowercase();
    let cause = lower.contains("no space left") || lower.contains("input/output error");
    match code {
        // What failed was not needed: the outcome is durable all the same.
        0 => {
            let verified = lines(&sandbox).iter().filter(|l| l.contains("\"outcome\":\"verified\"")).count();
            if verified != 1 + usize::from(second) {
                return Err(format!("exit 0 without a durable outcome: {told}"));
            }
        }
        1 if changed => return Err(format!("exit 1 says that nothing was changed: {told}")),
        1 | 7 if !cause => return Err(format!("the cause is not said: {told}")),
        1 | 7 => {}
        _ => return Err(format!("another exit: {told}")),
    }
    for command in [APPLY, "plan local --detailed-exitcode", "state verify local"] {
        let again = sandbox.run(command);
        if again.code() != Some(0) {
            return Err(format!("afterwards, {command}: {again:?}\nafter {told}"));
        }
    }
    if sandbox.read("out/third") != format!("after after {word}") {
        return Err(format!("the files are not what was asked for: {told}"));
    }
    Ok(code)
}

/// The acts of a run on which nothing fails.
fn acts(second: bool) -> Vec<String> {
    let sandbox = sandbox(second);
    let log = sandbox.expand("{sandbox}/tmp/acts");
    drop(sandbox.run_in(&[("GANTRY_DISK_LOG", &log)], &APPLY.split(' ').collect::<Vec<_>>()).succeeds());
    let text = std::fs::read_to_string(log).expect("tests/build-crash.sh builds a gantry that counts its acts");
    text.lines().map(str::to_owned).collect()
}

fn every_act(second: bool) {
    let acts = acts(second);
    assert!(acts.len() > 20, "only {} acts: {acts:#?}", acts.len());
    let step = if all() { 1 } else { (2 * acts.len()).div_ceil(SAMPLE) };
    let tried: Vec<(usize, bool)> = (1..=acts.len()).flat_map(|at| [(at, false), (at, true)]).step_by(step).collect();
    let (next, faults, codes) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((at, once)) = tried.get(next.fetch_add(1, Ordering::SeqCst)) {
                    match fail_at(*at, *once, second) {
                        Ok(code) => codes.lock().expect("no holder panics").push(code),
                        Err(fault) => faults.lock().expect("no holder panics").push(fault),
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no holder panics");
    assert!(faults.is_empty(), "{} of {} went wrong:\n{}", faults.len(), tried.len(), faults.join("\n----\n"));
    let codes = codes.into_inner().expect("no holder panics");
    assert!(codes.contains(&7) && codes.contains(&1), "the faults stopped runs before and after they began: {codes:?}");
}

#[test]
fn a_disk_that_refuses_any_act_of_a_first_apply() {
    every_act(false);
}

#[test]
fn a_disk_that_refuses_any_act_of_an_update() {
    every_act(true);
}

/// What a step leaves behind it as it runs: the directory of the ledger is moved away.
#[test]
fn a_state_directory_that_vanishes_during_a_run() {
    let sandbox = Sandbox::new();
    let text = r#"
resource "local_file" "first" {
  filename = "../../out/first"
  content  = "one"
}

resource "local_command" "thief" {
  create     = ["mv", "{project}/state/local", "{project}/stolen"]
  depends_on = [local_file.first]
}

resource "local_file" "second" {
  filename   = "../../out/second"
  content    = "two"
  depends_on = [local_command.thief]
}
"#;
    sandbox.write(MAIN, text);
    let ran = sandbox.run(APPLY).exits(7);
    assert!(!sandbox.project().join("out/second").exists(), "nothing starts whose intent is not durable");
    assert!(ran.stdout.contains("its directory was moved or replaced"), "{}", ran.stdout);
    let _ = std::fs::remove_dir_all(sandbox.project().join("state/local"));
    std::fs::rename(sandbox.project().join("stolen"), sandbox.project().join("state/local")).expect("it is there");
    sandbox.write(MAIN, &text.replace("[\"mv\", \"{project}/state/local\", \"{project}/stolen\"]", "[\"true\"]"));
    drop(sandbox.run(APPLY));
    drop(sandbox.run(APPLY).succeeds());
    drop(sandbox.run("plan local --detailed-exitcode").succeeds());
}

/// Every bit of everything that stands in a ledger's directory, flipped one at a time: what opening or verifying reads is
/// refused and named, and what is taken all the same is a file that nobody reads anything from.
#[tokio::test]
async fn every_flipped_bit_of_a_ledger_is_refused() {
    use gantry::ledger::{Backend as _, LedgerError, LocalBackend};
    let sandbox = Sandbox::new();
    sandbox.write(MAIN, "resource \"terraform_data\" \"a\" {\n  input = 1\n}\n");
    drop(sandbox.run(APPLY).succeeds());
    sandbox.write(MAIN, "resource \"terraform_data\" \"a\" {\n  input = 2\n}\n");
    drop(sandbox.run(APPLY).succeeds());
    let state = sandbox.project().join("state/local");
    let whole = LocalBackend::new(&state).read(1).await.expect("it reads").expect("there is a ledger");
    let referenced: BTreeSet<_> = files(&state.join("blobs"))
        .iter()
        .map(|(name, _)| name.replace('/', "").parse().expect("blobs are named by their digests"))
        .collect();
    let (mut flipped, mut harmless) = (0_u64, BTreeSet::new());
    for (name, bytes) in files(&state) {
        let path = state.join(&name);
        let small = name.ends_with(".json") || name.ends_with(".jsonl") || name == "key";
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
        for bit in 0..bytes.len() * 8 {
            // Blobs are digested as a whole: any bit stands for all of them.
            if !small && bit % 97 != 0 {
                continue;
            }
            flipped += 1;
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &changed).expect("it is ours");
            let backend = LocalBackend::new(&state);
            let what = format!("bit {bit} of {name}");
            let part = name.rsplit('/').next().expect("a path has a last part");
            match backend.read(1).await {
                Err(e @ (LedgerError::Corrupt { .. } | LedgerError::Newer { .. } | LedgerError::Lost { .. })) => {
                    let (told, hint) = (e.to_string(), e.hint());
                    // A marker that names another ledger shows at the first segment, which is not of that one.
                    let disowned = name == "marker.json" && told.contains("does not name this ledger");
                    let named = disowned
                        || told.contains(part)
                        || told.contains("format")
                        || matches!(e, LedgerError::Lost { .. });
                    assert!(named && !hint.is_empty(), "{what}: {told}");
                    continue;
                }
                Err(e) => panic!("{what}: {e}"),
                Ok(read) => assert_eq!(read.as_ref(), Some(&whole), "{what}: it is read as something else"),
            }
            match backend.verify(&referenced).await {
                Err(_) => continue,
                Ok(found) => {
                    if found.expect("it is there").findings.iter().any(gantry::ledger::Finding::is_defect) {
                        continue;
                    }
                }
            }
            harmless.insert(name.clone());
        }
        std::fs::write(&path, &bytes).expect("it is ours");
    }
    assert!(flipped > 10_000, "only {flipped} bits");
    let harmless: Vec<&str> = harmless.iter().map(String::as_str).collect();
    // The lease is manners.
    assert!(harmless.iter().all(|name| ["lease.json", "lease.lock"].contains(name)), "taken: {harmless:?}");
}

#[test]
fn every_flipped_bit_of_a_plan_file_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.write(MAIN, "resource \"terraform_data\" \"a\" {\n  input = 1\n}\n");
    drop(sandbox.run("plan local --out plan").succeeds());
    let path = sandbox.project().join("plan");
    let bytes = std::fs::read(&path).expect("it was written");
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let read = gantry::plan::PlanFile::from_bytes(&changed);
        assert!(read.is_err(), "bit {bit} ({:?})", char::from(bytes[bit / 8]));
    }
    // By the command: refused, named, and nothing is touched.
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    std::fs::write(&path, &changed).expect("it is ours");
    let ran = sandbox.run("apply local plan");
    assert!(matches!(ran.code(), Some(1 | 5)), "{ran:?}");
    assert!(ran.stderr.contains("lan file"), "{}", ran.stderr);
    assert!(!sandbox.project().join("state/local/ledger").exists(), "nothing was touched");
}
