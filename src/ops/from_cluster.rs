//! `init --from-cluster`: what stands in a namespace of a cluster, written down as an environment that takes it on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::error::{Failure, Result};
use crate::addr::is_identifier;
use crate::config::{self, Written, written};
use crate::diag::FileId;
use crate::ports::fs;
use crate::provider::kubernetes::{Standing, Survey, survey};
use crate::value::Value;

/// Which namespace of which cluster.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The namespace.
    pub namespace: String,
    /// The kubeconfig; else what kubectl takes.
    pub kubeconfig: Option<PathBuf>,
    /// Its context; else its current one.
    pub context: Option<String>,
    /// Labels that the objects have.
    pub selector: Option<String>,
}

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// The environment.
    pub name: String,
    /// The cluster's address.
    pub url: String,
    /// How many objects were written down.
    pub objects: usize,
    /// The files, relative to the project's directory, with how many objects each has.
    pub written: Vec<(String, usize)>,
    /// The variables that hold secrets.
    pub variables: Vec<String>,
    /// What was left out and why, with how many there are of it.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Objects of another environment.
    pub elsewhere: Vec<String>,
    /// What could not be read.
    pub unread: Vec<String>,
}

/// Reads a namespace and writes an environment that imports what is there. Nothing in the cluster is changed, and no file that exists is
/// overwritten.
///
/// # Errors
/// When the cluster cannot be read, there is nothing to write down, the environment is there already, or a file cannot be written.
pub async fn from_cluster(directory: &Path, name: &str, source: &Source) -> Result<Taken> {
    if !is_identifier(name) {
        let detail = format!(
            "\"{name}\" cannot be the name of an environment: use letters, digits, - and _, and begin with a letter."
        );
        let hint = format!("Give it another name: gantry init NAME --from-cluster {}", source.namespace);
        return Err(Failure::error("Invalid environment name", detail).hint(hint));
    }
    let environment = directory.join("environments").join(name);
    let there = fs::list(&environment).unwrap_or_default();
    if there.iter().any(|(n, _)| n.ends_with(".hcl") || n.ends_with(".tf")) {
        let detail = format!("environments/{name} has files already, and none is overwritten. Nothing was written.");
        let hint = format!("Give another name: gantry init NAME --from-cluster {}", source.namespace);
        return Err(Failure::refused("Environment exists", detail).hint(hint));
    }
    let kubeconfig = match &source.kubeconfig {
        Some(path) => Some(absolute(&directory.join(path))?),
        None => None,
    };
    let said = [("kubeconfig", kubeconfig.as_deref()), ("context", source.context.as_deref())];
    let arguments = said.iter().filter_map(|(key, text)| Some((*key, Value::string((*text)?))));
    let arguments = Value::object_of(arguments.collect::<Vec<_>>());
    let found = survey(&arguments, directory, &source.namespace, source.selector.as_deref())
        .await
        .map_err(|problem| Failure::error("Cannot read the cluster", problem.sentence))?;
    if found.objects.is_empty() {
        let detail =
            format!("Nothing in the namespace \"{}\" is there to be taken on.{}", source.namespace, beside(&found));
        return Err(Failure::error("Nothing to write", detail));
    }
    let files = Files::of(name, source, &said, &found);
    write_all(directory, name, &files)?;
    Ok(Taken {
        name: name.to_owned(),
        url: found.url,
        objects: found.objects.len(),
        written: files.texts.iter().map(|(path, _, count)| (format!("environments/{name}/{path}"), *count)).collect(),
        variables: files.variables,
        left_out: found.left_out,
        elsewhere: found.elsewhere,
        unread: found.unread,
    })
}

fn absolute(path: &Path) -> Result<String> {
    let failed = |e: fs::FsError| Failure::error("Cannot read the kubeconfig", format!("{e}: {}.", e.source));
    Ok(fs::canonical(path).map_err(failed)?.display().to_string())
}

