//! `gantry fmt` against what `terraform fmt` made of the same files (`tests/fmt`, recorded by `record.sh`), and the command: which
//! files it finds, what it writes and lists, and how it ends.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use gantry::config::format;
use gantry::diag::FileId;

use crate::support::Sandbox;
use crate::support::scenario::bless;

const UNTIDY: &str = "a=1\nbbb=2\n";
const TIDY: &str = "a   = 1\nbbb = 2\n";

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder of `tests/fmt`, by name.
fn recorded(folder: &str) -> BTreeMap<String, String> {
    let path = repository().join("tests/fmt").join(folder);
    let entries = std::fs::read_dir(path).expect("the folder is there").map(|entry| entry.expect("it is readable"));
    let read = |path: &Path| std::fs::read_to_string(path).expect("a file of the corpus is text");
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path()))).collect()
}

fn formatted(text: &str) -> String {
    format(text, FileId(0)).unwrap_or_else(|e| panic!("{text:?} is refused: {e:?}"))
}

#[test]
fn untidy_files_become_what_terraform_makes_of_them() {
    let (untidy, tidy) = (recorded("untidy"), recorded("tidy"));
    assert!(untidy.len() >= 70 && untidy.keys().eq(tidy.keys()), "run tests/fmt/record.sh");
    let sandbox = Sandbox::new();
    untidy.iter().for_each(|(name, text)| std::fs::write(sandbox.project().join(name), text).expect("it is writable"));
    let ran = sandbox.run("fmt").succeeds();
    for (name, wanted) in &tidy {
        assert_eq!(&sandbox.read(name), wanted, "{name}");
    }
    let changed: Vec<_> = tidy.iter().filter(|(name, text)| untidy[*name] != **text).map(|(name, _)| &**name).collect();
    assert_eq!(ran.stdout.lines().collect::<Vec<_>>(), changed);
    assert_eq!(sandbox.run("fmt").succeeds().stdout, "", "what was formatted is formatted");
}

#[test]
fn differences_are_those_that_are_listed() {
    let path = repository().join("tests/fmt/differences.txt");
    let all = std::fs::read_to_string(&path).expect("the list is there");
    let mut cases = all.split("=== ");
    let mut blessed = cases.next().unwrap_or_default().to_owned();
    for case in cases {
        let (reason, rest) = case.split_once('\n').expect("a case has a reason");
        let [text, terraform, _] = rest.split("---\n").collect::<Vec<_>>()[..] else { panic!("{reason}: three parts") };
        let ours = formatted(text);
        assert_ne!(ours, terraform, "{reason}: it is no difference any more");
        assert_eq!(formatted(&ours), ours, "{reason}");
        blessed.push_str(&format!("=== {reason}\n{text}---\n{terraform}---\n{ours}\n"));
    }
    let blessed = format!("{}\n", blessed.trim_end());
    if bless() {
        std::fs::write(&path, blessed).expect("the list is writable");
    } else {
        assert_eq!(all, blessed);
    }
}

/// What of the repository is not in the canonical format, and must not be.
const UNFORMATTED: [&str; 2] = [
    // A module with a mistake of syntax, for everything wrong at once.
    "tests/data/at-once/modules/db/main.hcl",
    // Terraform's words about mistakes, with their lines and columns.
    "tests/data/terraform-validate",
];

