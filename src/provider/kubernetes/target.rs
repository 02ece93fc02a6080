//! The provider: one cluster, reached when it is first needed.

use serde_json::Value as Json;
use tokio::sync::OnceCell;

use super::connect::{Connection, connect};
use super::kinds::{Kind, Kinds};
use super::object::Name;
use super::wire::{Answer, Failure, Request, send};
use super::{apply, config, delete, evidence, import, job, observe, preview, read, settle, task, versions};
use crate::provider::{
    Act, Action, Author, AwaitRequest, ChangedParts, Context, Evidence, Found, ImportRequest, Observation,
    ObserveRequest, Outcome, Preview, PreviewRequest, Prior, Problem, ProblemClass, Progress, Provider, ReadRequest,
    ResourceSchema, Task, TaskEnd,
};
use crate::value::Value;

/// A cluster, as one provider block configures it.
pub struct Kubernetes {
    context: Context,
    arguments: Value,
    schemas: Vec<ResourceSchema>,
    connection: OnceCell<Result<Connection, Problem>>,
    kinds: Kinds,
    /// Kinds and namespaces that a plan was seen to make, so that what goes into them is not refused for their lack.
    pub(super) coming: preview::Coming,
    manager: String,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kubernetes").field("manager", &self.manager).finish_non_exhaustive()
    }
}

/// A cluster that can be asked.
#[derive(Clone, Copy)]
pub(super) struct Cluster<'a> {
    pub(super) client: &'a kube::Client,
    /// Where an object goes that names no namespace.
    pub(super) namespace: &'a str,
    /// Who we are among the managers of fields.
    pub(super) manager: &'a str,
    pub(super) url: &'a str,
    kinds: &'a Kinds,
}

impl Kubernetes {
    /// The cluster of a provider configuration. Nothing is sent yet.
    #[must_use]
    pub fn new(context: Context, arguments: &Value) -> Self {
        let start: String = context.lineage.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        // Before there is a ledger there is a plan at most, whose manager nobody will see.
        let manager = if start.is_empty() { "gantry-plan".to_owned() } else { format!("gantry-{start}") };
        Self {
            context,
            arguments: arguments.clone(),
            schemas: super::schemas(),
            connection: OnceCell::new(),
            kinds: Kinds::default(),
            coming: preview::Coming::default(),
            manager,
        }
    }

    /// The cluster.
    ///
    /// # Errors
    /// When its configuration cannot be used.
    pub(super) async fn cluster(&self) -> Result<Cluster<'_>, Problem> {
        let made = self.connection.get_or_init(|| connect(&self.arguments, &self.context.environment)).await;
        let connection = made.as_ref().map_err(Clone::clone)?;
        Ok(Cluster::of(connection, &self.manager, &self.kinds))
    }
}

impl<'a> Cluster<'a> {
    /// A connection, as somebody uses it.
    pub(super) fn of(connection: &'a Connection, manager: &'a str, kinds: &'a Kinds) -> Self {
        Self { client: &connection.client, namespace: &connection.namespace, manager, url: &connection.url, kinds }
    }

    pub(super) async fn send(&self, request: Request<'_>) -> Result<Answer, Failure> {
        send(self.client, request).await
    }

    /// The kind of an object; `None` where the cluster does not serve it.
    pub(super) async fn kind(&self, name: &Name) -> Result<Option<Kind>, Failure> {
        self.kinds.find(self.client, &name.api_version, &name.kind).await
    }

    /// An object with its kind, in the namespace that it has here.
    ///
    /// # Errors
    /// When the cluster does not serve the kind, or does not answer.
    pub(super) async fn place(&self, name: Name) -> Result<(Kind, Name), Problem> {
        match self.kind(&name).await {
            Ok(Some(kind)) => {
                let name = name.placed(&kind, self.namespace);
                Ok((kind, name))
            }
            Ok(None) => Err(Problem::new(ProblemClass::Invalid, unknown_kind(&name, self.url))),
            Err(failure) => Err(failure.problem(&format!("The kinds of {} cannot be read", self.url))),
        }
    }

    /// The same for an act: a kind whose definition was just made is waited for.
    ///
    /// # Errors
    /// When the cluster does not serve the kind, or does not answer.
    pub(super) async fn place_soon(&self, name: Name) -> Result<(Kind, Name), Problem> {
        let _ = self.kinds.await_kind(self.client, &name.api_version, &name.kind).await;
        self.place(name).await
    }

