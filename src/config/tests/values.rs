//! Values of variables: who wins, what is converted, what is told.

use std::path::PathBuf;

use super::mistakes::rendered;
use crate::config::variables::gather_with;
use crate::config::{ConfigError, Gathered, VarArg, init_files, open};
use crate::value::{Marks, Value, show};

const MAIN: &str = r#"variable "name" {
  type    = string
  default = "none"
}
variable "sizes" {
  type    = list(number)
  default = []
}
variable "web" {
  type    = object({ port = optional(number, 80), host = string })
  default = null
}
variable "loose" {
  default = null
}
variable "secret" {
  type      = map(number)
  sensitive = true
  ephemeral = true
  default   = {}
}
variable "solid" {
  type     = number
  nullable = false
  default  = 5
}
"#;

struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        for (path, text) in [("environments/test/main.hcl", MAIN)].iter().chain(files) {
            let path = project.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        project
    }

    fn gather(&self, command_line: &[VarArg], environment: &[(&str, &str)]) -> Result<Gathered, ConfigError> {
        let directory = self.0.path().join("environments/test");
        let (_, desired) = open(&directory).unwrap();
        let look = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        gather_with(&desired, &directory, self.0.path(), command_line, &look)
    }

    /// What is told, with the temporary directory's name taken out.
    fn told(&self, command_line: &[VarArg], environment: &[(&str, &str)]) -> String {
        let error = self.gather(command_line, environment).unwrap_err();
        rendered(&error).replace(&self.0.path().display().to_string(), "ROOT")
    }
}

fn var(name: &str, text: &str) -> VarArg {
    VarArg::Value { name: name.into(), text: text.into() }
}

fn shown(gathered: &Gathered, name: &str) -> (String, String) {
    let given = &gathered.values[name];
    (show(&given.value.unmark_deep().0), given.origin.clone())
}

fn is(gathered: &Gathered, name: &str, value: &str, origin: &str) {
    assert_eq!(shown(gathered, name), (value.to_owned(), origin.to_owned()), "{name}");
}

#[test]
fn every_source_beats_the_one_before() {
    let mut files = vec![("gantry.hcl", "variables {\n  name = \"shared\"\n  other = 1\n}\n")];
    let mut environment = vec![];
    let mut arguments = vec![];
    let check =
        |files: &[(&str, &str)], environment: &[(&str, &str)], arguments: &[VarArg], value: &str, origin: &str| {
            let gathered = Project::new(files).gather(arguments, environment).unwrap();
            is(&gathered, "name", &format!("{value:?}"), origin);
            assert!(gathered.warnings.is_empty());
        };
    check(&[], &[], &[], "none", "default");
    check(&files, &environment, &arguments, "shared", "gantry.hcl:2");
    environment.push(("TF_VAR_name", "tf"));
    check(&files, &environment, &arguments, "tf", "TF_VAR_name");
    environment.push(("GANTRY_VAR_name", "ours"));
    check(&files, &environment, &arguments, "ours", "GANTRY_VAR_name");
    files.push(("environments/test/terraform.tfvars", "\nname = \"tfvars\"\n"));
    check(&files, &environment, &arguments, "tfvars", "terraform.tfvars:2");
    files.push(("environments/test/terraform.tfvars.json", "{\"name\": \"json\"}"));
    check(&files, &environment, &arguments, "json", "terraform.tfvars.json");
    files.push(("environments/test/a.auto.tfvars", "name = \"a\""));
    check(&files, &environment, &arguments, "a", "a.auto.tfvars:1");
    files.push(("environments/test/b.auto.gantryvars.hcl", "name = \"b\""));
    files.push(("environments/test/.c.auto.tfvars", "name = \"hidden\""));
    files.push(("environments/test/plain.tfvars", "name = \"plain\""));
    check(&files, &environment, &arguments, "b", "b.auto.gantryvars.hcl:1");
    files.push(("environments/test/c.auto.tfvars.json", "{\"name\": \"c\"}"));
    check(&files, &environment, &arguments, "c", "c.auto.tfvars.json");
    arguments.push(var("name", "one"));
    arguments.push(var("name", "two=2"));
    check(&files, &environment, &arguments, "two=2", "--var");
}

#[test]
fn a_file_of_the_command_line_stands_in_its_order() {
    let project = Project::new(&[("more.tfvars", "name = \"file\"\nloose = { a = -1, b = [true, null] }\n")]);
    let file = VarArg::File(project.0.path().join("more.tfvars"));
    let name = |arguments: &[VarArg]| shown(&project.gather(arguments, &[]).unwrap(), "name").0;
    assert_eq!(name(&[var("name", "x"), file.clone()]), "\"file\"");
    assert_eq!(name(&[file.clone(), var("name", "x")]), "\"x\"");
    let loose = &project.gather(&[file], &[]).unwrap().values["loose"].value;
    assert_eq!(loose.get("a").unwrap().as_number().unwrap().to_i64(), Some(-1));
}

