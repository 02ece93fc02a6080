//! Loading environments that are right, from disk and from bundles.

use std::path::Path;

use crate::addr::NodeKind;
use crate::config::desired::{Repetition, Step};
use crate::config::{Bundle, ConfigError, Reader, load, open};
use crate::eval::TermKind;
use crate::value::Type;

/// A bundle of an environment `environments/test` with these files, by their path from there.
pub(in crate::config) fn bundle(files: &[(String, String)]) -> Bundle {
    let mut bundle = Bundle {
        name: "test".into(),
        directory: "environments/test".into(),
        project: "../..".into(),
        ..Bundle::default()
    };
    for (path, text) in files {
        let (directory, name) = path.rsplit_once('/').unwrap_or((".", path));
        bundle.modules.entry(directory.into()).or_default().push(name.into());
        bundle.files.insert(path.clone(), text.as_bytes().into());
    }
    bundle
}

fn one(text: &str) -> Bundle {
    bundle(&[("main.hcl".into(), text.into())])
}

fn write(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

pub(super) const MAIN: &str = r#"
terraform {
  required_version = ">= 1.5"
  required_providers {
    local = { source = "hashicorp/local", version = "~> 2.0" }
  }
}
environment {
  description = "Test ${terraform.workspace}"
  state "local" {}
}
variable "names" {
  type      = map(object({ port = optional(number, 80), tags = optional(list(string)) }))
  default   = { a = {}, b = { port = 81 } }
  sensitive = true
  validation {
    condition     = length(var.names) > 0
    error_message = "At least one."
  }
}
locals {
  all = [for name, it in var.names : "${name}:${it.port}" if it.port != 0]
}
resource "local_service" "api" {
  for_each   = var.names
  provider   = local.west
  depends_on = [migration.schema, module.web]
  command    = [artifact.shop.path, each.key]
  dynamic "readiness" {
    for_each = each.value.tags
    iterator = tag
    content {
      http_path = "/${tag.value}"
    }
  }
  lifecycle {
    create_before_destroy = true
    ignore_changes        = [environment["A"], command[0]]
    postcondition {
      condition     = self.port == 80
      error_message = "Not 80 but ${self.port}."
    }
  }
}
artifact "shop" {
  file = "${path.project}/target/shop"
}
migration "schema" {
  database = "sqlite://shop.db"
  source   = "${path.project}/migrations"
}
health_check "shop" {
  count = 2
  http {
    url = "${local_service.api["a"].url}/health"
    expect {
      status = 200
    }
  }
  interval = "1s"
}
module "web" {
  source    = "../../modules/web"
  providers = { local.main = local.west }
  name      = local.all[0]
}
provider "local" {
  alias = "west"
}
moved {
  from = local_service.old
  to   = local_service.api["a"]
}
check "sane" {
  assert {
    condition     = module.web.db.url != ""
    error_message = "No database."
  }
}
output "url" {
  value = local_service.api[*].url
}
"#;

const WEB: &str = "terraform {\n  required_providers {\n    local = { source = \"hashicorp/local\", configuration_aliases = [local.main] }\n  }\n}\nvariable \"name\" {}\nmodule \"db\" {\n  source = \"../db\"\n}\noutput \"db\" {\n  value = module.db\n}\n";
const DB: &str = "output \"url\" {\n  value = \"db://${path.module}\"\n}\n";

fn project() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write(
        root.path(),
        &[
            ("environments/test/main.hcl", MAIN),
            ("environments/test/x.auto.gantryvars.hcl", "not = read here"),
            ("environments/test/.hidden.hcl", "nor this"),
            ("environments/test/backup.hcl~", "nor this"),
            ("modules/web/main.tf", WEB),
            ("modules/db/main.hcl", DB),
            ("modules/db/data/a.txt", "a"),
            ("modules/db/data/b/c.txt", "c"),
        ],
    );
    root
}

