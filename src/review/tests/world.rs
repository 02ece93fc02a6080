//! A small world: a configuration on disk, a ledger's state, and an answer to every question of the real planner. Carrying a plan
//! out is believing it: every step gives what was planned.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use crate::addr::Address;
use crate::config::{self, Bundle, Desired, Reader, VarArg};
use crate::diag::Diagnostics;
use crate::ledger::event::{AppliedMigration, Event, RunKind, RunStarted};
use crate::ledger::record::{Pin, Record};
use crate::ledger::{Meta, State};
use crate::migrate;
use crate::plan::change::PlannedMigration;
use crate::plan::{
    ActStep, Action, Fact, Facts, Files, Inputs, JournalEntry, Lowering, Options, Plan, Planned, Question, Work,
    effect, pinned, plan,
};
use crate::provider::catalog::Catalog;
use crate::provider::{Observation, Readiness};
use crate::review::{Finding, findings};
use crate::value::{Results, Type, Value, encode};

const BLOBS: &str = "../../state/x/blobs";

pub(super) fn seal(bytes: &[u8]) -> String {
    effect::digest(bytes)
}

pub(super) struct World {
    _directory: tempfile::TempDir,
    environment: PathBuf,
    pub(super) state: State,
    journal: BTreeMap<Address, Vec<JournalEntry>>,
}

/// A plan with what it was made from.
pub(super) struct Made {
    pub(super) plan: Plan,
    pub(super) desired: Desired,
}

struct BundleFiles<'a>(&'a Bundle);

impl Files for BundleFiles<'_> {
    fn file(&self, path: &str) -> Option<Result<Arc<[u8]>, String>> {
        self.0.file(path).map(|r| r.cloned().map_err(str::to_owned))
    }

    fn kind(&self, path: &str) -> Option<&'static str> {
        self.0.kind(path).map(config::source::Kind::as_str)
    }

    fn tree(&self, path: &str) -> Option<Result<Arc<[String]>, String>> {
        self.0.tree(path).map(|r| r.cloned().map_err(str::to_owned))
    }

    fn digest(&self) -> String {
        self.0.digest()
    }
}

fn parse(files: &[(String, Arc<[u8]>)], _url: &str) -> Result<Vec<PlannedMigration>, Vec<(String, String)>> {
    let files: Vec<(String, Vec<u8>)> = files.iter().map(|(n, b)| (n.clone(), b.to_vec())).collect();
    let all = migrate::parse(&files).map_err(|_| Vec::new())?;
    let planned = |m: migrate::Migration| PlannedMigration {
        version: m.version,
        name: m.name,
        checksum: m.checksum,
        up: m.up,
        down: m.down,
        file: m.up_file,
        down_file: m.down_file,
        effects: Vec::new(),
    };
    Ok(all.into_iter().map(planned).collect())
}

/// What has been answered so far in a run.
#[derive(Default)]
struct Answers(BTreeMap<Address, Value>);

impl Results for Answers {
    fn result(&self, node: &Address) -> Option<Value> {
        self.0.get(node).cloned()
    }

    fn draw(&self, what: &str) -> Option<Value> {
        Some(Value::string(what))
    }
}

impl World {
    /// An environment of one file, beside two migrations.
    pub(super) fn of(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let environment = directory.path().join("environments/e");
        std::fs::create_dir_all(&environment).unwrap();
        std::fs::create_dir_all(directory.path().join("migrations")).unwrap();
        for (name, sql) in [("0001_a.up.sql", "CREATE TABLE a (x int);"), ("0002_b.up.sql", "CREATE TABLE b (x int);")]
        {
            std::fs::write(directory.path().join("migrations").join(name), sql).unwrap();
        }
        let world = Self { _directory: directory, environment, state: State::default(), journal: BTreeMap::new() };
        world.write(text);
        world
    }

    /// An environment of this repository.
    pub(super) fn sample(name: &str) -> Self {
        let environment = Path::new(env!("CARGO_MANIFEST_DIR")).join("environments").join(name);
        Self {
            _directory: tempfile::tempdir().unwrap(),
            environment,
            state: State::default(),
            journal: BTreeMap::new(),
        }
    }