    /// An object as it is; `None` where there is none.
    pub(super) async fn get(&self, kind: &Kind, name: &Name) -> Result<Option<Json>, Failure> {
        let path = kind.object(name.namespace.as_deref(), &name.name);
        match self.send(Request::get(path)).await {
            Ok(answer) => Ok(Some(answer.body)),
            Err(failure) if failure.is_absent() => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// The sentence on a kind that a cluster does not have.
pub(super) fn unknown_kind(name: &Name, url: &str) -> String {
    format!(
        "The cluster {url} serves no kind \"{}\" in \"{}\". Check apiVersion and kind (kubectl api-resources lists them), or make its \
         definition first.",
        name.kind, name.api_version
    )
}

/// The uid of an object.
pub(super) fn uid(object: &Json) -> &str {
    object.pointer("/metadata/uid").and_then(Json::as_str).unwrap_or_default()
}

#[async_trait::async_trait]
impl Provider for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn schemas(&self) -> &[ResourceSchema] {
        &self.schemas
    }

    async fn usable(&self) -> Result<(), Problem> {
        self.cluster().await.map(drop)
    }

    async fn observe(&self, batch: &[ObserveRequest]) -> Vec<Observation> {
        match self.cluster().await {
            Ok(cluster) => observe::observe(cluster, batch).await,
            Err(problem) => batch.iter().map(|_| Observation::Unreadable(problem.sentence.clone())).collect(),
        }
    }

    async fn changed_by(&self, batch: &[ChangedParts]) -> Vec<Vec<Author>> {
        match self.cluster().await {
            Ok(cluster) => observe::changed_by(cluster, batch).await,
            Err(_) => vec![Vec::new(); batch.len()],
        }
    }

    async fn read(&self, request: &ReadRequest) -> Result<Value, Problem> {
        read::read(self.cluster().await?, request).await
    }

    async fn import(&self, request: &ImportRequest) -> Result<Option<Prior>, Problem> {
        import::import(self.cluster().await?, request).await
    }

    async fn preview(&self, batch: &[PreviewRequest]) -> Vec<Preview> {
        match self.cluster().await {
            Ok(cluster) => preview::preview(cluster, &self.coming, batch).await,
            Err(problem) => batch.iter().map(|_| Preview::NotTold(problem.sentence.clone())).collect(),
        }
    }

    async fn settled(&self, request: &AwaitRequest, progress: &dyn Progress) -> Result<Prior, Problem> {
        settle::settled(self.cluster().await?, request, progress).await
    }

    async fn find(&self, act: &Act) -> Found {
        match (self.cluster().await, act.action) {
            (Err(problem), _) => Found::NotNow(problem.sentence),
            (Ok(cluster), Action::Create | Action::Update) if act.ty == config::TYPE => {
                config::find(cluster, act).await
            }
            (Ok(cluster), Action::Create | Action::Update) if act.ty == job::TYPE => job::find(cluster, act).await,
            (Ok(cluster), Action::Delete) => delete::find(cluster, act).await,
            (Ok(cluster), _) => apply::find(cluster, act).await,
        }
    }

    async fn act(&self, act: &Act, progress: &dyn Progress) -> Outcome {
        let cluster = match self.cluster().await {
            Ok(cluster) => cluster,
            Err(problem) => return Outcome::NotSent(problem),
        };
        match act.action {
            Action::Create | Action::Update if act.ty == config::TYPE => config::apply(cluster, act).await,
            Action::Create | Action::Update if act.ty == job::TYPE => job::apply(cluster, act).await,
            Action::Delete if [config::TYPE, job::TYPE].contains(&act.ty.as_str()) => {
                versions::remove(cluster, act, progress).await
            }
            Action::Create | Action::Update => apply::apply(cluster, act).await,
            Action::Delete => delete::delete(cluster, act, progress).await,
            other => {
                let sentence = format!("A {} has no action \"{}\".", act.ty, other.word());
                Outcome::NotSent(Problem::new(ProblemClass::Invalid, sentence))
            }
        }
    }

    async fn run(&self, task: &Task, progress: &dyn Progress) -> TaskEnd {
        match self.cluster().await {
            Ok(cluster) => task::run(cluster, task, progress).await,
            Err(problem) => TaskEnd::NotBegun(problem),
        }
    }

    async fn would_run(&self, task: &Task) -> Result<(), Problem> {
        task::would_run(self.cluster().await?, &self.coming, task).await
    }

    async fn evidence(&self, _: &str, identity: &Json) -> Vec<Evidence> {
        match self.cluster().await {
            Ok(cluster) => evidence::of(cluster, identity).await,
            Err(_) => Vec::new(),
        }
    }
}