#[test]
fn an_environment_opens() {
    let root = project();
    let (bundle, desired) = open(&root.path().join("environments/test")).unwrap();
    assert_eq!((&*bundle.name, &*bundle.directory, &*bundle.project), ("test", "environments/test", "../.."));
    let files: Vec<&str> = bundle.files.keys().map(String::as_str).collect();
    assert_eq!(files, ["../../modules/db/main.hcl", "../../modules/web/main.tf", "main.hcl"]);
    let root = &desired.root;
    assert_eq!(root.directory, ".");
    let kinds: Vec<NodeKind> = root.nodes.iter().map(|n| n.kind).collect();
    use NodeKind::{Artifact, Check, HealthCheck, Migration, Resource};
    assert_eq!(kinds, [Resource, Artifact, Migration, HealthCheck, Check]);
    let names = &root.variables["names"];
    assert!(names.sensitive && names.nullable && names.validations.len() == 1);
    assert!(matches!(&names.ty, Type::Map(_)));
    let b = names.default.as_ref().unwrap().get("b").unwrap();
    assert_eq!(b.get("port").unwrap().as_number().unwrap().to_i64(), Some(81));
    assert_eq!(
        names.default.as_ref().unwrap().get("a").unwrap().get("port").unwrap().as_number().unwrap().to_i64(),
        Some(80)
    );
    let web = &root.calls["web"];
    assert_eq!(web.module.directory, "../../modules/web");
    assert_eq!(web.module.calls["db"].module.directory, "../../modules/db");
    assert_eq!(web.providers["local.main"].to_string(), "local.west");
    assert_eq!(web.arguments.keys().map(|k| &**k).collect::<Vec<_>>(), ["name"]);
    assert_eq!(root.providers[0].alias.as_deref(), Some("west"));
    assert_eq!(root.moved[0].to.to_string(), "local_service.api[\"a\"]");
    assert!(desired.environment.is_some());
}

#[test]
fn a_node_has_its_parts() {
    let (_, desired) = open(&project().path().join("environments/test")).unwrap();
    let api = &desired.root.nodes[0];
    assert!(matches!(api.repetition, Repetition::ForEach(_)));
    assert_eq!(api.provider.as_ref().unwrap().to_string(), "local.west");
    let waits: Vec<String> = api.depends_on.iter().map(ToString::to_string).collect();
    assert_eq!(waits, ["migration.schema", "module.web"]);
    assert_eq!(api.body.attributes.keys().map(|k| &**k).collect::<Vec<_>>(), ["command"]);
    let readiness = &api.body.blocks[0];
    assert_eq!((&*readiness.ty, &*readiness.dynamic.as_ref().unwrap().iterator), ("readiness", "tag"));
    assert!(readiness.body.attributes.contains_key("http_path"));
    let lifecycle = &api.lifecycle;
    assert!(lifecycle.create_before_destroy && !lifecycle.prevent_destroy);
    assert_eq!(lifecycle.postconditions.len(), 1);
    let environment = [Step::Attribute("environment".into()), Step::Index(crate::addr::Key::Name("A".into()))];
    assert_eq!(lifecycle.ignore_changes[0].path, environment);
    let check = desired.root.nodes.iter().find(|n| n.kind == NodeKind::Check).unwrap();
    assert_eq!(check.body.blocks.len(), 1);
}

#[test]
fn a_bundle_loads_the_same_without_the_disk() {
    let root = project();
    let (bundle, desired) = open(&root.path().join("environments/test")).unwrap();
    drop(root);
    let bytes = bundle.to_bytes();
    let back = Bundle::from_bytes(&bytes).unwrap();
    assert_eq!(back, bundle);
    assert_eq!(back.digest(), bundle.digest());
    assert_eq!(format!("{:?}", load(&back).unwrap().root), format!("{:?}", desired.root));
}

#[test]
fn another_checkout_is_no_difference() {
    let (a, b) = (project(), project());
    let digest = |root: &Path| open(&root.join("environments/test")).unwrap().0.digest();
    assert_eq!(digest(a.path()), digest(b.path()));
    write(b.path(), &[("modules/db/main.hcl", "output \"url\" {\n  value = 1\n}\n")]);
    assert_ne!(digest(a.path()), digest(b.path()));
}

#[test]
fn a_reader_adds_answers_of_every_kind() {
    let root = project();
    let directory = root.path().join("environments/test");
    let (mut bundle, _) = open(&directory).unwrap();
    let reader = Reader::new(&directory);
    assert!(bundle.file("../../modules/db/data/a.txt").is_none());
    reader.add_file(&mut bundle, "../../modules/./db/data/a.txt");
    reader.add_file(&mut bundle, "nothing");
    reader.add_tree(&mut bundle, "../../modules/db");
    reader.add_tree(&mut bundle, "nowhere");
    for path in ["main.hcl", ".", "nothing"] {
        reader.add_kind(&mut bundle, path);
    }
    std::fs::write(root.path().join("modules/db/data/a.txt"), "changed").unwrap();
    reader.add_file(&mut bundle, "../../modules/db/data/a.txt");
    assert_eq!(&**bundle.file("../../modules/db/data/a.txt").unwrap().unwrap(), b"a");
    assert_eq!(bundle.file("./nothing").unwrap(), Err("it does not exist"));
    assert_eq!(**bundle.tree("../../modules/db").unwrap().unwrap(), ["data/a.txt", "data/b/c.txt", "main.hcl"]);
    assert_eq!(bundle.tree("nowhere").unwrap(), Err("it does not exist"));
    let kinds = ["main.hcl", ".", "nothing"].map(|p| bundle.kind(p).unwrap().as_str());
    assert_eq!(kinds, ["file", "directory", ""]);
    assert_eq!(Bundle::from_bytes(&bundle.to_bytes()).unwrap(), bundle);
}

