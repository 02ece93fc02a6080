//! The loop around pure planning: questions are answered through ports and providers until a plan stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{Failure, FailureKind, Result, sentence};
use super::rehearse::rehearse;
use super::secrets::Secrets;
use super::targets::Targets;
use super::workspace::Workspace;
use crate::config::{Bundle, Desired, Gathered, Reader};
use crate::diag::{Diagnostic, Diagnostics, Severity};
use crate::ledger::{Key, State};
use crate::migrate;
use crate::plan::change::{Detail, PlannedMigration, Previewed};
use crate::plan::plan;
use crate::plan::{Fact, Facts, Files, Inputs, JournalEntry, Options, Plan, Planned, Question};
use crate::ports::{env, fs};
use crate::provider::catalog::Catalog;
use crate::value::Value;

/// How often planning may come back with questions. Each round answers all that it asked; a configuration whose files name
/// files that name files needs one round for each.
pub(super) const ROUNDS_MAX: usize = 100;

/// The largest file that an artifact may be.
const ARTIFACT_MAX: u64 = 4 << 30;

/// A configuration with everything that planning has been told so far.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The files.
    pub bundle: Bundle,
    /// What they ask for.
    pub desired: Arc<Desired>,
    /// The root module's variables.
    pub variables: BTreeMap<Arc<str>, Value>,
    /// What else is asked for.
    pub options: Options,
    /// The facts.
    pub facts: Facts,
    /// The seed.
    pub seed: u64,
    /// What the release holds that is promoted: all but the environment's own directory comes from there.
    pub released: Option<Arc<Bundle>>,
}

impl Draft {
    fn reader(&self, workspace: &Workspace) -> Reader {
        match &self.released {
            Some(released) => Reader::of_release(&workspace.environment, Arc::clone(released)),
            None => Reader::new(&workspace.environment),
        }
    }
}

/// A bundle's files as planning sees them.
pub(super) struct BundleFiles<'a>(pub(super) &'a Bundle);

impl Files for BundleFiles<'_> {
    fn file(&self, path: &str) -> Option<std::result::Result<Arc<[u8]>, String>> {
        self.0.file(path).map(|r| r.cloned().map_err(str::to_owned))
    }

    fn kind(&self, path: &str) -> Option<&'static str> {
        self.0.kind(path).map(crate::config::source::Kind::as_str)
    }

    fn tree(&self, path: &str) -> Option<std::result::Result<Arc<[String]>, String>> {
        self.0.tree(path).map(|r| r.cloned().map_err(str::to_owned))
    }

    fn digest(&self) -> String {
        self.0.digest()
    }
}

/// Who answers questions while planning.
#[derive(Clone, Copy)]
pub struct Planning<'a> {
    /// Where the environment stands.
    pub workspace: &'a Workspace,
    /// The types.
    pub catalog: &'a Catalog,
    /// The targets; `None` where nobody may be asked: every answer has to be there.
    pub targets: Option<&'a Targets>,
    /// What secrets are kept and opened with.
    pub secrets: &'a Secrets,
    /// Answers that were given under another key, where nobody may be asked again.
    pub earlier: Option<(&'a Facts, &'a Key)>,
    /// Whether sealed records stay closed.
    pub closed: bool,
    /// Answers that were given and whose secrets are not at hand, with who is asked again for them.
    pub again: Option<Again<'a>>,
}

/// Who is asked once more, only for secrets that he answered before.
#[derive(Clone, Copy)]
pub struct Again<'a> {
    /// Where they came from.
    pub targets: &'a Targets,
    /// What was answered, by question.
    pub answers: &'a BTreeMap<String, Fact>,
}

impl<'a> Planning<'a> {
    /// Nothing was answered before, and what is sealed is opened.
    #[must_use]
    pub fn new(
        workspace: &'a Workspace,
        catalog: &'a Catalog,
        targets: Option<&'a Targets>,
        secrets: &'a Secrets,
    ) -> Self {
        Self { workspace, catalog, targets, secrets, earlier: None, closed: false, again: None }
    }

