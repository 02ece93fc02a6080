//! A stand-in of kube-controller-manager, scheduler and kubelet, as a client of any API server.
//!
//! API servers alone run nothing: a Deployment stays an object. [`Controllers::start`] watches the built-in kinds, keeps what
//! it sees in a [`world`], and works in passes: the planners (`workloads`, `jobs`, `kubelet`, `rest`) say from the world alone
//! which requests are to be made next, all of these are made at once, the answers go into the world, and the next pass begins;
//! when there is nothing to do, it sleeps until a watch or a deadline wakes it. So it is event-driven and quick, and a fault
//! in it shows as a request, in the log of whichever API server it talks to.
//!
//! It writes what the real ones write: the same conditions, reasons, messages, labels, annotations and owners. What the
//! pods come to is told by [`Fates`], by the names of their images.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy};
use kube::runtime::watcher;
use kube::{Client, Error};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

mod jobs;
mod kubelet;
mod program;
mod rest;
mod workloads;
mod world;

use world::{KINDS, Key, World, resource, text};

/// How many requests are under way at once.
const AT_ONCE: usize = 16;

/// The pause after the first failure of a request; it doubles up to a second.
const RETRY: Duration = Duration::from_millis(10);

/// What becomes of a container.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    /// It is ready after that long; in a Job, it ends well after that long.
    Ready(Duration),
    /// It ends with that code each time, shortly after its start.
    Crash(i64),
    /// It is killed for want of memory each time.
    Oom,
    /// Its image does not exist.
    NotFound,
    /// Its registry does not answer.
    NotNow,
    /// It runs, and its readiness probe fails.
    Unhealthy,
    /// No node takes it.
    Unschedulable,
}

/// What becomes of a container, by its image.
pub(crate) type ByImage = dyn Fn(&str) -> Option<Fate> + Send + Sync;

/// What becomes of pods and the rest, and how quickly.
#[derive(Clone)]
pub(crate) struct Fates {
    /// What becomes of a container, by its image; `None` for the rule of [`Fates::of`].
    pub(crate) by_image: Arc<ByImage>,
    /// How long a start takes where nothing else is said.
    pub(crate) start: Duration,
    /// How long "slow" images take.
    pub(crate) slow: Duration,
    /// The first pause before a container is started again; real kubelets wait 10 s.
    pub(crate) back_off: Duration,
    /// When load balancers get their address; `None` for never.
    pub(crate) load_balancer: Option<Duration>,
    /// Whether claims are bound.
    pub(crate) bind_claims: bool,
    /// Scheduler and kubelet alone, beside a real kube-controller-manager.
    pub(crate) pods_only: bool,
}

impl Default for Fates {
    fn default() -> Self {
        Self {
            by_image: Arc::new(|_| None),
            start: Duration::from_millis(20),
            slow: Duration::from_secs(2),
            back_off: Duration::from_secs(10),
            load_balancer: Some(Duration::from_millis(50)),
            bind_claims: true,
            pods_only: false,
        }
    }
}

impl Fates {
    /// What becomes of a container with that image.
    pub(crate) fn of(&self, image: &str) -> Fate {
        if let Some(fate) = (self.by_image)(image) {
            return fate;
        }
        let words: [(&str, Fate); 7] = [
            ("crash", Fate::Crash(1)),
            ("oom", Fate::Oom),
            ("notfound", Fate::NotFound),
            ("notnow", Fate::NotNow),
            ("unhealthy", Fate::Unhealthy),
            ("unschedulable", Fate::Unschedulable),
            ("slow", Fate::Ready(self.slow)),
        ];
        words.into_iter().find(|(word, _)| image.contains(word)).map_or(Fate::Ready(self.start), |(_, fate)| fate)
    }
}

