//! What the documentation says is true: pages that are generated are what would be generated now (`GANTRY_BLESS=1` rewrites
//! them), commands in README parse, its HCL loads, its links lead somewhere.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gantry::eval::functions;
use gantry::provider::catalog::Catalog;
use gantry::provider::{AttributeSchema, BlockSchema, Mode, Role};
use gantry::value::show;

use crate::support::scenario::bless;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Runs `gantry`, as wide as documentation is.
fn gantry(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gantry"));
    command.args(arguments).env("COLUMNS", "100").env("NO_COLOR", "1").stdin(Stdio::null());
    let output = command.output().expect("gantry was built");
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(text).expect("help is UTF-8"))
}

/// Compares a generated page with the one that is there.
fn is_blessed(path: &str, generated: &str) {
    if bless() {
        std::fs::write(root().join(path), generated).expect("the page can be written");
        return;
    }
    let there = std::fs::read_to_string(root().join(path)).unwrap_or_default();
    let differs = there.lines().zip(generated.lines()).position(|(a, b)| a != b);
    assert!(
        there == generated,
        "{path} is not what it would be now (first at line {}): GANTRY_BLESS=1 cargo test --test it docs",
        differs.map_or_else(|| there.lines().count().min(generated.lines().count()) + 1, |line| line + 1)
    );
}

/// The fenced blocks of a page in a language, with the lines that they start on.
fn blocks(page: &str, language: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut inside: Option<bool> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), inside) {
            (Some(_), Some(_)) => inside = None,
            (Some(info), None) => {
                inside = Some(info == language);
                if info == language {
                    found.push((number + 2, String::new()));
                }
            }
            (None, Some(true)) => {
                let block = &mut found.last_mut().expect("a block was begun").1;
                block.push_str(line);
                block.push('\n');
            }
            (None, _) => {}
        }
    }
    found
}

/// The words of a line's first command as a shell takes them: it knows quotes, comments, and what ends a command.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(q)) if c == q => quote = None,
            ('#', None) if word.is_none() => break,
            ('&' | ';' | '|' | '>', None) => break,
            (' ', None) => all.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

/// The commands that a page tells its reader to type.
fn commands(page: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (start, block) in blocks(page, "console") {
        for (offset, line) in block.lines().enumerate() {
            if let Some(command) = line.strip_prefix("$ ") {
                found.push((start + offset, words(command)));
            }
        }
    }
    found
}

#[test]
fn commands_of_the_readme_parse() {
    let page = read("README.md");
    let commands = commands(&page);
    let mut checked = 0;
    for (line, words) in &commands {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some(("gantry", arguments)) = words.split_first().map(|(first, rest)| (*first, rest)) else { continue };
        // clap reads from left to right: whatever is wrong is told before it comes to the help.
        let (parses, said) = gantry(&[arguments, &["--help"]].concat());
        assert!(parses, "README.md line {line}: {} does not parse: {said}", words.join(" "));
        checked += 1;
    }
    assert!(
        checked >= 20,
        "README.md walks through the sample, but only {checked} commands of gantry were found in it"
    );
}

#[test]
fn a_command_that_does_not_parse_is_noticed() {
    assert!(!gantry(&["apply", "local", "--no-such-flag", "--help"]).0);
    assert!(!gantry(&["aply", "local", "--help"]).0);
    assert!(!gantry(&["rollback", "local", "--to", "first", "--help"]).0);
}

#[test]
fn targets_of_make_in_the_readme_exist() {
    let makefile = read("Makefile");
    let mut checked = 0;
    for (line, words) in commands(&read("README.md")) {
        if words.first().is_some_and(|w| w == "make") {
            let target = words.iter().skip(1).find(|w| !w.contains('=')).expect("make is told what to make");
            assert!(makefile.contains(&format!("\n{target}:")), "README.md line {line}: make {target} does not exist");
            checked += 1;
        }
    }
    assert!(checked >= 2, "README.md names `make demo` and `make test`");
}

