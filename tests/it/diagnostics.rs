//! Diagnostics as documents: what `validate --json` says against what Terraform printed (`tests/data/terraform-validate`), that
//! everything wrong is told at once, that a misspelt name gets a suggestion, and that nothing secret is shown.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::support::Sandbox;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// What `validate --json` says of a project with this text as its environment.
fn validated(text: &str) -> Json {
    let sandbox = Sandbox::new();
    sandbox.write("environments/test/main.tf", text);
    report(&sandbox)
}

fn report(sandbox: &Sandbox) -> Json {
    let ran = sandbox.run("validate test --json");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", ran.stdout, ran.stderr))
}

fn list(report: &Json) -> &Vec<Json> {
    report["diagnostics"].as_array().expect("diagnostics are a list")
}

fn keys(json: &Json) -> BTreeSet<&str> {
    json.as_object().map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// What we have and Terraform has not, or only now and then.
const OURS: [&str; 4] = ["hints", "module_calls", "also_in", "address"];

#[test]
fn the_document_is_terraforms() {
    // Where both mean the same place, everything that is said about it is the same; else the keys are.
    let same_place = ["argument", "default", "duplicate", "function", "multibyte", "operand", "reference"];
    let mut count = 0;
    for entry in std::fs::read_dir(data("terraform-validate")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "tf") {
            continue;
        }
        count += 1;
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let theirs: Json =
            serde_json::from_str(&std::fs::read_to_string(path.with_extension("json")).unwrap()).unwrap();
        let ours = validated(&std::fs::read_to_string(&path).unwrap());
        for key in ["format_version", "valid", "warning_count"] {
            assert_eq!(ours[key], theirs[key], "{name}: {key}\n{ours:#}");
        }
        assert_eq!(keys(&ours), keys(&theirs), "{name}");
        // We tell what is wrong with names and with types together, so there may be more of ours.
        for their in list(&theirs) {
            let same = |our: &&Json| our["summary"] == their["summary"];
            let alike = list(&ours).iter().find(same);
            let Some(our) = alike.or_else(|| list(&ours).first().filter(|_| !same_place.contains(&&*name))) else {
                panic!("{name}: {ours:#}")
            };
            let own: BTreeSet<&str> = keys(our).into_iter().filter(|k| !OURS.contains(k)).collect();
            assert_eq!(own, keys(their), "{name}");
            assert_eq!(keys(&our["range"]), keys(&their["range"]), "{name}");
            assert_eq!(keys(&our["range"]["start"]), keys(&their["range"]["start"]), "{name}");
            let mut snippet = keys(&their["snippet"]);
            snippet.remove("function_call");
            assert_eq!(keys(&our["snippet"]), snippet, "{name}");
            assert_eq!(our["severity"], their["severity"], "{name}");
            assert_eq!(our["snippet"]["context"], their["snippet"]["context"], "{name}");
            assert_eq!(our["range"]["end"]["line"].is_u64(), their["range"]["end"]["line"].is_u64(), "{name}");
            if same_place.contains(&&*name) {
                assert_eq!(our["range"]["start"], their["range"]["start"], "{name}");
                assert_eq!(our["range"]["end"], their["range"]["end"], "{name}");
                assert_eq!(our["snippet"], their["snippet"], "{name}");
                assert_eq!(our["summary"], their["summary"], "{name}");
            }
        }
    }
    assert!(count >= 12, "{count}");
}

#[test]
fn the_highlight_is_the_range() {
    let source = "locals {\n  größe = \"日本語\" + 1\n  b = [\n    var.nö,\n  ]\n}\n";
    let ours = validated(source);
    assert!(!list(&ours).is_empty());
    for one in list(&ours) {
        let number = |json: &Json| usize::try_from(json.as_u64().expect("a number")).unwrap();
        let (start, end) = (number(&one["range"]["start"]["byte"]), number(&one["range"]["end"]["byte"]));
        let snippet = &one["snippet"];
        let code = snippet["code"].as_str().unwrap();
        let highlighted = &code[number(&snippet["highlight_start_offset"])..number(&snippet["highlight_end_offset"])];
        assert_eq!(&source[start..end], highlighted, "{one:#}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the switch that rewrites")]
fn everything_that_is_wrong_is_told_at_once() {
    let sandbox = Sandbox::new();
    copy(&data("at-once"), &sandbox.project());
    let report = report(&sandbox);
    let mut told = String::new();
    for one in list(&report) {
        let range = &one["range"];
        let name = range["filename"].as_str().unwrap_or("?");
        let _ = writeln!(
            told,
            "{name}:{}:{} {}",
            range["start"]["line"],
            range["start"]["column"],
            one["summary"].as_str().unwrap()
        );
    }
    let pinned = data("at-once.txt");
    if std::env::var_os("GANTRY_BLESS").is_some() {
        std::fs::write(&pinned, &told).unwrap();
    }
    assert_eq!(told, std::fs::read_to_string(&pinned).unwrap());
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() >= 30, "{}", lines.len());
    let different: BTreeSet<&&str> = lines.iter().collect();
    assert_eq!(different.len(), lines.len(), "something is told twice:\n{told}");
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the test may copy") {
        let entry = entry.expect("the test may copy");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).expect("the test may copy");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("the test may copy");
        }
    }
}

