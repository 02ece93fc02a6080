//! Values that people give to an environment's variables, and who wins.
//!
//! From the weakest to the strongest: `variables` of the project's `gantry.hcl`, `GANTRY_VAR_name` (`TF_VAR_name` where that
//! is not set), `terraform.tfvars`, `terraform.tfvars.json`, `*.auto.*` files in the order of their names, and `--var` and
//! `--var-file` in the order of the command line. Files hold constants only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::desired::{Desired, Variable};
use super::error::ConfigError;
use super::project;
use super::source::FILE_MAX;
use super::syntax;
use crate::diag::{Diagnostic, Diagnostics, FileId, SourceMap, Span, did_you_mean};
use crate::eval::Term;
use crate::eval::constraint::constant;
use crate::ports::{env, fs};
use crate::value::{Marks, Number, Type, Value, convert, normal};

/// One `--var` or `--var-file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VarArg {
    /// `--var NAME=TEXT`
    Value {
        /// The name before the equals sign.
        name: String,
        /// The text behind it.
        text: String,
    },
    /// `--var-file PATH`
    File(PathBuf),
}

/// The value of a variable and who gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The value, converted and marked.
    pub value: Value,
    /// Where it comes from: `"--var"`, `"terraform.tfvars:3"`, `"GANTRY_VAR_port"`, `"default"`.
    pub origin: String,
}

/// What was gathered.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// A value for every variable of the environment.
    pub values: BTreeMap<Arc<str>, Given>,
    /// What is worth saying though the command goes on: names in files that no variable has.
    pub warnings: Diagnostics,
    /// The configuration's files and those read here.
    pub sources: Arc<SourceMap>,
}

/// Gathers the values of all variables.
///
/// # Errors
/// A value that does not fit, a required one that is missing, a name on the command line that no variable has, a file that
/// cannot be read: all together.
pub fn gather(
    desired: &Desired,
    environment_dir: &Path,
    project_dir: &Path,
    command_line: &[VarArg],
) -> Result<Gathered, ConfigError> {
    gather_with(desired, environment_dir, project_dir, command_line, &|name| env::var(name))
}

/// [`gather`] for those who only look: a required variable that nobody gives a value is not known.
///
/// # Errors
/// As [`gather`], but for values that are missing.
pub fn gather_leaving_open(
    desired: &Desired,
    environment_dir: &Path,
    project_dir: &Path,
    command_line: &[VarArg],
) -> Result<Gathered, ConfigError> {
    gathered(desired, [environment_dir, project_dir], command_line, &|name| env::var(name), true)
}

/// [`gather`] for looking at a configuration, which is right or wrong whoever uses it: a required variable that nobody gives a
/// value, or one that does not fit, is not known, and everything that is wrong is given beside the values.
#[must_use]
pub fn gather_for_validation(
    desired: &Desired,
    environment_dir: &Path,
    project_dir: &Path,
    command_line: &[VarArg],
) -> (Gathered, Diagnostics) {
    let directories = [environment_dir, project_dir];
    gathering(desired, directories, command_line, &|name| env::var(name), true).finish()
}

/// [`gather`] with environment variables from anywhere.
///
/// # Errors
/// As [`gather`].
pub fn gather_with(
    desired: &Desired,
    environment_dir: &Path,
    project_dir: &Path,
    command_line: &[VarArg],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Gathered, ConfigError> {
    gathered(desired, [environment_dir, project_dir], command_line, environment, false)
}

fn gathered(
    desired: &Desired,
    directories: [&Path; 2],
    command_line: &[VarArg],
    environment: &dyn Fn(&str) -> Option<String>,
    leaves_open: bool,
) -> Result<Gathered, ConfigError> {
    let (gathered, errors) = gathering(desired, directories, command_line, environment, leaves_open).finish();
    if errors.has_errors() {
        let mut diagnostics = errors;
        diagnostics.extend(gathered.warnings);
        return Err(ConfigError { diagnostics, sources: gathered.sources });
    }
    Ok(gathered)
}

fn gathering<'a>(
    desired: &'a Desired,
    [environment_dir, project_dir]: [&Path; 2],
    command_line: &[VarArg],
    environment: &dyn Fn(&str) -> Option<String>,
    leaves_open: bool,
) -> Gathering<'a> {
    let mut gathering = Gathering {
        declared: &desired.root.variables,
        sources: (*desired.sources).clone(),
        found: BTreeMap::new(),
        errors: Diagnostics::default(),
        unread: false,
        warnings: Diagnostics::default(),
        leaves_open,
    };
    gathering.shared(project_dir);
    gathering.environment(environment);
    gathering.files(environment_dir);
    gathering.command_line(command_line);
    gathering
}