#[test]
fn hcl_of_the_documentation_loads() {
    let mut checked = 0;
    for path in ["README.md", "docs/language.md", "docs/kubernetes.md"] {
        for (line, block) in blocks(&read(path), "hcl") {
            let project = tempfile::tempdir().expect("a temporary directory");
            let environment = project.path().join("environments/shown");
            std::fs::create_dir_all(&environment).expect("a directory");
            std::fs::write(environment.join("main.hcl"), &block).expect("a file");
            if let Err(e) = gantry::config::open(&environment) {
                let all: Vec<String> =
                    e.diagnostics.sorted().iter().map(|d| format!("{}: {}", d.summary, d.detail)).collect();
                panic!("{path} line {line}: the block does not load: {}", all.join("; "));
            }
            checked += 1;
        }
    }
    assert!(checked >= 5, "only {checked} blocks of HCL were found");
}

#[test]
fn project_files_of_the_documentation_load() {
    let mut checked = 0;
    for path in ["docs/language.md"] {
        for (line, block) in blocks(&read(path), "hcl gantry.hcl") {
            let project = tempfile::tempdir().expect("a temporary directory");
            for name in ["staging", "production"] {
                std::fs::create_dir_all(project.path().join("environments").join(name)).expect("a directory");
            }
            std::fs::write(project.path().join("gantry.hcl"), &block).expect("a file");
            if let Err(e) = gantry::config::read_project(project.path()) {
                panic!("{path} line {line}: the project file does not load: {e}");
            }
            checked += 1;
        }
    }
    assert!(checked >= 1, "no project file was found");
}

/// The targets of `[text](target)` outside of code blocks.
fn links(page: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside;
        }
        if !inside {
            found.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned));
        }
    }
    found
}

fn pages(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|e| e == "md") {
            found.push(path);
        }
    }
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    let mut all: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "STYLE.md", "CHANGELOG.md"].map(|p| root().join(p)).to_vec();
    for directory in ["docs", "modules", "examples"] {
        pages(&root().join(directory), &mut all);
    }
    for page in all {
        let text = std::fs::read_to_string(&page).expect("a page");
        for link in links(&text).iter().filter(|l| !l.starts_with("http") && !l.starts_with('#')) {
            let target = page.with_file_name(link.split('#').next().unwrap_or_default());
            assert!(target.exists(), "{} links to {link}, which does not exist", page.display());
        }
    }
}

/// Paths that ARCHITECTURE.md names in backticks.
#[test]
fn paths_of_the_architecture_exist() {
    let page = read("ARCHITECTURE.md");
    let mut checked = 0;
    for path in page.split('`').skip(1).step_by(2) {
        let is_path = ["src/", "tests/", "docs/", "examples/", "migrations/"].iter().any(|p| path.starts_with(p))
            && !path.contains(['*', ' ', '{', '<']);
        if is_path {
            assert!(root().join(path).exists(), "ARCHITECTURE.md names {path}, which does not exist");
            checked += 1;
        }
    }
    assert!(checked >= 40, "only {checked} paths were found");
}

#[test]
fn exit_codes_are_those_of_the_code() {
    let source = read("src/cli/exit_code.rs");
    let mut codes: Vec<u8> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split("= ").nth(1)?.trim_end_matches(';').parse().ok())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, (0..=7).collect::<Vec<u8>>());
    for path in ["README.md", "docs/exit-codes.md"] {
        let page = read(path);
        let told: Vec<u8> =
            page.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()?.parse().ok()).collect();
        assert_eq!(told, codes, "the table of {path}");
    }
}

const GENERATED: &str = "<!-- Written by tests/it/docs.rs: GANTRY_BLESS=1 cargo test --test it docs -->\n";

/// The names in the list of commands of a help text.
fn subcommands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap_or_default();
    list.lines()
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn write_help(page: &mut String, path: &[&str]) {
    let (worked, help) = gantry(&[path, &["--help"]].concat());
    assert!(worked, "gantry {} --help: {help}", path.join(" "));
    let name = ["gantry"].iter().chain(path).copied().collect::<Vec<_>>().join(" ");
    let marks = "#".repeat(path.len() + 2);
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    let _ = write!(page, "\n{marks} {name}\n\n```text\n{}\n```\n", lines.join("\n"));
    for below in subcommands(&help) {
        write_help(page, &[path, &[&*below]].concat());
    }
}

