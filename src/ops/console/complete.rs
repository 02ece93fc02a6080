//! What a name that is being typed can go on with.

use std::collections::BTreeSet;

use crate::addr::is_identifier;
use crate::config::name_at_end;
use crate::eval::functions;
use crate::plan::Look;
use crate::value::{Type, Value};

/// What can stand in the place of what has been typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// The byte of the line from which on it is replaced.
    pub start: usize,
    /// By what.
    pub candidates: Vec<String>,
}

/// Functions that are in no table: the evaluator's own and the console's.
const OWN_FUNCTIONS: [&str; 3] = ["can", "try", "type"];

/// Completes the end of `typed`. `value` evaluates the part of a name that is complete.
pub(super) fn complete(typed: &str, look: &Look<'_>, value: &dyn Fn(&str) -> Option<Value>) -> Completion {
    if let Some(topic) = typed.strip_prefix("help ") {
        return matching(topic, typed.len(), help_topics());
    }
    let Some(name) = name_at_end(typed) else { return Completion { start: typed.len(), candidates: Vec::new() } };
    match name.rfind('.') {
        None => matching(name, typed.len(), first_words(look)),
        Some(dot) => {
            let base = &name[..dot];
            let next = next_words(base, look).filter(|all| !all.is_empty());
            matching(&name[dot + 1..], typed.len(), next.unwrap_or_else(|| parts(base, look, value)))
        }
    }
}

fn matching(begun: &str, end: usize, all: BTreeSet<String>) -> Completion {
    let candidates = all.into_iter().filter(|c| c.starts_with(begun)).collect();
    Completion { start: end - begun.len(), candidates }
}

fn help_topics() -> BTreeSet<String> {
    let groups = functions::all().map(|f| f.group);
    let topics = functions::names().chain(OWN_FUNCTIONS).chain(groups).chain(["functions"]);
    topics.map(str::to_owned).collect()
}

fn first_words(look: &Look<'_>) -> BTreeSet<String> {
    let names = look.names();
    let mut all: BTreeSet<String> = functions::names().chain(OWN_FUNCTIONS).map(|f| format!("{f}(")).collect();
    all.extend(["path.".to_owned(), "terraform.".to_owned()]);
    let roots = [("var.", &names.variables), ("local.", &names.locals), ("module.", &names.modules)];
    all.extend(roots.iter().filter(|(_, names)| !names.is_empty()).map(|(root, _)| (*root).to_owned()));
    all.extend(names.blocks.iter().filter_map(|b| Some(format!("{}.", b.split('.').next()?))));
    all
}

/// What follows a word that has no value of its own; `None` where `base` is something else.
fn next_words(base: &str, look: &Look<'_>) -> Option<BTreeSet<String>> {
    let names = look.names();
    let owned = |all: &[std::sync::Arc<str>]| all.iter().map(|n| (**n).to_owned()).collect();
    Some(match base {
        "var" => owned(&names.variables),
        "local" => owned(&names.locals),
        "module" => owned(&names.modules),
        "path" => ["cwd", "module", "project", "root"].map(str::to_owned).into(),
        "terraform" => ["workspace".to_owned()].into(),
        _ => match base.strip_prefix("module.") {
            Some(module) if look.is_single(module) => owned(&look.outputs(module)),
            _ => {
                let below = format!("{base}.");
                names
                    .blocks
                    .iter()
                    .filter_map(|b| Some(b.strip_prefix(&below)?.split('.').next()?.to_owned()))
                    .collect()
            }
        },
    })
}

/// The attributes of what stands in front of the last dot.
fn parts(base: &str, look: &Look<'_>, value: &dyn Fn(&str) -> Option<Value>) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    // What a secret is made of is nobody's business.
    if let Some(value) = value(base).filter(|v| !v.marks.is_sensitive()) {
        all.extend(value.as_map().into_iter().flatten().map(|(name, _)| (**name).to_owned()));
        if let (true, Type::Object(attributes)) = (value.is_unknown(), value.ty()) {
            all.extend(attributes.keys().map(|name| (**name).to_owned()));
        }
    }
    if all.is_empty() {
        all.extend(of_type(base, look));
    }
    all.retain(|name| is_identifier(name));
    all
}

/// The attributes that a resource has by its type, or a module's instance by its outputs, applied or not.
fn of_type(base: &str, look: &Look<'_>) -> Vec<String> {
    let block = base.split('[').next().unwrap_or(base);
    if let Some(module) = block.strip_prefix("module.").filter(|m| !m.contains('.')) {
        return look.outputs(module).iter().map(|o| (**o).to_owned()).collect();
    }
    let words: Vec<&str> = block.split('.').collect();
    let attributes = match words.as_slice() {
        ["data", ty, _] => look.attributes(true, ty),
        [ty, _] => look.attributes(false, ty),
        _ => Vec::new(),
    };
    attributes.into_iter().map(str::to_owned).collect()
}