/// The value that a variable has when it is given this one, or none: the default where that applies, converted and marked.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn assign(variable: &Variable, given: Option<&Value>) -> Result<Value, String> {
    let given = given.filter(|value| variable.nullable || !value.is_null());
    let value = given.or(variable.default.as_ref()).ok_or("it is required, and it has no default")?;
    let value = convert(value, &variable.ty).map_err(|e| e.to_string())?;
    Ok(marked(value, variable))
}

/// A value with the marks of its variable.
fn marked(mut value: Value, variable: &Variable) -> Value {
    if variable.sensitive {
        value = value.sensitive();
    }
    if variable.ephemeral {
        value = value.mark(Marks::EPHEMERAL);
    }
    value
}

/// A value before its variable has seen it.
struct Raw {
    value: Value,
    origin: String,
    span: Option<Span>,
}

/// What becomes of a name that no variable has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undeclared {
    Ignored,
    Warned,
    Refused,
}

struct Gathering<'a> {
    declared: &'a BTreeMap<Arc<str>, Variable>,
    sources: SourceMap,
    found: BTreeMap<Arc<str>, Raw>,
    errors: Diagnostics,
    /// Whether something that may give values could not be read: what is missing then is not told.
    unread: bool,
    warnings: Diagnostics,
    /// Whether a required variable without a value is not known instead of missing.
    leaves_open: bool,
}