#[test]
fn the_command_line_reference_is_current() {
    let mut page = format!("# The command line\n\n{GENERATED}");
    page.push_str(
        "\nWhat `gantry --help` says of each command. Long options are also taken with one dash, as in `-auto-approve`. Exit\n\
         codes are in [exit-codes.md](exit-codes.md).\n",
    );
    write_help(&mut page, &[]);
    is_blessed("docs/cli.md", &page);
}

/// A text that stands in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn the_reference_of_functions_is_current() {
    let mut page = format!("# Functions\n\n{GENERATED}");
    page.push_str(
        "\nThe functions of the language, with Terraform's names and meanings (`tests/language/functions.txt` holds what Terraform\n\
         1.11 printed for each, `tests/language/differences.txt` where Gantry differs on purpose). `...` takes any number of further\n\
         arguments. Besides these there are `try(expressions...)` and `can(expression)`, which the evaluator itself knows.\n\
         \n\
         A module calls `provider::terraform::...` only with an entry for `terraform.io/builtin/terraform` in its\n\
         `required_providers`, and `provider::kubernetes::manifest_...`, which are the functions without the prefix, with one for\n\
         `hashicorp/kubernetes`. Templates see the variables that they are given, and render no further templates.\n",
    );
    let mut groups: Vec<&str> = functions::all().map(|f| f.group).collect();
    groups.sort_unstable();
    groups.dedup();
    for group in groups {
        let _ = write!(page, "\n## {}\n\n| function | what it gives |\n| --- | --- |\n", capital(group));
        for function in functions::all().filter(|f| f.group == group) {
            let mut parameters: Vec<String> =
                function.parameters.iter().map(|p| format!("{}: {}", p.name, p.ty)).collect();
            parameters.extend(function.variadic.as_ref().map(|p| format!("{}: {}...", p.name, p.ty)));
            let call = format!("{}({})", function.name, parameters.join(", "));
            let _ = writeln!(page, "| `{}` | {} |", cell(&call), cell(function.doc));
        }
    }
    is_blessed("docs/functions.md", &page);
}

fn capital(text: &str) -> String {
    text[..1].to_uppercase() + &text[1..]
}

fn notes(attribute: &AttributeSchema) -> String {
    let mut notes = vec![match attribute.mode {
        Mode::Required => "required".to_owned(),
        Mode::Computed => "known after apply, or computed".to_owned(),
        Mode::Optional => match &attribute.default {
            Some(default) => format!("default `{}`", cell(&show(default))),
            None => "optional".to_owned(),
        },
        Mode::OptionalComputed => "optional, else computed".to_owned(),
    }];
    let flags = [(attribute.replaces, "a change replaces"), (attribute.sensitive, "sensitive")];
    notes.extend(flags.iter().filter(|(set, _)| *set).map(|(_, note)| (*note).to_owned()));
    notes.join("; ")
}

fn write_attributes(page: &mut String, attributes: &std::collections::BTreeMap<std::sync::Arc<str>, AttributeSchema>) {
    page.push_str("\n| attribute | type | | what it is |\n| --- | --- | --- | --- |\n");
    for (name, attribute) in attributes {
        let (ty, notes) = (attribute.ty.to_string(), notes(attribute));
        let _ = writeln!(page, "| `{name}` | {} | {notes} | {} |", cell(&ty), cell(attribute.doc));
    }
}

fn write_block(page: &mut String, name: &str, block: &BlockSchema) {
    let _ = write!(page, "\n### Block `{name}`\n\n{}\n", block.doc);
    write_attributes(page, &block.attributes);
    for (name, block) in &block.blocks {
        write_block(page, name, block);
    }
}

#[test]
fn the_reference_of_resources_is_current() {
    let catalog = Catalog::built_in();
    let mut page = format!("# Resources\n\n{GENERATED}");
    page.push_str("\nThe types that this build knows, from the schemas that the planner itself uses.\n");
    for (role, word) in [(Role::Managed, "resource"), (Role::Data, "data")] {
        for schema in catalog.all(role) {
            let _ = write!(page, "\n## {word} `{}`\n\n{}\n", schema.ty, schema.doc);
            write_attributes(&mut page, &schema.attributes);
            for (name, block) in &schema.blocks {
                write_block(&mut page, name, block);
            }
        }
    }
    is_blessed("docs/resources.md", &page);
}