/// A misspelt name, and what was meant.
const MISSPELT: &[(&str, &str)] = &[
    ("variable \"size\" {}\nlocals {\n  a = var.sise\n}\n", "size"),
    ("locals {\n  size = 1\n  b = local.siez\n}\n", "size"),
    ("resource \"terraform_data\" \"web\" {}\nlocals {\n  a = terraform_data.wbe\n}\n", "terraform_data.web"),
    ("resource \"terraform_data\" \"web\" {}\nlocals {\n  a = terraform_dta.web\n}\n", "terraform_data.web"),
    ("resource \"terraform_dta\" \"web\" {}\n", "terraform_data"),
    ("resource \"terraform_data\" \"web\" {\n  inptu = 1\n}\n", "input"),
    ("resource \"terraform_data\" \"web\" {}\nlocals {\n  a = terraform_data.web.ouptut\n}\n", "output"),
    ("locals {\n  o = { size = 1 }\n  a = local.o.siez\n}\n", "size"),
    ("locals {\n  o = tomap({ size = 1 })\n  a = local.o[\"siez\"]\n}\n", "size"),
    ("locals {\n  a = lenght([1])\n}\n", "length"),
    ("locals {\n  a = tyr(1)\n}\n", "try"),
    ("varaible \"a\" {}\n", "variable"),
    ("variable \"a\" {\n  defalt = 1\n}\n", "default"),
    ("variable \"a\" {\n  type = strng\n}\n", "string"),
    ("variable \"a\" {\n  type = lst(string)\n}\n", "list"),
    ("variable \"a\" {\n  type = object({ b = optinal(string) })\n}\n", "optional"),
    ("variable \"a\" {\n  validatoin {\n  }\n}\n", "validation"),
    ("resource \"terraform_data\" \"a\" {\n  lifecycle {\n    prevent_destory = true\n  }\n}\n", "prevent_destroy"),
    ("resource \"terraform_data\" \"a\" {\n  lifecycle {\n    ignore_changes = [inptu]\n  }\n}\n", "input"),
    ("resource \"terraform_data\" \"a\" {\n  lifecyle {\n  }\n}\n", "lifecycle"),
    ("resource \"terraform_data\" \"a\" {\n  for_eahc = {}\n}\n", "for_each"),
    ("resource \"terraform_data\" \"a\" {\n  depend_on = []\n}\n", "depends_on"),
    ("resource \"terraform_data\" \"a\" {\n  for_each = toset([\"a\"])\n  input = each.kye\n}\n", "key"),
    ("resource \"terraform_data\" \"a\" {\n  count = 1\n  input = count.indx\n}\n", "index"),
    ("locals {\n  a = path.modul\n}\n", "module"),
    ("locals {\n  a = terraform.worksapce\n}\n", "workspace"),
    (
        "resource \"terraform_data\" \"a\" {\n  lifecycle {\n    postcondition {\n      condition = self.inptu == 1\n      \
      error_message = \"x\"\n    }\n  }\n}\n",
        "input",
    ),
    ("module \"m\" {\n  source = \"../../modules/m\"\n  nam = 1\n}\n", "name"),
    ("module \"m\" {\n  source = \"../../modules/m\"\n}\noutput \"o\" {\n  value = module.m.adress\n}\n", "address"),
    (
        "module \"main\" {\n  source = \"../../modules/m\"\n}\noutput \"o\" {\n  value = module.mian.address\n}\n",
        "main",
    ),
    (
        "terraform {\n  required_providers {\n    kuberntes = { source = \"hashicorp/kuberntes\" }\n  }\n}\n",
        "kubernetes",
    ),
    ("environment {\n  on_failure = \"rolback\"\n}\n", "rollback"),
    ("environment {\n  stat \"local\" {}\n}\n", "state"),
    ("environment {\n  state \"locla\" {}\n}\n", "local"),
    ("smoke_tets \"a\" {}\n", "smoke_test"),
    ("health_check \"a\" {\n  htpt {\n    url = \"http://x\"\n  }\n}\n", "http"),
    ("health_check \"a\" {\n  http {\n    url = \"http://x\"\n  }\n  phases = [\"prov\"]\n}\n", "prove"),
    ("health_check \"a\" {\n  http {\n    urk = \"http://x\"\n  }\n}\n", "url"),
    ("artifact \"a\" {\n  imge = \"x\"\n}\n", "image"),
    ("migration \"a\" {\n  database = \"sqlite://x\"\n  source = \"m\"\n  on_rollback = \"dwon\"\n}\n", "down"),
    ("resource \"local_service\" \"a\" {\n  command  = [\"x\"]\n  protocol = \"htpt\"\n  port = 80\n}\n", "http"),
    ("resource \"local_command\" \"a\" {\n  create     = [\"x\"]\n  on_unknown = \"rerunn\"\n}\n", "rerun"),
    ("check \"a\" {\n  asert {\n  }\n}\n", "assert"),
    ("removed {\n  form = terraform_data.a\n}\n", "from"),
    ("moved {\n  from = terraform_data.a\n  ot = terraform_data.b\n}\n", "to"),
    (
        "resource \"terraform_data\" \"a\" {\n  dynamic \"tag\" {\n    for_eac = []\n    content {}\n  }\n}\n",
        "for_each",
    ),
];