/// What there is beside what can be taken on.
fn beside(found: &Survey) -> String {
    let left: Vec<String> = found.left_out.iter().map(|(why, count)| format!("{count} {why}")).collect();
    match left.is_empty() {
        true => String::new(),
        false => format!(" Left out: {}.", left.join(", ")),
    }
}

fn write_all(directory: &Path, name: &str, files: &Files) -> Result<()> {
    let failed = |e: fs::FsError| Failure::error("Cannot write the project", format!("{e}: {}.", e.source));
    let environment = directory.join("environments").join(name);
    fs::create_dir(&environment).map_err(failed)?;
    for (path, text, _) in &files.texts {
        let text = config::format(text, FileId(0)).expect("invariant: what was just written parses");
        fs::write_atomic(&environment.join(path), text.as_bytes(), 0o644).map_err(failed)?;
    }
    let ignored = directory.join(".gitignore");
    if fs::kind(&ignored).is_none() {
        fs::write_atomic(&ignored, b"# What Gantry writes.\n/state/\n", 0o644).map_err(failed)?;
    }
    Ok(())
}

/// The environment's files.
struct Files {
    /// Name, text, and how many objects are in it.
    texts: Vec<(String, String, usize)>,
    variables: Vec<String>,
}

impl Files {
    fn of(name: &str, source: &Source, said: &[(&str, Option<&str>)], found: &Survey) -> Self {
        let mut names = Names::default();
        let mut by_kind: BTreeMap<String, (String, usize)> = BTreeMap::new();
        let mut variables = Vec::new();
        for object in &found.objects {
            let file = by_kind.entry(file_of(object, &found.objects)).or_default();
            if file.1 > 0 {
                file.0.push('\n');
            }
            let resource = names.unique(&snake(&format!("{}_{}", object.kind, object.name)));
            let taken = secrets(object, &mut names, &mut variables);
            file.0.push_str(&block(&resource, object, &taken));
            file.1 += 1;
        }
        let mut texts = vec![("main.hcl".to_owned(), head(name, source, said), 0)];
        texts.extend(by_kind.into_iter().map(|(path, (text, count))| (path, text, count)));
        if !variables.is_empty() {
            let text: String = variables.iter().map(|one: &Variable| one.block()).collect::<Vec<_>>().join("\n");
            texts.push(("variables.hcl".to_owned(), text, 0));
        }
        Self { texts, variables: variables.into_iter().map(|one| one.name).collect() }
    }
}

fn head(name: &str, source: &Source, said: &[(&str, Option<&str>)]) -> String {
    let text = |text: &str| written(&Written::Value(json!(text)));
    let mut out = format!(
        "# The namespace {namespace}, as it stood when `gantry init {name} --from-cluster {namespace}` read it. Try\n#\n#   gantry plan {name}\n#\n# \
         which imports, and changes nothing. The import blocks have done their work after the first apply, and can go then.\n\n",
        namespace = source.namespace
    );
    let description = format!("The namespace {}", source.namespace);
    out.push_str(&format!("environment {{\ndescription = {}\n}}\n\n", text(&description)));
    out.push_str("provider \"kubernetes\" {\n");
    for (key, value) in said.iter().filter_map(|(key, value)| Some((key, (*value)?))) {
        out.push_str(&format!("{key} = {}\n", text(value)));
    }
    out.push_str(&format!("namespace = {}\n}}\n", text(&source.namespace)));
    out
}

/// The file of an object: its kind's plural, with the group where two groups have one of that name.
fn file_of(object: &Standing, all: &[Standing]) -> String {
    let ambiguous = all.iter().any(|other| other.plural == object.plural && other.group != object.group);
    let own = ["main", "variables"].contains(&object.plural.as_str());
    match (ambiguous || own) && !object.group.is_empty() {
        true => format!("{}.{}.hcl", object.plural, object.group),
        false => format!("{}.hcl", object.plural),
    }
}