    /// Plans.
    ///
    /// # Errors
    /// When the configuration cannot be planned, or needs more rounds than the limit.
    pub async fn plan(&self, draft: &mut Draft, recorded: &State) -> Result<Plan> {
        self.configure(draft, recorded).await?;
        for _ in 0..ROUNDS_MAX {
            match self.round(draft, recorded)? {
                Planned::Ready(plan) => {
                    if draft.options.require_preview {
                        all_previewed(&plan)?;
                    }
                    let mut wrong = unsound_checks(&plan);
                    wrong.extend(crate::review::review(&plan, &draft.desired, recorded));
                    if wrong.has_errors() {
                        return Err(Failure::from_diagnostics(wrong, draft.desired.sources.clone()));
                    }
                    self.rehearsed(draft, &plan).await?;
                    return Ok(*plan);
                }
                Planned::Need(questions) => self.answer(draft, questions).await?,
            }
        }
        let detail = format!("Planning still had questions after {ROUNDS_MAX} rounds.");
        Err(Failure::error("Planning limit reached", detail))
    }

    /// A way back is not refused for what it would need; it is tried.
    async fn rehearsed(&self, draft: &Draft, plan: &Plan) -> Result<()> {
        let options = &draft.options;
        let asks = options.refresh && options.limit.is_none() && !options.going_back && self.earlier.is_none();
        match self.targets.filter(|targets| asks && !targets.is_unasked()) {
            Some(targets) => rehearse(plan, draft, targets).await,
            None => Ok(()),
        }
    }

    /// Plans once more what was planned before: to the same effect, if that can be had. Sealed records may not have been open then.
    ///
    /// # Errors
    /// As [`Planning::plan`].
    pub async fn plan_as_was(&self, draft: &mut Draft, recorded: &State, effect: &str) -> Result<Plan> {
        let open = self.plan(draft, recorded).await;
        if self.secrets.opener().is_idle() || open.as_ref().is_ok_and(|plan| plan.effect == effect) {
            return open;
        }
        let closed = Planning { closed: true, ..*self }.plan(draft, recorded).await;
        if closed.as_ref().is_ok_and(|plan| plan.effect == effect) { closed } else { open }
    }

    fn round(&self, draft: &Draft, recorded: &State) -> Result<Planned> {
        let planned = self.with_inputs(draft, recorded, plan);
        planned.map_err(|diagnostics| {
            // Nothing is wrong with the configuration: a gate is closed.
            let gates = [crate::plan::NOT_PROMOTED, crate::plan::SCHEMA_GATE, crate::plan::NO_WAY_DOWN];
            let closed = diagnostics.iter().all(|d| gates.contains(&&*d.summary) || d.severity != Severity::Error);
            let kind = if closed { FailureKind::Refused } else { FailureKind::Error };
            Failure { kind, ..Failure::from_diagnostics(diagnostics, draft.desired.sources.clone()) }
        })
    }

