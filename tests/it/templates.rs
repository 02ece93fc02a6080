//! Functions that read texts while others are evaluated, and those that are drawn at apply, through the command line: what is
//! planned, what an apply makes of it, and what is said where it cannot be.

use serde_json::Value as Json;

use super::support::Sandbox;

const MAIN: &str = "environments/test/main.hcl";

const WHOLE: &str = r#"
terraform {
  required_providers {
    tf         = { source = "terraform.io/builtin/terraform" }
    kubernetes = { source = "hashicorp/kubernetes" }
  }
}
locals {
  greeting = "Hi $${name}"
}
resource "terraform_data" "a" {
  input = "first"
}
resource "terraform_data" "b" {
  input = {
    file = templatefile("${path.module}/list.tmpl", { id = terraform_data.a.id, n = 2 })
    now  = templatefile("now.tmpl", {})
    text = templatestring(local.greeting, { name = terraform_data.a.id })
    hash = bcrypt("secret", 4)
    ids  = [for i in [1, 2, 3] : uuid()]
    vars = provider::tf::encode_tfvars({ a = 1, bcd = terraform_data.a.id })
  }
  lifecycle {
    ignore_changes = [input]
  }
}
output "id" { value = terraform_data.a.id }
output "b" { value = terraform_data.b.output }
output "all" { value = provider::kubernetes::manifest_decode_multi(file("all.yaml")) }
"#;

const MANIFESTS: &str = "# a comment
---
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
---
---
# nothing
---
apiVersion: v1
kind: Secret
metadata:
  name: b
";

fn sandbox(main: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(MAIN, main);
    sandbox.write("environments/test/list.tmpl", "${id}\n%{ for i in range(n) ~}\n- ${i}\n%{ endfor ~}\n");
    sandbox.write("environments/test/now.tmpl", "${timestamp()} ${uuid()} ${uuid()}");
    sandbox.write("environments/test/bad.tmpl", "one\ntwo ${upper(nme)}\n");
    sandbox.write("environments/test/syntax.tmpl", "one\ntwo ${upper(}\n");
    sandbox.write("environments/test/all.yaml", MANIFESTS);
    sandbox
}

#[test]
fn templates_are_rendered_at_apply_from_what_the_plan_read() {
    let sandbox = sandbox(WHOLE);
    drop(sandbox.run("plan test --out saved").succeeds());
    // The plan took the bytes along.
    sandbox.write("environments/test/list.tmpl", "changed");
    drop(sandbox.run("apply test saved").succeeds());
    let outputs: Json = serde_json::from_str(&sandbox.run("output test --json").succeeds().stdout).unwrap();
    let value = |name: &str| outputs[name]["value"].clone();
    let (id, b) = (value("id"), value("b"));
    let id = id.as_str().unwrap();
    assert_eq!(b["file"], format!("{id}\n- 0\n- 1\n"));
    assert_eq!(b["text"], format!("Hi {id}"));
    assert_eq!(b["vars"], format!("a   = 1\nbcd = \"{id}\"\n"));
    let hash = b["hash"].as_str().unwrap();
    assert!(hash.starts_with("$2a$04$") && bcrypt::verify("secret", hash).unwrap(), "{hash}");
    let words: Vec<&str> = b["now"].as_str().unwrap().split(' ').collect();
    let [time, first, second] = words[..] else { panic!("{words:?}") };
    assert!(time.len() == "2026-01-02T03:04:05Z".len() && first != second, "{words:?}");
    let ids = b["ids"].as_array().unwrap();
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "each element draws its own: {ids:?}");
    let kinds: Vec<&Json> = outputs["all"]["value"].as_array().unwrap().iter().map(|m| &m["kind"]).collect();
    assert_eq!(kinds, ["ConfigMap", "Secret"]);
}

#[track_caller]
fn refused(output: &str, says: &[&str]) {
    let sandbox = sandbox(&format!("output \"x\" {{\n  value = {output}\n}}\n"));
    let said = sandbox.run("plan test").exits(1).stderr;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in says {
        assert!(said.contains(part), "{output}: {part}\n{said}");
    }
}

#[test]
fn what_cannot_be_rendered_is_refused_with_its_place() {
    refused(
        "templatefile(\"bad.tmpl\", { name = 1 })",
        &[
            "environments/test/main.hcl:2:",
            "vars map does not contain key \"nme\", referenced at bad.tmpl:2,13-16. Did you mean \"name\"?",
        ],
    );
    refused("templatefile(\"syntax.tmpl\", {})", &["syntax.tmpl:2,", "Call to function \"templatefile\" failed"]);
    refused("templatefile(\"none.tmpl\", {})", &["no file exists at \"none.tmpl\""]);
    refused("templatestring(\"$${x}\", {})", &["does not support providing a literal template"]);
    refused("manifest_decode(file(\"all.yaml\"))", &["the text holds 2 manifests"]);
    refused("manifest_decode_multi(\"kind: x\")", &["is no Kubernetes manifest: it has no \"apiVersion\""]);
    refused("bcrypt(\"x\", 20)", &["the limit here is 15"]);
}

#[test]
fn a_module_names_the_provider_whose_functions_it_calls() {
    refused(
        "provider::terraform::encode_expr(1)",
        &[
            "Ensure that provider name \"terraform\" is declared in this module's required_providers block",
            "hint: Write terraform { required_providers { terraform = { source = \"terraform.io/builtin/terraform\" } } }.",
        ],
    );
    refused("provider::kubernetes::manifest_decode(\"\")", &["or call manifest_decode() without the prefix"]);
    refused("[for x in [1] : provider::nope::encode_expr(x)]", &["provider name \"nope\" is declared"]);
}