#[test]
fn texts_are_read_by_the_variables_type() {
    let project = Project::new(&[]);
    let given = |name: &str, text: &str| project.gather(&[var(name, text)], &[]).unwrap().values[name].value.clone();
    assert_eq!(given("name", "[1]").as_str(), Some("[1]"));
    assert_eq!(given("name", "\"q\"").as_str(), Some("\"q\""));
    assert_eq!(given("sizes", "[1, \"2\"]").as_items().unwrap().len(), 2);
    assert_eq!(given("solid", "7").as_number().unwrap().to_i64(), Some(7));
    assert_eq!(given("loose", "word").as_str(), Some("word"));
    assert_eq!(given("loose", "[1]").as_str(), Some("[1]"), "without a type it is text, as in Terraform");
    assert_eq!(given("name", "e\u{301}").as_str(), Some("\u{e9}"), "text from outside is kept in normal form");
    let web = given("web", "{ host = \"h\" }");
    assert_eq!(web.get("port").unwrap().as_number().unwrap().to_i64(), Some(80));
    assert!(given("web", "null").is_null());
}

#[test]
fn marks_and_null_are_the_variables() {
    let project = Project::new(&[("environments/test/terraform.tfvars", "solid = null\nsecret = { a = 1 }\n")]);
    let gathered = project.gather(&[], &[]).unwrap();
    is(&gathered, "solid", "5", "default");
    assert!(gathered.values["secret"].value.marks.has(Marks::SENSITIVE.union(Marks::EPHEMERAL)));
    assert!(gathered.values["web"].value.is_null());
    assert!(!gathered.values["name"].value.marks.is_sensitive());
}

#[test]
fn names_that_no_variable_has() {
    let project = Project::new(&[
        ("environments/test/terraform.tfvars", "nmae = 1\n"),
        ("gantry.hcl", "variables {\n  x = 1\n}\n"),
    ]);
    let gathered = project.gather(&[], &[("TF_VAR_other", "1")]).unwrap();
    let warnings: Vec<String> =
        gathered.warnings.sorted().into_iter().map(|d| crate::diag::render(d, &gathered.sources)).collect();
    assert_eq!(
        warnings,
        [
            "Warning: Value for undeclared variable\n  at terraform.tfvars:1:1\n    |\n  1 | nmae = 1\n    | ^^^^\n\n  A value is \
          given for \"nmae\" (terraform.tfvars:1), but the environment has no such variable.\n\n  hint: Did you mean \
          \"name\"?\n"
        ]
    );
    let told = Project::new(&[]).told(&[var("sizzes", "x")], &[]);
    assert_eq!(
        told,
        "Error: Value for undeclared variable\n\n  A value is given for \"sizzes\" (--var), but the environment has no such \
         variable.\n\n  hint: Did you mean \"sizes\"?\n"
    );
}

#[test]
fn what_does_not_fit_is_told_together() {
    let project = Project::new(&[
        ("environments/test/terraform.tfvars", "sizes = [1, \"x\"]\nweb = {}\n"),
        ("environments/test/more.hcl", "variable \"needed\" {\n  type = string\n}\n"),
    ]);
    let told = project.told(&[var("solid", "many")], &[]);
    assert_eq!(told.matches("Error: ").count(), 4, "{told}");
    for part in [
        "The value from terraform.tfvars:1 does not fit the variable's type list(number): [1]: a number is",
        "attribute \"host\" is required",
        "The value from --var does not fit the variable's type number: a number is required.",
        "The variable \"needed\" has no default, and no value is given for it.",
        "GANTRY_VAR_needed",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
}

#[test]
fn a_secret_is_in_no_message() {
    let project = Project::new(&[("environments/test/terraform.tfvars", "secret = { a = \"hunter2\" }\n")]);
    let told = project.told(&[], &[]);
    assert!(told.contains("Invalid value for input variable") && !told.contains("hunter2"), "{told}");
    for text in ["{ a = hunter2 }", "{ a = \"hunter2", "hunter2("] {
        let told = Project::new(&[]).told(&[var("secret", text)], &[]);
        assert!(!told.contains("hunter2"), "{told}");
        let told = Project::new(&[]).told(&[], &[("GANTRY_VAR_secret", text)]);
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn files_that_cannot_be_read_are_told() {
    let missing = VarArg::File(PathBuf::from("/nowhere/x.tfvars"));
    assert_eq!(
        Project::new(&[]).told(&[missing], &[]),
        "Error: Unreadable variables file\n\n  The file of variable values \"/nowhere/x.tfvars\" cannot be read: it does not \
         exist.\n"
    );
    let bad = Project::new(&[
        ("environments/test/terraform.tfvars", "name = upper(\"x\")\n"),
        ("environments/test/a.auto.tfvars", "name = \n"),
        ("environments/test/b.auto.tfvars.json", "{\n  \"name\": \n"),
        ("environments/test/c.auto.tfvars.json", "[]"),
        ("environments/test/d.auto.tfvars", "variable \"x\" {}\n"),
    ]);
    let told = bad.told(&[], &[]);
    assert_eq!(told.matches("Error: ").count(), 5, "{told}");
    assert!(told.contains("at b.auto.tfvars.json:3:1") || told.contains("at b.auto.tfvars.json:2"), "{told}");
}

#[test]
fn what_init_writes_opens_and_is_well_formed() {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in init_files("dev") {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let (_, desired) = open(&root.path().join("environments/dev")).unwrap();
    let names: Vec<String> = desired.root.nodes.iter().map(|n| format!("{}.{}", n.ty, n.name)).collect();
    assert_eq!(names, ["local_file.greeting", "terraform_data.release"]);
    let greeting = desired.root.variables["greeting"].default.as_ref().and_then(Value::as_str);
    assert_eq!(greeting, Some("Hello"));
    let main = std::fs::read_to_string(root.path().join("environments/dev/main.hcl")).unwrap();
    assert!(main.contains("gantry apply dev") && !main.contains("NAME"), "{main}");
}
