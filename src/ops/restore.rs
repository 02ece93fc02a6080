//! What a plan was made from, saved and brought back with its secrets.
//!
//! A secret that was sealed is opened by whoever has an identity. Of any other only the keyed digest was kept, and its source is
//! asked again: `--var`, a file, the environment, the target that had answered it. The digest tells whether it is still the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::error::{Failure, FailureKind, Result};
use super::planning::Draft;
use super::secrets::Secrets;
use super::workspace::Workspace;
use crate::config::{Bundle, Reader};
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::exec::Scrub;
use crate::ledger::{Backend, State};
use crate::plan::{Fact, Facts, OnFailure, Plan, SavedInputs, file};
use crate::ports::env;
use crate::value::{Keep, Marks, Sealed, Value, decode, encode, encode_kept, open_sealed};

/// The values that people give now.
pub struct Fresh<'a> {
    /// Variables by name.
    pub variables: &'a BTreeMap<Arc<str>, Value>,
}

/// What is to be done about a secret that is not the one of then, where the one of then is not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// It is refused: what was planned is to be carried out, and nothing else.
    Refused,
    /// Today's is taken, and that is said.
    Taken,
    /// The same, but it is only looked what a way back would have to do.
    TakenByAWayBack,
}

/// A draft that was brought back.
#[derive(Debug)]
pub struct Restored {
    /// The draft.
    pub draft: Draft,
    /// What its secrets are kept and opened with: with the identities that it names as well.
    pub secrets: Secrets,
    /// What is not as it was then.
    pub warnings: Diagnostics,
    /// Answers of targets whose secrets are not at hand.
    pub unopened: BTreeMap<String, Fact>,
}

impl Draft {
    /// As it is saved. What the configuration reads with `file()` becomes part of it; where that holds something that the plan keeps
    /// secret, the file is kept as a secret as well.
    #[must_use]
    pub fn save(&self, environment: &str, secrets: &Secrets, plan: &Plan) -> SavedInputs {
        let seal = |bytes: &[u8]| secrets.key.hmac(bytes);
        let keep = secrets.keep(&seal);
        let mut bundle = self.bundle.clone();
        let scrub = self.secrets();
        scrub.learn_plan(plan);
        let configuration = self.bundle.configuration();
        let secret = |path: &String, bytes: &[u8]| !configuration.contains(path) && scrub.stands_in(bytes);
        let mut secret_files = BTreeMap::new();
        bundle.files.retain(|path, bytes| {
            let secret = secret(path, bytes);
            if secret {
                secret_files.insert(path.clone(), keep.bytes(bytes).to_json());
            }
            !secret
        });
        SavedInputs {
            format: file::FORMAT,
            engine: file::ENGINE.to_owned(),
            environment: environment.to_owned(),
            bundle: serde_json::to_value(&bundle).expect("invariant: a bundle is plain data"),
            secret_files,
            variables: self.variables.iter().map(|(n, v)| (n.to_string(), kept(v, keep, &seal))).collect(),
            facts: self.facts.encode(keep.at_hand()),
            sealed: keep.seals(),
            options: self.options.clone(),
            seed: self.seed,
        }
    }

    /// What of it must not show in what comes back from outside.
    #[must_use]
    pub fn secrets(&self) -> Scrub {
        let scrub = Scrub::default();
        self.variables.values().for_each(|value| scrub.learn(value));
        for (key, fact) in &self.facts.0 {
            match fact {
                Fact::Text(Some(text)) if key.starts_with("env ") => scrub.learn_text(text),
                _ => fact.answered().into_iter().for_each(|value| scrub.learn(value)),
            }
        }
        scrub
    }

    /// Back from what was saved. Secrets are opened, or come from `fresh`, the values that people give now.
    ///
    /// # Errors
    /// When it is not what this Gantry saves, or a secret is missing or, where that is refused, different.
    pub fn restore(
        saved: &SavedInputs,
        fresh: &Fresh<'_>,
        secrets: &Secrets,
        workspace: &Workspace,
        other: Other,
    ) -> Result<Restored> {
        let bad = |why: String| {
            Failure::error("Unreadable saved plan", format!("The saved inputs of a plan cannot be read: {why}."))
        };
        let mut bundle: Bundle = serde_json::from_value(saved.bundle.clone()).map_err(|e| bad(e.to_string()))?;
        let desired = crate::config::load(&bundle)?;
        let mut variables = BTreeMap::new();
        for (name, json) in &saved.variables {
            let Some(declared) = desired.root.variables.get(name.as_str()) else { continue };
            let value = decode(json, &declared.ty).map_err(|e| bad(e.to_string()))?;
            let value = if declared.sensitive { value.sensitive() } else { value };
            variables.insert(Arc::from(name.as_str()), value);
        }
        let secrets = secrets.with_identities_of(&desired, &variables, &bundle.project, workspace)?;
        let mut supply = Supply { secrets: &secrets, fresh, other, wrong: Diagnostics::default() };
        for (name, value) in &mut variables {
            if let Some(json) = saved.variables.get(&**name) {
                supply.variable(name, json, value);
            }
        }
        for (path, json) in &saved.secret_files {
            let sealed = Sealed::from_json(json).ok_or_else(|| bad(format!("what is kept of the file {path}")))?;
            supply.file(&mut bundle, path, &sealed, workspace);
        }
        let mut facts = Facts::decode(&saved.facts).map_err(bad)?;
        let unopened = supply.facts(&mut facts, saved.sealed);
        let wrong = supply.wrong;
        if wrong.has_errors() {
            return Err(Failure { kind: FailureKind::Refused, diagnostics: wrong, sources: desired.sources });
        }
        let draft = Self {
            bundle,
            desired: Arc::new(desired),
            variables,
            options: saved.options.clone(),
            facts,
            seed: saved.seed,
            released: None,
        };
        Ok(Restored { draft, secrets, warnings: wrong, unopened })
    }
}

