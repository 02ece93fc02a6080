//! The live targets of an environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::error::{Failure, Result};
use super::workspace::Workspace;
use crate::exec::{Images, Outside, Real};
use crate::ledger::record::Pin;
use crate::plan::{Configured, Imported};
use crate::ports::clock::{Clock, SystemClock};
use crate::ports::env;
use crate::provider::catalog::Catalog;
use crate::provider::kubernetes::Kubernetes;
use crate::provider::local::Local;
use crate::provider::oci;
use crate::provider::{
    Author, ChangedParts, Context, ImportRequest, Observation, ObserveRequest, Preview, PreviewRequest, Prior,
    Provider, Providers, ReadRequest, Role, not_configured,
};
use crate::value::Value;

/// The providers of an environment, the clock, and what else is outside.
#[derive(Clone)]
pub struct Targets {
    /// By name.
    pub providers: Providers,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What is probed, and the databases.
    pub outside: Arc<dyn Outside>,
    catalog: Catalog,
    /// Where providers work; `None` in the simulated world, which has its own.
    context: Option<Context>,
    /// Whether nobody is really asked: whatever is outside counts as not there.
    unasked: bool,
}

impl Targets {
    /// The targets of an environment.
    ///
    /// # Errors
    /// When the machine does not tell what is needed.
    pub fn open(workspace: &Workspace, lineage: &str, project: Option<&Path>) -> Result<Self> {
        let program = env::current_exe().map_err(|e| {
            Failure::error("Cannot find this program", format!("The path of the running Gantry is not known: {e}."))
        })?;
        let context = Context {
            project: project.map_or_else(|| workspace.project.clone(), Path::to_path_buf),
            environment: workspace.environment.clone(),
            state: workspace.state.clone(),
            lineage: lineage.to_owned(),
            name: workspace.name.clone(),
            program,
        };
        let local: Arc<dyn Provider> = Arc::new(Local::new(context.clone()));
        Ok(Self {
            providers: [("local".to_owned(), local)].into(),
            context: Some(context),
            clock: Arc::new(SystemClock),
            outside: Arc::new(Real),
            catalog: Catalog::built_in(),
            unasked: false,
        })
    }

    /// Targets that somebody else made, for the simulated world.
    #[cfg(test)]
    pub(crate) fn made_of(
        providers: Providers,
        clock: Arc<dyn Clock>,
        outside: Arc<dyn Outside>,
        catalog: Catalog,
    ) -> Self {
        Self { providers, clock, outside, catalog, context: None, unasked: false }
    }

    /// The types.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The same for a plan that is made to see whether a configuration is valid: nobody outside is asked.
    #[must_use]
    pub fn unasked(self) -> Self {
        Self { unasked: true, ..self }
    }

    /// Whether nobody outside may be asked.
    #[must_use]
    pub fn is_unasked(&self) -> bool {
        self.unasked
    }

    /// The time of day.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Makes the providers of an environment's provider blocks, and those that need no block. Nothing is sent.
    pub fn configure(&self, configured: &[Configured]) {
        let Some(context) = &self.context else { return };
        for one in configured.iter().filter(|one| one.provider == "kubernetes") {
            self.providers.add(&one.name, || Arc::new(Kubernetes::new(context.clone(), &one.arguments)));
        }
        let unsaid = Value::null(crate::value::Type::Any);
        self.providers.add("kubernetes", || Arc::new(Kubernetes::new(context.clone(), &unsaid)));
    }

    /// What was answered, with the marks that its type's schema asks for: what it keeps secret is a secret from here on.
    fn marked(&self, role: Role, ty: &str, answered: &Value) -> Value {
        self.catalog.get(role, ty).map_or_else(|| answered.clone(), |schema| schema.marked(answered))
    }

    /// Looks at recorded objects, one call for each provider; the answers with the keys that came along.
    pub async fn observe(&self, questions: Vec<(String, ObserveRequest)>) -> Vec<(String, Observation)> {
        let known = |request: &ObserveRequest| self.catalog.provider(Role::Managed, &request.ty).is_some();
        let (known, unknown): (Vec<_>, Vec<_>) = questions.into_iter().partition(|(_, request)| known(request));
        let mut answers: Vec<(String, Observation)> = unknown
            .into_iter()
            .map(|(key, request)| (key, Observation::Unreadable(format!("no provider knows the type {}", request.ty))))
            .collect();
        for Batch { configuration, keys, asked } in batches(known, |request| &request.provider) {
            let Some(provider) = self.providers.get(&configuration) else {
                let why = not_configured(&configuration);
                answers.extend(keys.into_iter().map(|key| (key, Observation::Unreadable(why.clone()))));
                continue;
            };
            let seen = provider.observe(&asked).await.into_iter().zip(&asked);
            let seen = seen.map(|(observation, request)| match observation {
                Observation::Present { attributes, readiness } => {
                    Observation::Present { attributes: self.marked(Role::Managed, &request.ty, &attributes), readiness }
                }
                other => other,
            });
            answers.extend(keys.into_iter().zip(seen));
        }
        answers
    }

