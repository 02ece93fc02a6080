//! What the Tab key finds.

use gantry::ops::console::{Asked, with};

use super::recorded_project;

/// What `typed` can go on with, with the cursor at its end.
async fn candidates(directory: &std::path::Path, typed: &[&str]) -> Vec<(usize, Vec<String>)> {
    let asked = Asked { plan: false, scope: None, variables: Vec::new() };
    let found = with(directory, None, &asked, |session| {
        typed.iter().map(|t| session.complete(t, t.len())).map(|c| (c.start, c.candidates)).collect()
    });
    found.await.expect("the project is sound")
}

#[tokio::test]
async fn names_and_functions_are_completed() {
    let sandbox = recorded_project();
    let cases: &[(&str, usize, &[&str])] = &[
        ("var.si", 4, &["size"]),
        ("1 + local.", 10, &["gone", "mixed", "never", "next", "output", "outputs", "then"]),
        ("upper(terra", 6, &["terraform.", "terraform_data."]),
        ("cidrs", 0, &["cidrsubnet(", "cidrsubnets("]),
        ("typ", 0, &["type("]),
        ("module.n", 7, &["new"]),
        ("module.m.", 9, &["s", "y", "z"]),
        ("module.each[\"p\"].", 17, &["s", "y", "z"]),
        ("terraform_data.o", 15, &["one"]),
        ("terraform_data.one.o", 19, &["output"]),
        ("terraform_data.some[0].input.", 29, &["index", "text"]),
        // What was never applied has the attributes of its type.
        ("terraform_data.never.", 21, &["id", "input", "output", "triggers_replace"]),
        ("terraform_data.never_some[0].i", 29, &["id", "input"]),
        ("local.mixed[2].p", 15, &["plain"]),
        ("path.", 5, &["cwd", "module", "project", "root"]),
        ("terraform.", 10, &["workspace"]),
        ("help cidrs", 5, &["cidrsubnet", "cidrsubnets"]),
        ("help func", 5, &["functions"]),
        // No name goes on here.
        ("\"var.si", 7, &[]),
        ("\"${var.si", 7, &["size"]),
        ("nope.", 5, &[]),
        ("each.", 5, &[]),
        // A secret's parts are not told.
        ("sensitive({ hidden = 1 }).", 26, &[]),
    ];
    let typed: Vec<&str> = cases.iter().map(|(typed, ..)| *typed).collect();
    let found = candidates(&sandbox.project(), &typed).await;
    for ((typed, start, wanted), (from, got)) in cases.iter().zip(found) {
        assert_eq!((from, got.iter().map(String::as_str).collect::<Vec<_>>()), (*start, wanted.to_vec()), "{typed}");
    }
}

#[tokio::test]
async fn a_place_without_a_project_has_functions_only() {
    let room = tempfile::tempdir().expect("a temporary directory");
    let found = candidates(room.path(), &["", "var."]).await;
    assert!(found[0].1.iter().all(|c| c.ends_with('(') || ["path.", "terraform."].contains(&c.as_str())));
    assert_eq!(found[1].1, Vec::<String>::new());
}
