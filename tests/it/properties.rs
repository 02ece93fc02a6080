//! Properties of the whole: small random projects, applied, changed, applied again, taken back and destroyed by the built
//! binary.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};

use super::support::Sandbox;

/// How many random histories are lived through. Each takes about a second.
const CASES: u32 = 8;

/// The most nodes of a project.
const NODES: usize = 6;

/// One node: what it is, what its content is, and which earlier node it refers to.
#[derive(Debug, Clone)]
struct Node {
    kind: Kind,
    content: u8,
    refers: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Data,
    File,
    /// With `for_each` over so many keys.
    Files(u8),
    Counted(u8),
}

/// A project: by their numbers the nodes that it has.
type Project = BTreeMap<usize, Node>;

fn node() -> impl Strategy<Value = Node> {
    let kind = prop_oneof![
        Just(Kind::Data),
        Just(Kind::File),
        (0..4_u8).prop_map(Kind::Files),
        (0..3_u8).prop_map(Kind::Counted)
    ];
    (kind, 0..3_u8, proptest::option::of(0..NODES)).prop_map(|(kind, content, refers)| Node { kind, content, refers })
}

fn project() -> impl Strategy<Value = Project> {
    proptest::collection::btree_map(0..NODES, node(), 0..NODES)
}

/// As configuration. A reference leads to an earlier node that is there, so there is no cycle.
fn configuration(project: &Project) -> String {
    let mut text = String::new();
    for (number, node) in project {
        let refers = node.refers.filter(|to| to < number).and_then(|to| Some((to, project.get(&to)?)));
        let reference = refers.map_or(String::new(), |(to, other)| match other.kind {
            Kind::Data => format!("${{terraform_data.n{to}.output}}"),
            Kind::File => format!("${{local_file.n{to}.content}}"),
            Kind::Files(_) => format!("${{length(local_file.n{to})}}"),
            Kind::Counted(_) => format!("${{join(\",\", terraform_data.n{to}[*].output)}}"),
        });
        let content = format!("{}-{reference}", node.content);
        let _ = match node.kind {
            Kind::Data => writeln!(text, "resource \"terraform_data\" \"n{number}\" {{\n  input = \"{content}\"\n}}\n"),
            Kind::File => writeln!(
                text,
                "resource \"local_file\" \"n{number}\" {{\n  filename = \"../../out/n{number}\"\n  content  = \"{content}\"\n}}\n"
            ),
            Kind::Files(keys) => {
                let keys: Vec<String> = (0..keys).map(|k| format!("\"k{k}\"")).collect();
                writeln!(
                    text,
                    "resource \"local_file\" \"n{number}\" {{\n  for_each = toset([{}])\n  filename = \
                     \"../../out/n{number}-${{each.key}}\"\n  content  = \"${{each.value}} {content}\"\n}}\n",
                    keys.join(", ")
                )
            }
            Kind::Counted(count) => writeln!(
                text,
                "resource \"terraform_data\" \"n{number}\" {{\n  count = {count}\n  input = \"${{count.index}} {content}\"\n}}\n"
            ),
        };
    }
    text
}

/// The files that a project is to have.
fn wanted(project: &Project) -> usize {
    let count = |node: &Node| match node.kind {
        Kind::File => 1,
        Kind::Files(keys) => usize::from(keys),
        Kind::Data | Kind::Counted(_) => 0,
    };
    project.values().map(count).sum()
}

fn files(sandbox: &Sandbox) -> BTreeMap<String, String> {
    let Ok(entries) = std::fs::read_dir(sandbox.project().join("out")) else { return BTreeMap::new() };
    let one = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path()).expect("a file of text");
        (entry.file_name().to_string_lossy().into_owned(), text)
    };
    entries.map(|entry| one(entry.expect("the folder is readable"))).collect()
}

const MAIN: &str = "environments/local/main.hcl";

/// Applies a project, and requires that then nothing is left to do, and that doing it again does nothing.
fn deploy(sandbox: &Sandbox, project: &Project) -> Result<(), TestCaseError> {
    sandbox.write(MAIN, &configuration(project));
    let applied = sandbox.run("apply local --auto-approve");
    prop_assert_eq!(applied.code(), Some(0), "{}{}", applied.stdout, applied.stderr);
    let plan = sandbox.run("plan local --detailed-exitcode");
    prop_assert_eq!(plan.code(), Some(0), "after an apply the plan is empty: {}{}", plan.stdout, plan.stderr);
    let (ledger, there) = (history(sandbox), files(sandbox));
    prop_assert_eq!(there.len(), wanted(project), "{:?}", &there);
    let again = sandbox.run("apply local --auto-approve");
    prop_assert_eq!(again.code(), Some(0), "{}{}", again.stdout, again.stderr);
    prop_assert_eq!(history(sandbox), ledger, "a second apply made a generation");
    prop_assert_eq!(files(sandbox), there);
    Ok(())
}

/// The numbers of the generations, the newest last.
fn history(sandbox: &Sandbox) -> Vec<u64> {
    let text = sandbox.run("history local --json").succeeds().stdout;
    let all: serde_json::Value = serde_json::from_str(&text).expect("history speaks JSON");
    all.as_array().into_iter().flatten().filter_map(|g| g["generation"].as_u64()).collect()
}

fn lived(first: &Project, second: &Project) -> Result<(), TestCaseError> {
    let sandbox = Sandbox::new();
    deploy(&sandbox, first)?;
    let (before, one) = (files(&sandbox), history(&sandbox));
    deploy(&sandbox, second)?;
    let two = history(&sandbox);
    if let Some(number) = one.last().filter(|_| two.len() > one.len()) {
        let back = sandbox.run(&format!("rollback local --to {number} --auto-approve"));
        prop_assert_eq!(back.code(), Some(0), "{}{}", back.stdout, back.stderr);
        prop_assert_eq!(files(&sandbox), before);
        sandbox.write(MAIN, &configuration(first));
        let plan = sandbox.run("plan local --detailed-exitcode");
        prop_assert_eq!(plan.code(), Some(0), "after a rollback: {}{}", plan.stdout, plan.stderr);
    }
    let gone = sandbox.run("destroy local --auto-approve");
    prop_assert_eq!(gone.code(), Some(0), "{}{}", gone.stdout, gone.stderr);
    prop_assert_eq!(files(&sandbox), BTreeMap::new());
    prop_assert_eq!(sandbox.run("state list local").stdout, "");
    prop_assert_eq!(sandbox.run("state verify local").code(), Some(0));
    Ok(())
}

#[test]
fn whatever_is_deployed_changed_taken_back_and_destroyed() {
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
    let histories = (project(), project());
    let result = TestRunner::new(config).run(&histories, |(first, second)| lived(&first, &second));
    if let Err(e) = result {
        panic!("{e}");
    }
}

#[test]
fn the_random_projects_are_worth_it() {
    let mut runner = TestRunner::deterministic();
    let trees = (0..200).map(|_| project().new_tree(&mut runner).expect("a project can be drawn").current());
    let texts: Vec<String> = trees.map(|project| configuration(&project)).collect();
    for part in ["for_each", "count =", "${terraform_data.", "${local_file.", "[*]", "length("] {
        assert!(texts.iter().any(|text| text.contains(part)), "none has {part}");
    }
}