#[test]
fn links_in_a_tree_are_not_followed_out() {
    let root = project();
    let data = root.path().join("modules/db/data");
    std::os::unix::fs::symlink("/etc", data.join("etc")).unwrap();
    let mut bundle = Bundle::default();
    Reader::new(&data).add_tree(&mut bundle, ".");
    assert_eq!(**bundle.tree(".").unwrap().unwrap(), ["a.txt", "b/c.txt"]);
}

fn told(result: Result<(Bundle, crate::config::Desired), ConfigError>) -> String {
    super::mistakes::rendered(&result.err().unwrap())
}

#[test]
fn what_is_no_environment_is_told() {
    let root = project();
    let at = |path: &str| told(open(&root.path().join(path))).replace(&root.path().display().to_string(), "ROOT");
    assert_eq!(
        at("environments/tset"),
        "Error: Not an environment\n\n  The directory \"ROOT/environments/tset\" does not exist.\n\n  hint: Did you mean \
         \"test\"?\n"
    );
    assert!(at("environments/test/main.hcl").contains("is a file. An environment is a directory of .hcl files."));
    let empty = at("environments");
    assert!(empty.contains("holds no .hcl or .tf files") && empty.contains("gantry init"), "{empty}");
}

#[test]
fn without_environments_the_directory_is_the_project() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &[("app/main.hcl", "locals {}\n"), ("app/gantry.hcl", "what = ever\n")]);
    let (bundle, _) = open(&root.path().join("app")).unwrap();
    assert_eq!((&*bundle.name, &*bundle.directory, &*bundle.project), ("app", ".", "."));
    assert_eq!(bundle.files.keys().collect::<Vec<_>>(), ["main.hcl"]);
}

#[test]
fn a_byte_order_mark_and_crlf_are_no_difference() {
    let bundle = one("\u{feff}locals {\r\n  a = \"x\"\r\n}\r\n");
    let desired = load(&bundle).unwrap();
    let term = &desired.root.locals["a"].term;
    assert!(matches!(&term.kind, TermKind::Literal(v) if v.as_str() == Some("x")));
    let place = desired.sources.place(term.span).unwrap();
    assert_eq!((place.line, place.column, place.text), (2, 7, "  a = \"x\""));
    let broken = one("\u{feff}a = 1\n");
    let error = load(&broken).unwrap_err();
    assert_eq!(error.sources.place(error.diagnostics.sorted()[0].span.unwrap()).unwrap().column, 1);
}

#[test]
fn a_file_that_is_not_utf8_is_told_with_its_place() {
    let mut bundle = one("");
    bundle.files.insert("main.hcl".into(), b"locals {\n  a = \"\xff\"\n}\n".as_slice().into());
    let told = super::mistakes::rendered(&load(&bundle).unwrap_err());
    assert!(told.contains("environments/test/main.hcl:2:8") && told.contains("not UTF-8"), "{told}");
}

#[test]
fn nesting_that_is_allowed_loads() {
    let deep = format!("locals {{\n  a = {}1{}\n}}\n", "[".repeat(60), "]".repeat(60));
    assert!(load(&one(&deep)).is_ok());
    let long = format!("locals {{\n  a = 1{}\n}}\n", " + 1".repeat(127));
    assert!(load(&one(&long)).is_ok());
}

#[test]
fn a_chain_of_modules_has_an_end() {
    let call = |n: usize| format!("module \"m\" {{\n  source = \"../m{n}\"\n}}\n");
    let mut files = vec![("main.hcl".to_owned(), call(0))];
    files.extend((0..40).map(|n| (format!("../m{n}/main.hcl"), call(n + 1))));
    let told = super::mistakes::rendered(&load(&bundle(&files)).unwrap_err());
    assert!(told.contains("more than 32 levels deep"), "{told}");
}