    /// Who changed parts of objects, where their targets can tell, one call for each provider; the answers with the keys that
    /// came along.
    pub async fn changed_by(&self, questions: Vec<(String, ChangedParts)>) -> Vec<(String, Vec<Author>)> {
        let mut answers = Vec::new();
        for Batch { configuration, keys, asked } in batches(questions, |changed| &changed.object.provider) {
            if let Some(provider) = self.providers.get(&configuration) {
                answers.extend(keys.into_iter().zip(provider.changed_by(&asked).await));
            }
        }
        answers
    }

    /// Asks what would become of changes, one call for each provider; the answers with the keys that came along.
    pub async fn preview(&self, questions: Vec<(String, PreviewRequest)>) -> Vec<(String, Preview)> {
        if self.unasked {
            let not = |(key, _)| (key, Preview::NotTold("Nobody was asked.".into()));
            return questions.into_iter().map(not).collect();
        }
        let mut answers = Vec::new();
        for Batch { configuration, keys, asked } in batches(questions, |request| &request.provider) {
            match self.providers.get(&configuration) {
                Some(provider) => answers.extend(keys.into_iter().zip(provider.preview(&asked).await)),
                None => {
                    let not = Preview::NotTold(not_configured(&configuration));
                    answers.extend(keys.into_iter().map(|key| (key, not.clone())));
                }
            }
        }
        answers
    }

    /// Reads a data source.
    ///
    /// # Errors
    /// When there is no answer; a sentence.
    pub async fn read(&self, request: &ReadRequest) -> std::result::Result<Value, String> {
        let provider = self.providers.get(&request.provider).ok_or_else(|| not_configured(&request.provider))?;
        let answered = provider.read(request).await.map_err(|p| p.sentence)?;
        Ok(self.marked(Role::Data, &request.ty, &answered))
    }

    /// Looks for an object that is to be imported.
    pub async fn import(&self, request: &ImportRequest) -> Imported {
        if self.unasked {
            return Imported::NotAsked;
        }
        let Some(provider) = self.providers.get(&request.provider) else {
            return Imported::Failed(not_configured(&request.provider));
        };
        match provider.import(request).await {
            Ok(Some(Prior { attributes, identity })) => {
                let attributes = self.marked(Role::Managed, &request.ty, &attributes);
                Imported::Present { attributes, identity }
            }
            Ok(None) => Imported::Absent,
            Err(problem) => Imported::Failed(problem.sentence),
        }
    }

    /// The digest behind an image's tag.
    ///
    /// # Errors
    /// When the registry does not tell; a sentence.
    pub async fn image(&self, reference: &str) -> std::result::Result<String, String> {
        Registry.resolve(reference).await.map(|pin| pin.digest)
    }
}

/// What one provider configuration is asked in one call.
struct Batch<Q> {
    configuration: String,
    /// What the answers are known by, in the order of the questions.
    keys: Vec<String>,
    asked: Vec<Q>,
}

fn batches<Q>(questions: Vec<(String, Q)>, configuration: impl Fn(&Q) -> &String) -> Vec<Batch<Q>> {
    let mut by_name: BTreeMap<String, (Vec<String>, Vec<Q>)> = BTreeMap::new();
    for (key, question) in questions {
        let (keys, asked) = by_name.entry(configuration(&question).clone()).or_default();
        keys.push(key);
        asked.push(question);
    }
    by_name.into_iter().map(|(configuration, (keys, asked))| Batch { configuration, keys, asked }).collect()
}

/// Resolves image references through their registries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

#[async_trait::async_trait]
impl Images for Registry {
    async fn resolve(&self, reference: &str) -> std::result::Result<Pin, String> {
        let found = oci::resolve(reference, &oci::Options::from_environment()).await.map_err(|e| e.to_string())?;
        Ok(Pin {
            kind: "image".into(),
            digest: found.digest,
            source: found.repository,
            tag: found.tag,
            size: None,
            schema: Default::default(),
            committed: None,
        })
    }
}