#[test]
fn the_repository_is_formatted() {
    let unformatted = UNFORMATTED.map(|path| repository().join(path));
    for path in &unformatted {
        assert!(path.exists(), "{} has gone: it is an exception no more", path.display());
    }
    let mut folders =
        ["environments", "modules", "examples", "tests/projects", "tests/data"].map(|f| repository().join(f)).to_vec();
    let mut checked = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("the folder is readable").path();
            let named = |end: &str| path.extension().is_some_and(|e| e == end);
            if unformatted.contains(&path) {
                continue;
            }
            if path.is_dir() {
                // What is wrong on purpose is no file to format.
                folders.extend(Some(path).filter(|path| !path.ends_with("tests/data/at-once")));
            } else if ["hcl", "tf", "tfvars"].iter().any(|end| named(end)) {
                // A project of the tests has {port} where a sandbox puts a number.
                let text = std::fs::read_to_string(&path).expect("configuration is text").replace("{port}", "8080");
                assert_eq!(formatted(&text), text, "{}: gantry fmt --recursive", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked >= 10, "only {checked} files were found");
}

#[test]
fn what_init_writes_is_formatted() {
    let sandbox = Sandbox::new();
    let _ = sandbox.run("init staging").succeeds();
    assert_eq!(sandbox.run("fmt --check --recursive").succeeds().stdout, "");
    assert_eq!(sandbox.run("fmt --check environments/staging").succeeds().stdout, "");
}

#[test]
fn check_writes_nothing_and_exits_with_2() {
    let sandbox = Sandbox::new();
    sandbox.write("b.tf", UNTIDY);
    sandbox.write("a.hcl", TIDY);
    assert_eq!(sandbox.run("fmt -check").exits(2).stdout, "b.tf\n");
    assert_eq!(sandbox.run("fmt --check --list=false").exits(2).stdout, "");
    assert_eq!(sandbox.read("b.tf"), UNTIDY);
    assert_eq!(sandbox.run("fmt").succeeds().stdout, "b.tf\n");
    assert_eq!(sandbox.read("b.tf"), TIDY);
    assert_eq!(sandbox.run("fmt -check").succeeds().stdout, "");
}

#[test]
fn diff_shows_the_lines_that_change() {
    let sandbox = Sandbox::new();
    sandbox.write("a.tf", "# 1\n# 2\n# 3\n# 4\na=1\nb = 2");
    let wanted = "a.tf\n--- old/a.tf\n+++ new/a.tf\n@@ -2,5 +2,5 @@\n # 2\n # 3\n # 4\n-a=1\n+a = 1\n b = 2\n\\ No newline at end of file\n";
    assert_eq!(sandbox.run("fmt --diff --write=false").succeeds().stdout, wanted);
    assert_eq!(sandbox.read("a.tf"), "# 1\n# 2\n# 3\n# 4\na=1\nb = 2");
    assert_eq!(sandbox.run("fmt --diff --check").exits(2).stdout, wanted);
    let _ = sandbox.run("fmt --diff").succeeds();
    assert_eq!(sandbox.run("fmt --diff").succeeds().stdout, "");
}

#[test]
fn without_list_and_write_the_text_is_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("a.tf", UNTIDY);
    assert_eq!(sandbox.run("fmt --list=false --write=false").succeeds().stdout, TIDY);
    assert_eq!(sandbox.read("a.tf"), UNTIDY);
    assert_eq!(sandbox.run("fmt --list=false").succeeds().stdout, "");
    assert_eq!(sandbox.read("a.tf"), TIDY);
}

/// Runs a command with text on its standard input; gives its exit code and what it said on both.
fn piped(sandbox: &Sandbox, arguments: &[&str], text: &[u8]) -> (Option<i32>, String, String) {
    let mut command = sandbox.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("it was piped").write_all(text).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn standard_input_goes_to_standard_output() {
    let sandbox = Sandbox::new();
    let fmt = |arguments: &[&str], text: &str| piped(&sandbox, arguments, text.as_bytes());
    assert_eq!(fmt(&["fmt", "-"], UNTIDY), (Some(0), TIDY.into(), String::new()));
    assert_eq!(fmt(&["fmt", "-"], "a=1").1, "a = 1\n", "as from Terraform, there is a line end");
    assert_eq!(fmt(&["fmt", "-check", "-"], UNTIDY).0, Some(2));
    assert_eq!(fmt(&["fmt", "--check", "-"], TIDY), (Some(0), String::new(), String::new()));
    assert!(fmt(&["fmt", "--diff", "-"], UNTIDY).1.starts_with("--- old/<stdin>\n+++ new/<stdin>\n@@ -1,2 +1,2 @@\n"));
    let (code, out, err) = fmt(&["fmt", "-"], "a = \n");
    assert_eq!((code, &*out), (Some(1), ""));
    assert!(err.contains("<stdin>:1"), "{err}");
    assert_eq!(fmt(&["fmt", "-", "a.tf"], "").0, Some(1));
    assert_eq!(piped(&sandbox, &["fmt", "-"], b"a = \"\xff\"\n").0, Some(1));
}

#[test]
fn recursion_passes_over_what_is_hidden_and_the_state() {
    let sandbox = Sandbox::new();
    let formatted = [
        "environments/local/main.hcl",
        "environments/local/state/inner.hcl",
        "environments/local/values.gantryvars.hcl",
        "gantry.hcl",
        "modules/state/main.tf",
        "modules/web/terraform.tfvars",
        "modules/web/web.tftest.hcl",
    ];
    let not = [
        ".hidden/main.tf",
        ".hidden.tf",
        "state/local/x.hcl",
        "lone/state/lone/x.hcl",
        "modules/web/#x.tf#",
        "modules/web/main.tf~",
        "modules/web/.terraform.lock.hcl",
        "modules/web/main.tf.json",
        "modules/web/notes.txt",
    ];
    formatted.iter().chain(&not).for_each(|path| sandbox.write(path, UNTIDY));
    sandbox.write("lone/state/lone/marker.json", "{}");
    assert_eq!(sandbox.run("fmt").succeeds().stdout, "gantry.hcl\n");
    let wanted: Vec<_> = formatted.iter().filter(|path| **path != "gantry.hcl").copied().collect();
    assert_eq!(sandbox.run("fmt -recursive").succeeds().stdout.lines().collect::<Vec<_>>(), wanted);
    assert!(formatted.iter().all(|path| sandbox.read(path) == TIDY));
    assert!(not.iter().all(|path| sandbox.read(path) == UNTIDY));
}

#[test]
fn several_paths_are_formatted_once_each() {
    let sandbox = Sandbox::new();
    sandbox.write("a/x.tf", UNTIDY);
    sandbox.write("b/y.hcl", UNTIDY);
    sandbox.write("c.tfvars", UNTIDY);
    assert_eq!(sandbox.run("fmt a c.tfvars ./b/y.hcl a/x.tf").succeeds().stdout, "a/x.tf\nc.tfvars\nb/y.hcl\n");
    sandbox.write("a/x.tf", UNTIDY);
    assert_eq!(sandbox.run("fmt {project}/a").succeeds().stdout, "a/x.tf\n", "a path below is shown from here");
    sandbox.write("a/x.tf", UNTIDY);
    assert_eq!(sandbox.run("-C b fmt ../a").succeeds().stdout, "../a/x.tf\n");
}

#[test]
fn what_is_not_there_or_not_for_it_is_an_error_before_anything_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("a.tf", UNTIDY);
    sandbox.write("notes.txt", "x");
    sandbox.write(".terraform.lock.hcl", UNTIDY);
    sandbox.write("environments/local/main.hcl", UNTIDY);
    let ran = sandbox.run("fmt a.tf nothing notes.txt .terraform.lock.hcl local").exits(1);
    assert_eq!(ran.stderr.matches("Error: ").count(), 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("gantry fmt environments/local"), "{}", ran.stderr);
    assert_eq!(sandbox.read("a.tf"), UNTIDY);
}