    pub(super) fn write(&self, text: &str) {
        std::fs::write(self.environment.join("main.hcl"), text).unwrap();
    }

    pub(super) fn desired(&self) -> Desired {
        config::open(&self.environment).unwrap().1
    }

    pub(super) fn plan(&self, options: &Options, variables: &[(&str, &str)]) -> Result<Made, Diagnostics> {
        let (mut bundle, desired) = config::open(&self.environment).map_err(|e| e.diagnostics)?;
        let arguments: Vec<VarArg> = variables
            .iter()
            .map(|(name, text)| VarArg::Value { name: (*name).to_owned(), text: (*text).to_owned() })
            .collect();
        let project = self.environment.parent().and_then(Path::parent).unwrap();
        let gathered = config::gather(&desired, &self.environment, project, &arguments).unwrap();
        let variables = gathered.values.into_iter().map(|(n, g)| (n, g.value)).collect();
        let (catalog, mut facts) = (Catalog::built_in(), Facts::default());
        let directory = self.environment.to_string_lossy().into_owned();
        loop {
            let inputs = Inputs {
                environment: "e",
                desired: &desired,
                project: "../..",
                directory: &directory,
                files: &BundleFiles(&bundle),
                variables: &variables,
                recorded: &self.state,
                facts: &facts,
                options,
                catalog: &catalog,
                seal: &seal,
                opener: &crate::ledger::encryption::Opener::default(),
                migrations: parse,
                blobs: BLOBS,
                seed: 1,
            };
            match plan(inputs)? {
                Planned::Ready(plan) => return Ok(Made { plan: *plan, desired }),
                Planned::Need(questions) => {
                    questions.into_iter().for_each(|q| self.answer(q, &mut bundle, &mut facts));
                }
            }
        }
    }

    fn answer(&self, question: Question, bundle: &mut Bundle, facts: &mut Facts) {
        let reader = Reader::new(&self.environment);
        let key = question.key(&seal);
        let fact = match question {
            Question::File(path) => return reader.add_file(bundle, &path),
            Question::Kind(path) => return reader.add_kind(bundle, &path),
            Question::Tree(path) => return reader.add_tree(bundle, &path),
            Question::Observe(request) => Fact::Observed(Observation::Present {
                attributes: request.prior.attributes,
                readiness: Readiness::Ready,
            }),
            Question::FileDigest { path, .. } => {
                Fact::Digest(Ok((format!("sha256:{}", seal(path.as_bytes())), Some(1))))
            }
            Question::Journal { address, .. } => {
                Fact::Journal(Ok(self.journal.get(&address).cloned().unwrap_or_default()))
            }
            other => panic!("nobody answers {}", other.key(&seal)),
        };
        facts.0.insert(key, fact);
    }

    /// What the review says about a plan.
    pub(super) fn findings(&self, made: &Made) -> Vec<Finding> {
        findings(&made.plan, &made.desired, &self.state)
    }

    /// Plans, and finds nothing wrong with the plan.
    #[track_caller]
    pub(super) fn clean(&self, options: &Options, variables: &[(&str, &str)]) -> Made {
        let made = self.plan(options, variables).unwrap_or_else(|d| panic!("no plan: {:#?}", d.sorted()));
        let found = self.findings(&made);
        let steps = effect::text(&made.plan.steps, &made.plan.gates, &seal);
        assert!(found.is_empty(), "{found:#?}\n{steps}");
        made
    }

    /// Begins a run and leaves it open, as one that is about to go back.
    pub(super) fn begin(&mut self, plan: &Plan) {
        let started = RunStarted {
            kind: RunKind::Apply,
            generation: Some(plan.generation),
            base: None,
            effect: plan.effect.clone(),
            plan: None,
            inputs: String::new(),
            asked: plan.asked.clone(),
            on_failure: "rollback".into(),
            partial: false,
            consent: None,
            engine: String::new(),
            configuration: None,
            release: None,
            unproven: false,
            takes_back: None,
            overrides: Default::default(),
            gates: Default::default(),
        };
        let meta = Meta { seq: 1, time: String::new(), run: "r".into(), actor: String::new() };
        self.state.apply(&meta, &Event::RunStarted(Box::new(started))).unwrap();
        let touched = plan.steps.iter().map(|s| s.address.clone()).collect();
        self.state.open.as_mut().unwrap().touched = touched;
    }