#[test]
fn a_misspelt_name_gets_a_suggestion() {
    let mut without = String::new();
    let sandbox = Sandbox::new();
    sandbox
        .write("modules/m/main.hcl", "variable \"name\" {\n  default = 1\n}\noutput \"address\" {\n  value = 1\n}\n");
    for (number, (source, meant)) in MISSPELT.iter().enumerate() {
        let path = format!("environments/c{number}");
        sandbox.write(&format!("{path}/main.hcl"), source);
        sandbox.write(&format!("{path}/m/0001_a.up.sql"), "create table a (b int);\n");
        let said = sandbox.run(&format!("validate c{number}")).exits(1).stderr;
        let said = said.replace("\n  ", " ");
        if !said.contains(&format!("Did you mean \"{meant}\"?")) {
            let _ = writeln!(without, "{source}{said}");
        }
    }
    assert!(without.is_empty(), "{without}");
}

#[test]
fn an_environments_name_gets_a_suggestion() {
    let sandbox = Sandbox::new();
    sandbox.write("environments/staging/main.hcl", "");
    let said = sandbox.run("validate stagign").exits(1).stderr;
    assert!(said.contains("Did you mean") && said.contains("staging"), "{said}");
}

/// Expressions that fail because of, or beside, a value that must not be seen.
const LEAKS: &[&str] = &[
    "var.secret + 1",
    "-var.secret",
    "[1][var.number]",
    "{ a = 1 }[var.secret]",
    "{ a = 1 }[\"${var.secret}x\"]",
    "{ for k in [var.secret, var.secret] : k => 1 }",
    "{ for k in var.many : k.v => k.n.x }",
    "[for k in var.many : k.nope]",
    "var.many[0].nope",
    "var.keys.nope",
    "var.keys[\"nope\"]",
    "local.keys.nope",
    "local.mixed.nope",
    "local.mixed[0]",
    "local.mixed + 1",
    "local.list[7]",
    "upper([var.secret])",
    "regex(\"(\", var.secret)",
    "regex(var.secret, \"x\")",
    "tonumber(var.secret)",
    "jsondecode(var.secret)",
    "format(\"%d\", var.secret)",
    "file(var.secret)",
    "parseint(var.secret, 10)",
    "var.secret ? 1 : 2",
    "try(var.secret + 1, var.secret - 1)",
    "templatestring(var.template, {})",
    "substr(var.secret, \"x\", 1)",
    "lookup(var.keys, \"nope\")",
    "element([], var.number)",
    "timeadd(var.secret, \"1h\")",
    "cidrhost(var.secret, 1)",
    "base64decode(var.secret)",
    "merge(var.keys, var.secret)",
    "zipmap([var.secret], [])",
    "\"x${[var.secret]}\"",
    "coalesce(null, var.secret).x",
    "range(var.number, 0, var.number)",
];