#[test]
fn the_root_of_a_project_says_how_all_of_it_is_formatted() {
    let sandbox = Sandbox::new();
    sandbox.write("environments/local/main.hcl", UNTIDY);
    let ran = sandbox.run("fmt").succeeds();
    assert!(ran.stdout.is_empty() && ran.stderr.contains("gantry fmt --recursive"), "{}", ran.stderr);
}

#[test]
fn a_file_with_errors_stays_and_hinders_no_other() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.tf", "a=1\nb = [\n");
    std::fs::write(sandbox.project().join("bytes.tf"), b"a=1\nb=\"\xff\"\n").expect("it is writable");
    symlink("nowhere", sandbox.project().join("dangling.tf")).expect("links can be made");
    assert_eq!(sandbox.run("fmt bad.tf").exits(1).stdout, "");
    sandbox.write("good.tf", UNTIDY);
    assert_eq!(sandbox.run("fmt --check").exits(1).stdout, "good.tf\n");
    let ran = sandbox.run("fmt").exits(7);
    assert_eq!(ran.stdout, "good.tf\n");
    for part in ["bad.tf:", "bytes.tf is not UTF-8: line 2", "dangling.tf cannot be read", "run gantry fmt again"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert_eq!(sandbox.read("bad.tf"), "a=1\nb = [\n");
    assert_eq!(sandbox.read("good.tf"), TIDY);
    let _ = sandbox.run("fmt").exits(1);
}

#[test]
fn replaced_files_keep_their_mode_and_links_stay_links() {
    let sandbox = Sandbox::new();
    sandbox.write("script.tf", UNTIDY);
    sandbox.write("elsewhere/real.txt", UNTIDY);
    let mode = |path: &str| std::fs::metadata(sandbox.project().join(path)).expect("it is there").permissions().mode();
    std::fs::set_permissions(sandbox.project().join("script.tf"), PermissionsExt::from_mode(0o640))
        .expect("it is ours");
    symlink("elsewhere/real.txt", sandbox.project().join("link.tf")).expect("links can be made");
    symlink(".", sandbox.project().join("loop")).expect("links can be made");
    symlink("elsewhere", sandbox.project().join("folder.tf")).expect("links can be made");
    assert_eq!(sandbox.run("fmt --recursive").succeeds().stdout, "link.tf\nscript.tf\n");
    assert_eq!(mode("script.tf") & 0o7777, 0o640);
    assert!(sandbox.project().join("link.tf").is_symlink());
    assert_eq!(sandbox.read("elsewhere/real.txt"), TIDY);
    let left = std::fs::read_dir(sandbox.project()).expect("it is there").count();
    assert_eq!(left, 5, "nothing is left behind");
}

#[test]
fn json_tells_programs_which_files_change() {
    let sandbox = Sandbox::new();
    sandbox.write("a.tf", UNTIDY);
    sandbox.write("b.tf", TIDY);
    let ran = sandbox.run("fmt --json --check").exits(2);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).expect("it is JSON");
    assert_eq!(report["files"], serde_json::json!([{ "path": "a.tf", "changed": true }]));
    assert_eq!(report["written"], false);
}