    /// Every step does what was planned.
    pub(super) fn carry_out(&mut self, plan: &Plan) {
        let mut answers = Answers::default();
        for step in &plan.steps {
            match &step.work {
                Work::Act(act) => self.act(plan, &step.address, act, &mut answers),
                Work::Pin(pin) => {
                    let source = pin.source.finish(&answers).unwrap().as_str().unwrap().to_owned();
                    let digest = format!("sha256:{}", seal(source.as_bytes()));
                    let pin = Pin {
                        kind: pin.kind.clone(),
                        digest,
                        source,
                        tag: None,
                        size: Some(1),
                        schema: Default::default(),
                        committed: None,
                    };
                    answers.0.insert(step.address.clone(), pinned(&pin, BLOBS));
                    self.state.pins.insert(step.address.clone(), pin);
                }
                Work::Migrate { migration, .. } => self.migrate(&step.address, migration),
                Work::Revert { migration, .. } => {
                    self.journal.get_mut(&step.address).unwrap().retain(|m| m.version != migration.version);
                }
                Work::Forget => drop(self.state.records.remove(&step.address)),
                Work::Record(observed) => {
                    let record = self.state.records.get_mut(&step.address).unwrap();
                    std::sync::Arc::make_mut(record).attributes = crate::value::encode(observed, &seal);
                }
                Work::Move { from } => {
                    let record = self.state.records.remove(from).unwrap();
                    self.state.records.insert(step.address.clone(), record);
                }
                Work::Import(_) => panic!("these worlds import nothing"),
                Work::Await { .. }
                | Work::Barrier
                | Work::Read { .. }
                | Work::Check(_)
                | Work::Assert(_)
                | Work::Commit => {}
            }
        }
    }

    fn migrate(&mut self, address: &Address, migration: &PlannedMigration) {
        self.journal.entry(address.clone()).or_default().push(JournalEntry {
            version: migration.version,
            name: migration.name.clone(),
            checksum: migration.checksum.clone(),
            up: migration.up.to_string(),
            down: migration.down.as_deref().map(str::to_owned),
            partial: false,
        });
        self.state.migrations.entry(address.clone()).or_default().push(AppliedMigration {
            version: migration.version,
            name: migration.name.clone(),
            checksum: migration.checksum.clone(),
            up: String::new(),
            down: None,
        });
    }

    fn act(&mut self, plan: &Plan, address: &Address, act: &ActStep, answers: &mut Answers) {
        let workload = plan.schemas[&*address.ty].lowering == Lowering::Workload;
        match act.action {
            Action::Stage | Action::Retire => {}
            // The old half of a replacement whose new half stands already.
            Action::Delete if act.follows.is_some() => {}
            Action::Delete => drop(self.state.records.remove(address)),
            Action::Update if workload => panic!("a workload is staged"),
            Action::Create | Action::Update | Action::Switch => {
                let object = finish(&act.planned, address, answers);
                answers.0.insert(address.clone(), object.clone());
                let record = Record {
                    ty: address.ty.to_string(),
                    provider: act.provider.clone(),
                    identity: json!({ "of": address.to_string(), "in": plan.generation }),
                    inputs: encode(&finish(&act.inputs, address, answers), &seal),
                    attributes: encode(&object, &seal),
                    dependencies: act.dependencies.clone(),
                    schema: act.schema,
                    generation: plan.generation,
                    create_before_destroy: act.create_before_destroy,
                    imported: act.imported.clone(),
                };
                self.state.records.insert(address.clone(), Arc::new(record));
            }
        }
    }
}

/// What was planned, with computed attributes of the node's own made up.
fn finish(planned: &Value, address: &Address, answers: &Answers) -> Value {
    planned.map_parts(&mut |part| {
        if !part.is_unknown() {
            return part;
        }
        let mut needs = std::collections::BTreeSet::new();
        part.needs(&mut needs);
        match (needs.contains(address), part.ty()) {
            (true, Type::Number) => Value::number(0_i64),
            (true, _) => Value::string(format!("made for {address}")),
            (false, _) => part.finish(answers).unwrap(),
        }
    })
}