    /// Hands over what planning, or looking, is a function of.
    pub(super) fn with_inputs<T>(&self, draft: &Draft, recorded: &State, work: impl FnOnce(Inputs<'_>) -> T) -> T {
        let seal = |bytes: &[u8]| self.secrets.key.hmac(bytes);
        let opener = if self.closed { Arc::default() } else { self.secrets.opener() };
        let directory = self.workspace.environment.to_string_lossy();
        let blobs = self.workspace.blobs(&draft.bundle.project);
        work(Inputs {
            environment: &self.workspace.name,
            desired: &draft.desired,
            project: &draft.bundle.project,
            directory: &directory,
            files: &BundleFiles(&draft.bundle),
            variables: &draft.variables,
            recorded,
            facts: &draft.facts,
            options: &draft.options,
            catalog: self.catalog,
            seal: &seal,
            opener: &*opener,
            migrations: parse_migrations,
            blobs: &blobs,
            seed: draft.seed,
        })
    }

    /// Answers questions.
    pub(super) async fn answer(&self, draft: &mut Draft, questions: Vec<Question>) -> Result<()> {
        let reader = draft.reader(self.workspace);
        let seal = |bytes: &[u8]| self.secrets.key.hmac(bytes);
        let questions = self.ask_again(draft, questions).await?;
        if questions.is_empty() {
            return Ok(());
        }
        if let Some((facts, key)) = self.earlier {
            let old = |bytes: &[u8]| key.hmac(bytes);
            let found: Option<Vec<(String, Fact)>> =
                questions.iter().map(|q| Some((q.key(&seal), facts.0.get(&q.key(&old))?.clone()))).collect();
            if let Some(found) = found {
                draft.facts.0.extend(found);
                return Ok(());
            }
        }
        let Some(targets) = self.targets else {
            return Err(unanswered(&questions.iter().map(|q| q.key(&seal)).collect::<Vec<_>>()));
        };
        let (mut observed, mut previewed) = (Vec::new(), Vec::new());
        let scrub = draft.secrets();
        for question in questions {
            let key = question.key(&seal);
            let fact = match question {
                Question::File(path) => {
                    reader.add_file(&mut draft.bundle, &path);
                    continue;
                }
                Question::Kind(path) => {
                    reader.add_kind(&mut draft.bundle, &path);
                    continue;
                }
                Question::Tree(path) => {
                    reader.add_tree(&mut draft.bundle, &path);
                    continue;
                }
                Question::Observe(request) => {
                    observed.push((key, *request));
                    continue;
                }
                Question::Preview(request) => {
                    previewed.push((key, *request));
                    continue;
                }
                Question::Journal { url, .. } if targets.is_unasked() => Fact::Journal(self.judged(&url)),
                Question::FileDigest { .. } | Question::Image { .. } if targets.is_unasked() => {
                    Fact::Digest(Ok((format!("sha256:{}", "0".repeat(64)), None)))
                }
                Question::Variable(name) if targets.is_unasked() => {
                    Fact::Text(Some(env::var(&name).unwrap_or_default()))
                }
                Question::Variable(name) => Fact::Text(env::var(&name)),
                Question::PlanTime => Fact::Text(Some(crate::ledger::format::time_text(targets.now()))),
                Question::Read(_) if targets.is_unasked() => Fact::Read(Ok(Value::opaque(crate::value::Type::Any))),
                Question::Read(request) => Fact::Read(targets.read(&request).await),
                Question::Import(request) => Fact::Imported(targets.import(&request).await),
                Question::FileDigest { path, .. } => Fact::Digest(file_digest(&reader.resolve(&path), &path)),
                Question::Image { reference, .. } => Fact::Digest(targets.image(&reference).await.map(|d| (d, None))),
                Question::Journal { url, .. } => Fact::Journal(self.journal(targets, &url).await),
            };
            draft.facts.0.insert(key, fact.said(&|words| scrub.hide(words)));
        }
        for (key, preview) in targets.preview(previewed).await {
            draft.facts.0.insert(key, Fact::Previewed(preview).said(&|words| scrub.hide(words)));
        }
        for (key, observation) in targets.observe(observed).await {
            draft.facts.0.insert(key, Fact::Observed(observation).said(&|words| scrub.hide(words)));
        }
        Ok(())
    }

    /// Asks again for answers whose secrets are not at hand. The questions that are left are somebody else's.
    async fn ask_again(&self, draft: &mut Draft, questions: Vec<Question>) -> Result<Vec<Question>> {
        let Some(again) = self.again else { return Ok(questions) };
        let seal = |bytes: &[u8]| self.secrets.key.hmac(bytes);
        let mut left = Vec::new();
        for question in questions {
            let key = question.key(&seal);
            let Some(before) = again.answers.get(&key) else {
                left.push(question);
                continue;
            };
            let now = match question {
                Question::Read(request) => Fact::Read(again.targets.read(&request).await),
                Question::Import(request) => Fact::Imported(again.targets.import(&request).await),
                Question::Observe(request) => {
                    let mut seen = again.targets.observe(vec![(key.clone(), *request)]).await;
                    seen.pop().map_or_else(|| before.clone(), |(_, observation)| Fact::Observed(observation))
                }
                _ => before.clone(),
            };
            let told = before.clone().told_again(&now, &seal);
            draft.facts.0.insert(key, told);
        }
        Ok(left)
    }

    /// What can be told about a database without asking it: whether its URL is one. (An empty one stands for an environment
    /// variable that need not be set to validate.)
    fn judged(&self, url: &Value) -> std::result::Result<Vec<JournalEntry>, String> {
        match url.as_str() {
            Some(text) if !text.is_empty() => match migrate::Database::parse(text, &self.workspace.environment) {
                Ok(_) => Ok(Vec::new()),
                Err(e) => Err(sentence(&format!("{e}. {}", e.hint))),
            },
            _ => Ok(Vec::new()),
        }
    }

    async fn journal(&self, targets: &Targets, url: &Value) -> std::result::Result<Vec<JournalEntry>, String> {
        let told = |e: &migrate::DatabaseError| sentence(&format!("{e}. {}", e.hint));
        let text = url.as_str().ok_or("The database's URL is a secret of which only the digest is recorded.")?;
        let database = migrate::Database::parse(text, &self.workspace.environment).map_err(|e| told(&e))?;
        let journal = targets.outside.journal(&database).await.map_err(|e| told(&e))?;
        Ok(journal.applied.into_iter().map(journal_entry).collect())
    }
}

/// Nobody may be asked, and something is not answered.
fn unanswered(missing: &[String]) -> Failure {
    let detail =
        format!("Planning again asks for something that the plan file does not answer: {}.", missing.join("; "));
    Failure::refused("Plan does not hold all that it needs", detail)
}

/// Refuses a plan of which a target could not be asked.
fn all_previewed(plan: &Plan) -> Result<()> {
    let not = plan.changes.iter().filter_map(|change| match change.resource()?.preview.as_ref()? {
        Previewed::Not(why) => Some(format!("{}: {why}", change.address)),
        Previewed::Yes(_) => None,
    });
    let all: Vec<String> = not.collect();
    if all.is_empty() {
        return Ok(());
    }
    let detail =
        format!("--require-preview wants the target's word on every change, and there is none on:\n{}", all.join("\n"));
    let diagnostic = Diagnostic::error("Changes not previewed", detail);
    Err(Failure::new(
        FailureKind::Incomplete,
        diagnostic.hint("Leave --require-preview out to plan by the configuration alone."),
    ))
}

/// What can be told to be wrong with the checks' probes before they ask anything.
fn unsound_checks(plan: &Plan) -> Diagnostics {
    let checks = plan.changes.iter().filter(|c| matches!(c.detail, Detail::Check(_)));
    let wrong = checks.filter_map(|change| {
        let why = crate::exec::unsound(change.after.as_ref()?, change.address.kind)?;
        Some(Diagnostic::error("Invalid check", sentence(&why)).at_opt(change.span).on(&change.address))
    });
    wrong.collect()
}

fn journal_entry(applied: migrate::Applied) -> JournalEntry {
    JournalEntry {
        version: applied.version,
        name: applied.name,
        checksum: applied.checksum,
        up: applied.up,
        down: applied.down,
        partial: applied.state != migrate::State::Applied,
    }
}

/// The digest and size of a file, read piece by piece.
fn file_digest(path: &std::path::Path, shown: &str) -> std::result::Result<(String, Option<u64>), String> {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    let size = fs::read_pieces(path, false, ARTIFACT_MAX, &mut |piece| {
        hash.update(piece);
        Ok(())
    })
    .map_err(|e| match e.is_not_found() {
        true => format!(
            "There is no file {shown}. If a step of this run makes it, name that step: depends_on = [local_command.NAME]."
        ),
        false => format!("The file {shown} cannot be read: {}.", e.source),
    })?;
    let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok((format!("sha256:{hex}"), Some(size)))
}

/// The pure reading of migration files, with the sentences on what each does to others.
fn parse_migrations(
    files: &[(String, Arc<[u8]>)],
    url: &str,
) -> std::result::Result<Vec<PlannedMigration>, Vec<(String, String)>> {
    let files: Vec<(String, Vec<u8>)> = files.iter().map(|(n, b)| (n.clone(), b.to_vec())).collect();
    let migrations = migrate::parse(&files)
        .map_err(|all| all.into_iter().map(|e| (e.file.clone(), e.message)).collect::<Vec<_>>())?;
    let dialect = migrate::Database::parse(url, std::path::Path::new(".")).map(|d| d.dialect()).ok();
    let mut problems = Vec::new();
    let mut planned = Vec::new();
    for migration in migrations {
        let mut effects = Vec::new();
        if let Some(dialect) = dialect {
            for e in migrate::check(&migration, dialect) {
                problems.push((e.file, format!("line {}: {}. {}", e.line, e.message, e.hint)));
            }
            effects.extend(
                migrate::effects(&migration, dialect).into_iter().map(|e| format!("line {}: {}", e.line, e.sentence)),
            );
        }
        planned.push(PlannedMigration {
            version: migration.version,
            name: migration.name,
            checksum: migration.checksum,
            up: migration.up,
            down: migration.down,
            file: migration.up_file,
            down_file: migration.down_file,
            effects,
        });
    }
    if problems.is_empty() { Ok(planned) } else { Err(problems) }
}

/// Opens the configuration of an environment as people see it now.
///
/// # Errors
/// When it cannot be loaded, or a variable has no value that fits.
pub fn open(
    workspace: &Workspace,
    variables: &[crate::config::VarArg],
    options: Options,
) -> Result<(Draft, Diagnostics)> {
    draft(workspace, options, |desired| {
        crate::config::gather(desired, &workspace.environment, &workspace.project, variables)
    })
}

/// [`open`] with nothing from the working tree but the environment's own directory: all else is what a release holds, as seen from
/// there.
///
/// # Errors
/// When it cannot be loaded, or a variable has no value that fits.
pub(super) fn open_released(
    workspace: &Workspace,
    variables: &[crate::config::VarArg],
    options: Options,
    released: Arc<Bundle>,
) -> Result<(Draft, Diagnostics)> {
    let reader = Reader::of_release(&workspace.environment, Arc::clone(&released));
    let (bundle, desired) = crate::config::open_with(&reader)?;
    let gathered = crate::config::gather(&desired, &workspace.environment, &workspace.project, variables)?;
    let (draft, warnings) = drafted(bundle, desired, gathered, options);
    Ok((Draft { released: Some(released), ..draft }, warnings))
}

/// [`open`] for those who only look: variables that nobody gives a value are not known.
///
/// # Errors
/// When it cannot be loaded, or a value does not fit.
pub(super) fn open_to_look(workspace: &Workspace, variables: &[crate::config::VarArg]) -> Result<(Draft, Diagnostics)> {
    draft(workspace, Options::default(), |desired| {
        crate::config::gather_leaving_open(desired, &workspace.environment, &workspace.project, variables)
    })
}

fn draft(
    workspace: &Workspace,
    options: Options,
    gather: impl FnOnce(&Desired) -> std::result::Result<Gathered, crate::config::ConfigError>,
) -> Result<(Draft, Diagnostics)> {
    let (bundle, desired) = crate::config::open(&workspace.environment)?;
    let gathered = gather(&desired)?;
    Ok(drafted(bundle, desired, gathered, options))
}

/// Opens as much of the configuration as can be, for validating it: with everything that is wrong so far.
///
/// # Errors
/// When nothing of it can be looked at.
pub(super) fn open_for_validation(
    workspace: &Workspace,
    variables: &[crate::config::VarArg],
) -> Result<(Draft, Diagnostics)> {
    let (bundle, desired, mut wrong) = crate::config::open_for_validation(&workspace.environment)?;
    let (gathered, errors) =
        crate::config::gather_for_validation(&desired, &workspace.environment, &workspace.project, variables);
    let unknown = gathered.values.values().any(|given| !given.value.is_wholly_known());
    let hollow = wrong.has_errors() || unknown;
    let options = Options { refresh: false, hollow, validating: true, ..Options::default() };
    wrong.extend(gathered.warnings.clone());
    wrong.extend(errors);
    let (draft, _) = drafted(bundle, desired, gathered, options);
    Ok((draft, wrong))
}

fn drafted(bundle: Bundle, desired: Desired, gathered: Gathered, options: Options) -> (Draft, Diagnostics) {
    let values = gathered.values.into_iter().map(|(n, g)| (n, g.value)).collect();
    let desired = Arc::new(Desired { sources: gathered.sources, ..desired });
    let seed = u64::from_le_bytes(crate::ports::id::random::<8>());
    (
        Draft { bundle, desired, variables: values, options, facts: Facts::default(), seed, released: None },
        gathered.warnings,
    )
}

/// Whether the files that a saved bundle was read from still say the same.
#[must_use]
pub fn unchanged(saved: &Bundle, workspace: &Workspace) -> bool {
    let Ok((mut now, _)) = crate::config::open(&workspace.environment) else { return false };
    let reader = Reader::new(&workspace.environment);
    for path in saved.files.keys() {
        reader.add_file(&mut now, path);
    }
    for path in saved.missing.keys() {
        if !saved.trees.contains_key(path) {
            reader.add_file(&mut now, path);
        }
    }
    for path in saved.kinds.keys() {
        reader.add_kind(&mut now, path);
    }
    for path in saved.trees.keys() {
        reader.add_tree(&mut now, path);
    }
    now.files == saved.files && now.trees == saved.trees && now.kinds == saved.kinds && now.modules == saved.modules
}