/// A request that is to be made.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// Make an object; whose it is, for who wants to know that it failed.
    Create { kind: &'static str, namespace: String, object: Json, maker: String },
    /// A merge patch of an object or, if named, of a subresource.
    Patch { key: Key, sub: Option<&'static str>, patch: Json },
    /// Delete it; at once, for pods whose kubelet has finished.
    Delete { key: Key, now: bool },
    /// Give a pod a node.
    Bind { key: Key },
    /// Empty a namespace, and let it go when it is empty.
    Finalize { name: String },
}

impl Op {
    /// What tells a request that failed from others, so that it is not made again at once.
    fn name(&self) -> String {
        match self {
            Self::Create { kind, namespace, maker, object } => {
                // Pods of one owner are alike, and their names are new each time.
                let name = if *kind == "Pod" { "" } else { text(object, "/metadata/name") };
                format!("create {kind} {namespace} {maker} {name}")
            }
            Self::Patch { key, sub, .. } => format!("patch {key:?} {sub:?}"),
            Self::Delete { key, now } => format!("delete {key:?} {now}"),
            Self::Bind { key } => format!("bind {key:?}"),
            Self::Finalize { name } => format!("finalize {name}"),
        }
    }
}

/// What is known beside the objects.
pub(crate) struct Core {
    pub(crate) world: World,
    pub(crate) fates: Fates,
    /// Since when pods are in the state that they are in, by uid.
    pub(crate) lives: BTreeMap<String, kubelet::Life>,
    /// The last progress of Deployments, and other moments that are waited for, by uid and purpose.
    pub(crate) clocks: BTreeMap<String, (String, Instant)>,
    /// Templates of StatefulSets' revisions, by the revision's name.
    pub(crate) templates: BTreeMap<String, Json>,
    /// Why the last creation for an owner failed, by the owner's uid.
    pub(crate) refused: BTreeMap<String, String>,
    /// Requests that failed, how often, and when they may be made again.
    failed: BTreeMap<String, (u32, Instant)>,
    /// The next moment at which something is due without any event.
    pub(crate) due: Option<Instant>,
    /// For names that are new each time.
    pub(crate) counter: u64,
}

impl Core {
    /// Asks for another pass at that moment.
    pub(crate) fn wake(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn plan(&mut self, now: Instant) -> Vec<Op> {
        self.due = None;
        let mut ops = Vec::new();
        if !self.fates.pods_only {
            workloads::plan(self, now, &mut ops);
            jobs::plan(self, now, &mut ops);
            rest::plan(self, now, &mut ops);
        }
        kubelet::plan(self, now, &mut ops);
        let mut seen = BTreeSet::new();
        let mut later = None::<Instant>;
        ops.retain(|op| match self.failed.get(&op.name()) {
            Some((_, at)) if *at > now => {
                later = Some(later.map_or(*at, |due| due.min(*at)));
                false
            }
            // A patch is one of all that is to be said; creations of several pods have one name and are several.
            _ => matches!(op, Op::Create { .. }) || seen.insert(op.name()),
        });
        if let Some(at) = later {
            self.wake(at);
        }
        ops
    }

    fn answered(&mut self, op: &Op, answer: Result<Option<Json>, Error>) {
        let name = op.name();
        match answer {
            Ok(object) => {
                self.failed.remove(&name);
                if let Op::Create { maker, .. } = op {
                    self.refused.remove(maker);
                }
                match (op, object) {
                    (_, Some(object)) => self.world.put(object),
                    (Op::Delete { key, .. }, None) => self.world.forget(key),
                    _ => {}
                }
            }
            Err(error) => {
                let times = self.failed.get(&name).map_or(0, |(times, _)| *times);
                let pause = (RETRY * 2_u32.saturating_pow(times.min(7))).min(Duration::from_secs(1));
                self.failed.insert(name, (times + 1, Instant::now() + pause));
                match (op, &error) {
                    (Op::Create { maker, .. }, Error::Api(status)) if status.code != 409 => {
                        self.refused.insert(maker.clone(), status.message.clone());
                    }
                    (Op::Patch { key, .. } | Op::Delete { key, .. }, Error::Api(status)) if status.code == 404 => {
                        self.world.forget(key);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// The stand-in, running until it is dropped.
pub(crate) struct Controllers {
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Controllers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

enum News {
    Put(Json),
    Gone(Json),
    Synced(&'static str),
}

impl Controllers {
    /// Begins to work.
    pub(crate) fn start(client: Client, fates: Fates) -> Self {
        let (tell, news) = mpsc::unbounded_channel();
        let mut tasks: Vec<JoinHandle<()>> =
            KINDS.iter().map(|(kind, ..)| tokio::spawn(watch(client.clone(), kind, tell.clone()))).collect();
        tasks.push(tokio::spawn(run(client, fates, news)));
        Self { tasks }
    }
}

async fn watch(client: Client, kind: &'static str, tell: mpsc::UnboundedSender<News>) {
    let api: Api<DynamicObject> = Api::all_with(client, &resource(kind));
    let mut stream = std::pin::pin!(watcher(api, watcher::Config::default()));
    let mut listed = Vec::new();
    while let Some(event) = stream.next().await {
        let news = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => News::Put(plain(kind, &object)),
            Ok(watcher::Event::Delete(object)) => News::Gone(plain(kind, &object)),
            Ok(watcher::Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(watcher::Event::InitDone) => News::Synced(kind),
            // The watcher begins anew by itself; a server that is down is asked at leisure.
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let News::Put(object) = &news {
            listed.push(world::key(object));
        }
        if tell.send(news).is_err() {
            return;
        }
    }
}

/// An object as JSON, with its kind even where a list left it out.
fn plain(kind: &str, object: &DynamicObject) -> Json {
    let mut json = serde_json::to_value(object).unwrap_or_default();
    json["kind"] = kind.into();
    json["apiVersion"] = resource(kind).api_version.into();
    json
}

async fn run(client: Client, fates: Fates, mut news: mpsc::UnboundedReceiver<News>) {
    let mut core = Core {
        world: World::default(),
        fates,
        lives: BTreeMap::new(),
        clocks: BTreeMap::new(),
        templates: BTreeMap::new(),
        refused: BTreeMap::new(),
        failed: BTreeMap::new(),
        due: None,
        counter: 0,
    };
    let mut synced = BTreeSet::new();
    loop {
        let next = core.due;
        let first = tokio::select! {
            first = news.recv() => match first {
                Some(first) => Some(first),
                None => return,
            },
            () = async { match next { Some(at) => tokio::time::sleep_until(at).await, None => std::future::pending().await } } => None,
        };
        let mut take = |core: &mut Core, one: News| match one {
            News::Put(object) => core.world.put(object),
            News::Gone(object) => core.world.gone(&object),
            News::Synced(kind) => drop(synced.insert(kind)),
        };
        first.into_iter().for_each(|one| take(&mut core, one));
        while let Ok(one) = news.try_recv() {
            take(&mut core, one);
        }
        if synced.len() < KINDS.len() {
            continue;
        }
        loop {
            let ops = core.plan(Instant::now());
            if ops.is_empty() {
                break;
            }
            let answers: Vec<(Op, Result<Option<Json>, Error>)> = futures_util::stream::iter(ops)
                .map(|op| {
                    let client = client.clone();
                    async move {
                        let answer = perform(client, &op).await;
                        (op, answer)
                    }
                })
                .buffer_unordered(AT_ONCE)
                .collect()
                .await;
            for (op, answer) in answers {
                core.answered(&op, answer);
            }
            while let Ok(one) = news.try_recv() {
                match one {
                    News::Put(object) => core.world.put(object),
                    News::Gone(object) => core.world.gone(&object),
                    News::Synced(_) => {}
                }
            }
        }
    }
}

fn api(client: Client, kind: &str, namespace: &str) -> Api<DynamicObject> {
    let resource = resource(kind);
    if namespace.is_empty() {
        Api::all_with(client, &resource)
    } else {
        Api::namespaced_with(client, namespace, &resource)
    }
}

/// In whose name a kind is written.
fn manager(kind: &str) -> &'static str {
    if kind == "Pod" { "kubelet" } else { "kube-controller-manager" }
}

async fn perform(client: Client, op: &Op) -> Result<Option<Json>, Error> {
    match op {
        Op::Create { kind, namespace, object, .. } => {
            let object: DynamicObject = serde_json::from_value(object.clone()).map_err(Error::SerdeError)?;
            let by = PostParams { field_manager: Some("kube-controller-manager".into()), ..PostParams::default() };
            let made = api(client, kind, namespace).create(&by, &object).await?;
            Ok(Some(plain(kind, &made)))
        }
        Op::Patch { key: (kind, namespace, name), sub, patch } => {
            let by = PatchParams { field_manager: Some(manager(kind).into()), ..PatchParams::default() };
            let (api, patch) = (api(client, kind, namespace), Patch::Merge(patch));
            let now = match sub {
                Some(sub) => api.patch_subresource(sub, name, &by, &patch).await?,
                None => api.patch(name, &by, &patch).await?,
            };
            Ok(Some(plain(kind, &now)))
        }
        Op::Delete { key: (kind, namespace, name), now } => {
            let mut how =
                DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
            if *now {
                how.grace_period_seconds = Some(0);
            }
            let left = api(client, kind, namespace).delete(name, &how).await?;
            Ok(left.left().map(|object| plain(kind, &object)).filter(|_| !*now))
        }
        Op::Bind { key: (kind, namespace, name) } => bind(client, kind, namespace, name).await,
        Op::Finalize { name } => rest::finalize(client, name).await.map(|()| None),
    }
}

async fn bind(client: Client, kind: &str, namespace: &str, name: &str) -> Result<Option<Json>, Error> {
    let api = api(client, kind, namespace);
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "namespace": namespace},
        "target": {"apiVersion": "v1", "kind": "Node", "name": kubelet::NODE},
    });
    match api.create_subresource::<Json, Json>("binding", name, &PostParams::default(), &binding).await {
        // A server that is a stand-in itself, without the subresource.
        Err(Error::Api(status)) if status.code == 404 || status.code == 405 => {
            let patch = Patch::Merge(json!({"spec": {"nodeName": kubelet::NODE}}));
            Ok(Some(plain(kind, &api.patch(name, &PatchParams::default(), &patch).await?)))
        }
        Err(error) => Err(error),
        Ok(_) => Ok(Some(plain(kind, &api.get(name).await?))),
    }
}