impl Restored {
    /// With none of the answers that the outside gave then but the environment variables: a plan for today asks anew.
    #[must_use]
    pub fn for_today(mut self) -> Self {
        self.draft.facts.0.retain(|key, _| key.starts_with("env "));
        self
    }

    /// Without the answers whose secrets are not at hand, so that they are asked for again.
    #[must_use]
    pub fn asking_again(mut self) -> Self {
        self.draft.facts.0.retain(|key, _| !self.unopened.contains_key(key));
        self
    }
}

/// A variable's value as it is kept: of one that is ephemeral only the digest, to know it again.
fn kept(value: &Value, keep: Keep<'_>, seal: &dyn Fn(&[u8]) -> String) -> Json {
    if value.marks_deep().has(Marks::EPHEMERAL) {
        encode(&value.unmark_deep().0.sensitive(), seal)
    } else {
        encode_kept(value, keep)
    }
}

/// What is wrong when planning again gives other steps than before while secrets are not at hand that targets had answered.
pub(super) fn not_told_again(answers: &BTreeMap<String, Fact>, secrets: &Secrets) -> Failure {
    let names: Vec<&str> = answers.keys().filter_map(|key| key.split(' ').nth(1)).collect();
    let detail = format!(
        "The plan was made with sensitive answers about {}, of which only digests were kept, and their targets do not give the same \
         answers now.",
        names.join(", ")
    );
    Failure::refused("Secret differs", detail).hint("Plan again to use what there is now.").hint(secrets.advice())
}

const SEALED: &str = "With encryption { recipients } in the environment block secrets are sealed, and come back.";

/// What is to be said, before a run begins, about the secrets that its way back needs.
///
/// # Errors
/// When what the base was made from cannot be read.
pub(super) async fn for_a_way_back(
    backend: &dyn Backend,
    state: &State,
    made: (&Plan, &Draft),
    secrets: &Secrets,
    workspace: &Workspace,
) -> Result<Diagnostics> {
    let (plan, draft) = made;
    let secret = draft.variables.values().any(|v| !v.marks_deep().is_empty());
    let secret = secret || draft.facts.0.keys().any(|key| key.starts_with("env "));
    let goes_back = plan.on_failure == OnFailure::Rollback && plan.has_changes();
    let Some(base) = plan.base.and_then(|number| state.find_generation(number)).filter(|_| secret && goes_back) else {
        return Ok(Diagnostics::default());
    };
    let json = super::records::blob_json(backend, &base.inputs).await?;
    // What cannot be read is told by the way back itself; here only secrets are looked at.
    let Ok(saved) = serde_json::from_value::<SavedInputs>(json) else { return Ok(Diagnostics::default()) };
    let fresh = Fresh { variables: &draft.variables };
    Ok(match Draft::restore(&saved, &fresh, secrets, workspace, Other::TakenByAWayBack) {
        Ok(restored) => restored.warnings,
        Err(failure) if failure.kind == FailureKind::Refused => {
            let missing = failure.diagnostics.into_iter().map(|d| {
                let summary = format!("{} for the way back", d.summary);
                let detail = format!("{} If this run fails, it cannot be taken back without.", d.detail);
                Diagnostic { severity: Severity::Warning, summary, detail, ..d }
            });
            missing.collect()
        }
        Err(_) => Diagnostics::default(),
    })
}

/// Supplies what was not kept.
struct Supply<'a> {
    secrets: &'a Secrets,
    fresh: &'a Fresh<'a>,
    other: Other,
    wrong: Diagnostics,
}