impl Gathering<'_> {
    fn put(&mut self, name: &str, raw: Raw, undeclared: Undeclared) {
        if self.declared.contains_key(name) {
            self.found.insert(name.into(), raw);
            return;
        }
        let hint = did_you_mean(name, self.declared.keys().map(|n| &**n))
            .unwrap_or_else(|| "It can be declared with a variable block.".into());
        let detail =
            format!("A value is given for \"{name}\" ({}), but the environment has no such variable.", raw.origin);
        let summary = "Value for undeclared variable";
        match undeclared {
            Undeclared::Ignored => {}
            Undeclared::Warned => self.warnings.push(Diagnostic::warning(summary, detail).at_opt(raw.span).hint(hint)),
            Undeclared::Refused => self.errors.push(Diagnostic::error(summary, detail).at_opt(raw.span).hint(hint)),
        }
    }

    /// `variables { … }` of the project file.
    fn shared(&mut self, project_dir: &Path) {
        match project::read_into(project_dir, &mut self.sources) {
            Ok(None) => {}
            Ok(Some((body, _))) => {
                for block in body.blocks.iter().filter(|b| &*b.ty == "variables") {
                    for (name, attribute) in &block.body.attributes {
                        self.constant(name, &attribute.term, attribute.name_span, Undeclared::Ignored);
                    }
                }
            }
            Err(errors) => {
                self.unread = true;
                self.errors.extend(errors);
            }
        }
    }

    fn environment(&mut self, environment: &dyn Fn(&str) -> Option<String>) {
        for (name, variable) in self.declared {
            let found = ["GANTRY_VAR_", "TF_VAR_"].into_iter().find_map(|prefix| {
                let key = format!("{prefix}{name}");
                environment(&key).map(|text| (key, text))
            });
            if let Some((key, text)) = found
                && let Some(value) = self.expression(variable, &text, &key)
            {
                self.put(name, Raw { value, origin: key, span: None }, Undeclared::Ignored);
            }
        }
    }

    fn files(&mut self, environment_dir: &Path) {
        let names: Vec<String> = fs::list(environment_dir)
            .unwrap_or_default()
            .into_iter()
            .filter(|(_, kind)| *kind != fs::Kind::Directory)
            .map(|(name, _)| name)
            .collect();
        let fixed = ["terraform.tfvars", "terraform.tfvars.json"].map(str::to_owned);
        let fixed = fixed.into_iter().filter(|name| names.contains(name));
        let automatic = names.iter().filter(|name| is_automatic(name)).cloned();
        for name in fixed.chain(automatic).collect::<Vec<_>>() {
            self.file(&environment_dir.join(&name), &name);
        }
    }

    fn command_line(&mut self, arguments: &[VarArg]) {
        for argument in arguments {
            match argument {
                VarArg::File(path) => self.file(path, &path.display().to_string()),
                VarArg::Value { name, text } => {
                    let declared = self.declared.get(name.as_str());
                    let value = match declared {
                        Some(variable) => self.expression(variable, text, "--var"),
                        None => Some(Value::null(Type::Any)),
                    };
                    if let Some(value) = value {
                        let raw = Raw { value, origin: "--var".into(), span: None };
                        self.put(name, raw, Undeclared::Refused);
                    }
                }
            }
        }
    }

    /// A text from outside as a value. As in Terraform, a variable of a simple type, or without a type, takes the text as it is;
    /// others, `type = any` among them, read it as an expression.
    fn expression(&mut self, variable: &Variable, text: &str, origin: &str) -> Option<Value> {
        let literal = match &variable.ty {
            Type::Any => variable.untyped,
            ty => ty.is_primitive(),
        };
        if literal {
            return Some(Value::string(normal(text)));
        }
        let file = self.sources.add(format!("<{origin}>"), text);
        let parsed =
            syntax::parse_expression(text, file).and_then(|term| constant(&term).map_err(|e| Diagnostics::from(*e)));
        let errors = match parsed {
            Ok(value) => return Some(value),
            Err(errors) => errors,
        };
        self.unread = true;
        for mut error in errors {
            if variable.sensitive {
                // The excerpt under the message would show the value.
                error = Diagnostic { span: Some(variable.span), ..error };
                error.detail = "The value is not a constant expression of the language.".into();
            }
            self.errors.push(error);
        }
        None
    }

    fn file(&mut self, path: &Path, shown: &str) {
        let Some((text, file)) = self.read(path, shown) else { return };
        if path.extension().is_some_and(|e| e == "json") {
            self.json(&text, file, shown);
            return;
        }
        match syntax::deep(|| syntax::parse(&text, file)) {
            Ok(body) => {
                for block in &body.blocks {
                    self.unread = true;
                    let detail = "A file of variable values has arguments only: NAME = VALUE.";
                    let error = Diagnostic::error("Unexpected block", detail).at(block.span);
                    self.errors.push(error.hint("Declare variables in a .hcl file of the environment."));
                }
                for (name, attribute) in &body.attributes {
                    self.constant(name, &attribute.term, attribute.name_span, Undeclared::Warned);
                }
            }
            Err(errors) => {
                self.unread = true;
                self.errors.extend(errors);
            }
        }
    }

    fn constant(&mut self, name: &str, term: &Term, span: Span, undeclared: Undeclared) {
        match constant(term) {
            Ok(value) => {
                let place = self.sources.place(span);
                let origin = place.map(|p| format!("{}:{}", p.name, p.line)).unwrap_or_default();
                self.put(name, Raw { value, origin, span: Some(span) }, undeclared);
            }
            Err(error) => {
                self.unread = true;
                self.errors.push(*error);
            }
        }
    }

    fn json(&mut self, text: &str, file: FileId, shown: &str) {
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(serde_json::Value::Object(all)) => {
                for (name, json) in &all {
                    let raw = Raw { value: from_json(json), origin: shown.to_owned(), span: None };
                    self.put(name, raw, Undeclared::Warned);
                }
            }
            Ok(_) => {
                self.unread = true;
                let detail = format!("\"{shown}\" has to be one JSON object with a key for each variable.");
                self.errors.push(Diagnostic::error("Invalid variables file", detail).at(Span::new(file, 0..1)));
            }
            Err(e) => {
                self.unread = true;
                let line_start: usize = text.split_inclusive('\n').take(e.line().saturating_sub(1)).map(str::len).sum();
                let at = line_start + e.column().saturating_sub(1);
                let detail = format!("\"{shown}\" is not JSON: {e}.");
                self.errors.push(Diagnostic::error("Invalid variables file", detail).at(Span::new(file, at..at + 1)));
            }
        }
    }

    fn read(&mut self, path: &Path, shown: &str) -> Option<(Arc<str>, FileId)> {
        let refused = match fs::read(path, FILE_MAX) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => {
                    let text: Arc<str> = text.strip_prefix('\u{feff}').unwrap_or(&text).into();
                    let file = self.sources.add(shown, Arc::clone(&text));
                    return Some((text, file));
                }
                Err(_) => "it is not UTF-8".to_owned(),
            },
            Err(e) if e.is_not_found() => "it does not exist".to_owned(),
            Err(e) => e.source.to_string(),
        };
        self.unread = true;
        let detail = format!("The file of variable values \"{shown}\" cannot be read: {refused}.");
        self.errors.push(Diagnostic::error("Unreadable variables file", detail));
        None
    }

    /// The values, and what is wrong.
    fn finish(mut self) -> (Gathered, Diagnostics) {
        let mut values = BTreeMap::new();
        for (name, variable) in self.declared {
            let raw = self.found.remove(name);
            let open = || {
                let value = marked(Value::opaque(variable.ty.clone()), variable);
                Given { value, origin: "nobody".into() }
            };
            if raw.is_none() && variable.default.is_none() && self.leaves_open {
                values.insert(name.clone(), open());
                continue;
            }
            if raw.is_none() && variable.default.is_none() && self.unread {
                continue;
            }
            match assign(variable, raw.as_ref().map(|raw| &raw.value)) {
                Ok(value) => {
                    let origin = raw.filter(|raw| variable.nullable || !raw.value.is_null()).map(|raw| raw.origin);
                    values.insert(name.clone(), Given { value, origin: origin.unwrap_or_else(|| "default".into()) });
                }
                Err(why) => {
                    self.errors.push(unfit(name, variable, raw, &why));
                    values.insert(name.clone(), open());
                }
            }
        }
        let sources = Arc::new(self.sources);
        (Gathered { values, warnings: self.warnings, sources }, self.errors)
    }
}