fn block(resource: &str, object: &Standing, secrets: &[(String, bool, String)]) -> String {
    let mut parts: Vec<(String, Written)> = Vec::new();
    let order = ["apiVersion", "kind", "metadata", "type", "immutable", "data", "spec"];
    let place = |key: &str| order.iter().position(|known| *known == key).unwrap_or(order.len());
    let mut all: Vec<(&String, &Json)> = object.manifest.as_object().into_iter().flatten().collect();
    all.sort_by_key(|(key, _)| place(key));
    parts.extend(all.into_iter().map(|(key, value)| (key.clone(), Written::Value(value.clone()))));
    for (name, texts) in [("stringData", true), ("data", false)] {
        let keys = secrets.iter().filter(|(_, is_text, _)| *is_text == texts);
        let keys: Vec<_> =
            keys.map(|(key, _, variable)| (key.clone(), Written::Raw(format!("var.{variable}")))).collect();
        if !keys.is_empty() {
            parts.push((name.to_owned(), Written::Object(keys)));
        }
    }
    let id = written(&Written::Value(json!(object.id)));
    format!(
        "resource \"kubernetes_manifest\" \"{resource}\" {{\nmanifest = {}\n}}\n\nimport {{\nto = kubernetes_manifest.{resource}\nid = {id}\n}}\n",
        written(&Written::Object(parts))
    )
}

/// A variable for a secret.
struct Variable {
    name: String,
    description: String,
}

impl Variable {
    fn block(&self) -> String {
        let description = written(&Written::Value(json!(self.description)));
        format!("variable \"{}\" {{\ndescription = {description}\ntype = string\nsensitive = true\n}}\n", self.name)
    }
}

/// The keys of a Secret, each with whether it is text and the variable that holds it.
fn secrets(object: &Standing, names: &mut Names, variables: &mut Vec<Variable>) -> Vec<(String, bool, String)> {
    let mut taken = Vec::new();
    for (key, is_text) in &object.secrets {
        let name = names.unique(&snake(&format!("{}_{key}", object.name)));
        let form = if *is_text { "" } else { ", as base64: it is no text" };
        let description = format!("The key {key} of the Secret {}{form}", object.name);
        variables.push(Variable { name: name.clone(), description });
        taken.push((key.clone(), *is_text, name));
    }
    taken
}

/// Names that were given.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        name
    }
}

/// A name in snake case: `HorizontalPodAutoscaler_web-1` is `horizontal_pod_autoscaler_web_1`.
fn snake(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let all: Vec<char> = text.chars().collect();
    for (at, c) in all.iter().enumerate() {
        let after_small = at > 0 && (all[at - 1].is_ascii_lowercase() || all[at - 1].is_ascii_digit());
        let before_small =
            at > 0 && all[at - 1].is_ascii_uppercase() && all.get(at + 1).is_some_and(char::is_ascii_lowercase);
        match c {
            c if c.is_ascii_uppercase() => {
                if after_small || before_small {
                    out.push('_');
                }
                out.push(c.to_ascii_lowercase());
            }
            c if c.is_ascii_alphanumeric() => out.push(*c),
            _ if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    let out = out.trim_matches('_');
    if out.starts_with(|c: char| c.is_ascii_alphabetic()) { out.to_owned() } else { format!("secret_{out}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_snake_case_and_unique() {
        assert_eq!(snake("HorizontalPodAutoscaler_web-1"), "horizontal_pod_autoscaler_web_1");
        assert_eq!(snake("HTTPRoute_a.b"), "http_route_a_b");
        assert_eq!(snake("db_.dockerconfigjson"), "db_dockerconfigjson");
        assert_eq!(snake("1db_PASSWORD"), "secret_1db_password");
        let mut names = Names::default();
        assert_eq!((names.unique("a"), names.unique("a"), names.unique("a")), ("a".into(), "a_2".into(), "a_3".into()));
    }
}