impl Supply<'_> {
    fn missing(&mut self, detail: String, hint: String, sealed: bool) {
        let missing = Diagnostic::error("Secret missing", detail).hint(hint);
        self.wrong.push(missing.hint_opt(sealed.then(|| self.secrets.advice())));
    }

    /// Says what a secret that differs means, and whether today's is taken.
    fn differs(&mut self, what: &str) -> bool {
        let refused = self.other == Other::Refused;
        if refused {
            let detail = format!("{what} is not what it was when the plan was made, of which only a digest was kept.");
            self.wrong.push(Diagnostic::error("Secret differs", detail).hint("Plan again to use the new value."));
        } else if self.other == Other::TakenByAWayBack {
            let detail = format!(
                "{what} is not what it was in the generation that a failed run goes back to, of which only a digest was kept. If this run \
                 fails, the way back takes today's value."
            );
            self.wrong.push(Diagnostic::warning("The way back takes today's secret", detail).hint(SEALED));
        } else {
            let detail = format!(
                "{what} is not what it was in the generation that is gone back to, of which only a digest was kept. The plan goes on with \
                 today's value."
            );
            self.wrong.push(Diagnostic::warning("Today's value of a secret", detail).hint(SEALED));
        }
        !refused
    }

    fn variable(&mut self, name: &str, json: &Json, value: &mut Value) {
        let seal = |bytes: &[u8]| self.secrets.key.hmac(bytes);
        *value = open_sealed(value, &seal, &*self.secrets.opener());
        if value.is_wholly_known() {
            return;
        }
        let mut closed = Vec::new();
        value.sealed_parts(&mut closed);
        let sealed = !closed.is_empty() && closed.iter().all(|s| s.text.is_some());
        let Some(now) = self.fresh.variables.get(name).filter(|v| !v.is_null() && v.is_wholly_known()) else {
            let detail = match sealed {
                true => format!(
                    "The variable \"{name}\" is sensitive. Its value is sealed, and no identity that is at hand opens it."
                ),
                false => format!(
                    "The variable \"{name}\" is sensitive or ephemeral, so only its digest was kept. It has to be given again."
                ),
            };
            self.missing(detail, format!("Give it: --var {name}=…, or GANTRY_VAR_{name} in the environment."), sealed);
            return;
        };
        let same = kept(now, Keep::digests(&seal), &seal) == crate::value::without_seals(json);
        // One that is ephemeral is another each time, by its nature.
        let of_its_nature = self.other != Other::Refused && now.marks_deep().has(Marks::EPHEMERAL);
        let what = format!("The variable \"{name}\" is sensitive or ephemeral, and the value given now");
        if same || of_its_nature || self.differs(&what) {
            *value = now.clone();
        }
    }

    /// Opens what the outside answered. Environment variables are read again; what is left of others is given back.
    fn facts(&mut self, facts: &mut Facts, sealed: bool) -> BTreeMap<String, Fact> {
        let seal = |bytes: &[u8]| self.secrets.key.hmac(bytes);
        let opener = self.secrets.opener();
        let mut unopened = BTreeMap::new();
        for (key, fact) in &mut facts.0 {
            *fact = std::mem::replace(fact, Fact::Text(None)).opened(&seal, &*opener);
            if let (Some(variable), Fact::Sealed(sealed)) = (key.strip_prefix("env "), &*fact) {
                let sealed = sealed.clone();
                if let Some(text) = self.environment(variable, &sealed) {
                    *fact = Fact::Text(Some(text));
                }
            }
            let mut closed = Vec::new();
            if let Some(value) = fact.answered() {
                value.sealed_parts(&mut closed);
            }
            // Among seals, what stands as a digest alone was not at hand when the plan was made either.
            if closed.iter().any(|secret| !sealed || secret.text.is_some()) {
                unopened.insert(key.clone(), fact.clone());
            }
        }
        unopened
    }

    fn file(&mut self, bundle: &mut Bundle, path: &str, sealed: &Sealed, workspace: &Workspace) {
        let seal = |bytes: &[u8]| self.secrets.key.hmac(bytes);
        if let Some(bytes) = sealed.open(&seal, &*self.secrets.opener()) {
            bundle.files.insert(path.to_owned(), bytes.into());
            return;
        }
        Reader::new(&workspace.environment).add_file(bundle, path);
        let Some(now) = bundle.files.get(path) else {
            bundle.missing.remove(path);
            let detail = format!(
                "The file {path} was read into the configuration and holds a secret, so only its digest was kept, and it is not there \
                 now."
            );
            let hint = format!("Put {path} back as it was.");
            return self.missing(detail, hint, sealed.text.is_some());
        };
        if seal(now) != *sealed.digest && !self.differs(&format!("The file {path} holds a secret, and it")) {
            bundle.files.remove(path);
        }
    }

    fn environment(&mut self, variable: &str, sealed: &Sealed) -> Option<String> {
        let Some(text) = env::var(variable) else {
            let detail = format!("The plan was made with the environment variable {variable}, which is not set now.");
            self.missing(detail, format!("Set {variable} to the value that it had."), sealed.text.is_some());
            return None;
        };
        let same = self.secrets.key.hmac(text.as_bytes()) == *sealed.digest;
        (same || self.differs(&format!("The environment variable {variable}"))).then_some(text)
    }
}