fn unfit(name: &str, variable: &Variable, raw: Option<Raw>, why: &str) -> Diagnostic {
    let Some(raw) = raw.filter(|raw| variable.nullable || !raw.value.is_null()) else {
        let detail = format!("The variable \"{name}\" has no default, and no value is given for it.");
        return Diagnostic::error("No value for required variable", detail).at(variable.span).hint(format!(
            "Give it with --var '{name}=VALUE', in a file *.auto.gantryvars.hcl or terraform.tfvars of the environment, or \
             as GANTRY_VAR_{name}."
        ));
    };
    let detail = format!("The value from {} does not fit the variable's type {}: {why}.", raw.origin, variable.ty);
    // The line of a secret is not shown; its variable's declaration is.
    let span = raw.span.filter(|_| !variable.sensitive).unwrap_or(variable.span);
    let shown =
        (!variable.sensitive && raw.value.ty().is_primitive()).then(|| format!("The value is {:?}.", raw.value));
    Diagnostic::error("Invalid value for input variable", detail).at(span).hint_opt(shown)
}

fn is_automatic(name: &str) -> bool {
    let hidden = name.starts_with('.');
    let ends = [".auto.gantryvars.hcl", ".auto.gantryvars.json", ".auto.tfvars", ".auto.tfvars.json"];
    !hidden && ends.iter().any(|end| name.ends_with(end))
}

fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::null(Type::Any),
        serde_json::Value::Bool(b) => Value::bool(*b),
        serde_json::Value::String(s) => Value::string(normal(s)),
        serde_json::Value::Number(n) => {
            n.to_string().parse::<Number>().map_or_else(|_| Value::null(Type::Number), Value::number)
        }
        serde_json::Value::Array(items) => Value::tuple(items.iter().map(from_json).collect::<Vec<_>>()),
        serde_json::Value::Object(all) => Value::object_of(all.iter().map(|(k, v)| (normal(k), from_json(v)))),
    }
}