#[test]
fn no_diagnostic_shows_a_secret() {
    let sandbox = Sandbox::new();
    let mut text = "variable \"secret\" {\n  default   = \"canary-7\"\n  sensitive = true\n}\n\
                    variable \"number\" {\n  default   = 770077\n  sensitive = true\n}\n\
                    variable \"many\" {\n  default   = [{ v = \"canary-7\", n = 770077 }, { v = \"canary-7\", n = 1 }]\n  \
                    sensitive = true\n}\n\
                    variable \"template\" {\n  default   = \"canary-7 $${nope}\"\n  sensitive = true\n}\n\
                    variable \"keys\" {\n  default   = { canary-7 = 1 }\n  sensitive = true\n}\n\
                    locals {\n  keys  = { (var.secret) = 1 }\n  mixed = { a = var.secret, b = 1 }\n  \
                    list  = [var.secret, 1]\n}\n"
        .to_owned();
    let head = text.lines().count();
    for (number, expression) in LEAKS.iter().enumerate() {
        let _ = writeln!(text, "output \"o{number}\" {{\n  sensitive = true\n  value     = {expression}\n}}");
    }
    // The file shows what it says itself.
    sandbox.write("environments/test/main.hcl", &text);
    let plain = sandbox.run("validate test").exits(1);
    let json = report(&sandbox);
    assert_eq!(list(&json).len(), LEAKS.len(), "each of them fails: {json:#}");
    assert!(list(&json).iter().all(|d| d["range"]["start"]["line"].as_u64() > Some(head as u64)), "{json:#}");
    for said in [plain.stderr, plain.stdout, json.to_string()] {
        assert!(!said.contains("canary-7") && !said.contains("770077"), "{said}");
    }
}

#[test]
fn validation_needs_no_values() {
    let sandbox = Sandbox::new();
    let text = "variable \"names\" {\n  type = set(string)\n  validation {\n    condition     = length(var.names) > 0\n    \
                error_message = \"None.\"\n  }\n}\nvariable \"image\" {\n  type      = string\n  sensitive = true\n}\n\
                resource \"terraform_data\" \"a\" {\n  for_each = var.names\n  input    = each.key\n}\n\
                module \"m\" {\n  source   = \"../../modules/m\"\n  for_each = var.names\n  name     = each.value\n}\n\
                artifact \"shop\" {\n  file = var.image\n}\n\
                output \"all\" {\n  value = [for k, m in module.m : m.address]\n}\n\
                output \"one\" {\n  value = terraform_data.a[\"x\"].output\n}\n";
    sandbox.write("environments/test/main.hcl", text);
    sandbox.write(
        "modules/m/main.hcl",
        "variable \"name\" {\n  type = string\n}\noutput \"address\" {\n  value = upper(var.name)\n}\n",
    );
    let _ = sandbox.run("validate test").exits(0);
    // A plan does need them.
    let _ = sandbox.run("plan test").exits(1);
    // What is wrong in what is never evaluated for sure is found all the same.
    sandbox.write(
        "modules/m/main.hcl",
        "variable \"name\" {\n  type = string\n}\nresource \"terraform_data\" \"b\" {\n  inptu = var.name\n}\noutput \"address\" {\n  \
         value = 1\n}\n",
    );
    let said = sandbox.run("validate test").exits(1).stderr;
    assert!(said.contains("Did you mean \"input\"?") && said.contains("in module.m, called at"), "{said}");
}

#[test]
fn what_is_guarded_by_a_condition_is_no_mistake() {
    let sandbox = Sandbox::new();
    let text = "variable \"need\" {\n  type = bool\n}\nvariable \"tls\" {\n  type    = object({ name = string })\n  default = null\n}\n\
                resource \"terraform_data\" \"a\" {\n  count = var.tls == null ? 0 : 1\n  input = var.tls.name\n}\n\
                resource \"terraform_data\" \"b\" {\n  count = var.need ? 1 : 0\n  input = var.tls.name\n}\n\
                output \"o\" {\n  value = var.need ? var.tls.name : \"\"\n}\n";
    sandbox.write("environments/test/main.hcl", text);
    let _ = sandbox.run("validate test").exits(0);
    let _ = sandbox.run_all(&["validate", "test", "--var", "need=false"]).exits(0);
    let _ = sandbox.run_all(&["validate", "test", "--var", "need=true"]).exits(1);
}

#[test]
fn many_mistakes_are_told_quickly_and_not_all_to_people() {
    let sandbox = Sandbox::new();
    let text: String = (0..2_000).map(|n| format!("output \"o{n}\" {{\n  value = var.nope{n}\n}}\n")).collect();
    sandbox.write("environments/test/main.hcl", &text);
    let said = sandbox.run("validate test").exits(1).stderr;
    assert_eq!(said.matches("Error: ").count(), 100);
    assert!(said.ends_with("… and 1,900 more. All of them: gantry validate --json\n"), "{said}");
    assert_eq!(list(&report(&sandbox)).len(), 2_000);
}
