//! Objects as they are while they are waited for: an object with the ReplicaSets, pods and events that tell how it gets on.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{BoxStream, SelectAll};
use futures_util::{FutureExt as _, StreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};
use serde_json::Value as Json;

use super::kinds::Kind;
use super::object::Name;
use super::progress::watched;
use super::symptom::Children;
use super::target::{Cluster, uid};
use super::wire::{Failure, Request};
use crate::ports::clock::{Clock as _, SystemClock};

/// How often the object itself is asked for, beside the watch: a watch may stand still without anybody noticing.
const ANYWAY: Duration = Duration::from_secs(5);
/// How often events are read while something is not as it should be, and how many.
const EVENTS: Duration = Duration::from_secs(2);
const EVENTS_MAX: usize = 500;

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Itself,
    ReplicaSets,
    Pods,
}

type Seen = (Part, Result<Event<DynamicObject>, watcher::Error>);

/// An object and what belongs to it.
pub(super) struct Scene<'a> {
    pub(super) cluster: Cluster<'a>,
    kind: Kind,
    name: Name,
    uid: String,
    streams: SelectAll<BoxStream<'static, Seen>>,
    /// The object; `None` once it is gone.
    pub(super) object: Option<Json>,
    parts: BTreeMap<Part, BTreeMap<String, Json>>,
    /// Lists that are being read anew, and do not count before they are whole.
    coming: BTreeMap<Part, BTreeMap<String, Json>>,
    replica_sets: Vec<Json>,
    pods: Vec<Json>,
    events: Vec<Json>,
    events_read: Option<Duration>,
    looked: Duration,
    with_events: bool,
}

impl<'a> Scene<'a> {
    /// Begins to watch an object that stands.
    pub(super) fn new(cluster: Cluster<'a>, kind: Kind, name: Name, object: Json) -> Self {
        let wanted = watched(&object);
        let mut scene = Self {
            cluster,
            uid: uid(&object).to_owned(),
            streams: SelectAll::new(),
            object: Some(object),
            parts: BTreeMap::new(),
            coming: BTreeMap::new(),
            replica_sets: Vec::new(),
            pods: Vec::new(),
            events: Vec::new(),
            events_read: None,
            looked: SystemClock.elapsed(),
            with_events: wanted.events,
            kind,
            name,
        };
        let fields = format!("metadata.name={}", scene.name.name);
        scene.watch(Part::Itself, &resource(&scene.kind), watcher::Config::default().fields(&fields));
        if let Some(selector) = &wanted.label_selector {
            let labelled = || watcher::Config::default().labels(selector);
            if wanted.replica_sets {
                scene.watch(Part::ReplicaSets, &core("apps", "ReplicaSet", "replicasets"), labelled());
            }
            if wanted.pods {
                scene.watch(Part::Pods, &core("", "Pod", "pods"), labelled());
            }
        }
        scene
    }

    fn watch(&mut self, part: Part, resource: &ApiResource, config: watcher::Config) {
        let client = self.cluster.client.clone();
        let api: Api<DynamicObject> = match &self.name.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, resource),
            None => Api::all_with(client, resource),
        };
        self.streams.push(watcher(api, config).default_backoff().map(move |event| (part, event)).boxed());
    }

    /// Waits until something may have changed, at most so long.
    pub(super) async fn next(&mut self, most: Duration) {
        let most = most.min(ANYWAY);
        if let Ok(Some(seen)) = tokio::time::timeout(most, self.streams.next()).await {
            self.take(seen);
            // What came with it is looked at together.
            while let Some(Some(seen)) = self.streams.next().now_or_never() {
                self.take(seen);
            }
        }
        self.replica_sets = self.of(Part::ReplicaSets);
        self.pods = self.of(Part::Pods);
    }

    /// Asks for the object where the watch has not told of it for long.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub(super) async fn look_anyway(&mut self) -> Result<(), Failure> {
        let now = SystemClock.elapsed();
        if now.saturating_sub(self.looked) < ANYWAY {
            return Ok(());
        }
        self.looked = now;
        let there = self.cluster.get(&self.kind, &self.name).await?;
        self.object = there.filter(|there| uid(there) == self.uid);
        Ok(())
    }

    /// Reads the events around the object, where they tell something and are not fresh.
    pub(super) async fn read_events(&mut self) {
        let now = SystemClock.elapsed();
        let fresh = self.events_read.is_some_and(|read| now.saturating_sub(read) < EVENTS);
        let Some(namespace) = self.name.namespace.as_ref().filter(|_| self.with_events && !fresh) else { return };
        self.events_read = Some(now);
        let path = format!("/api/v1/namespaces/{namespace}/events?limit={EVENTS_MAX}");
        // Without them less is known; that the credentials may not read them is nobody's fault here.
        if let Ok(answer) = self.cluster.send(Request::get(path)).await
            && let Some(Json::Array(items)) = answer.body.get("items").cloned().as_mut().map(Json::take)
        {
            self.events = items;
        }
    }

    /// In how long events are to be read again.
    pub(super) fn events_due(&self) -> Duration {
        let read = self.events_read.unwrap_or_default();
        if self.with_events { (read + EVENTS).saturating_sub(SystemClock.elapsed()) } else { ANYWAY }
    }

    /// What belongs to the object, as it was last seen.
    pub(super) fn children(&self) -> Children<'_> {
        Children { replica_sets: &self.replica_sets, pods: &self.pods, events: &self.events, pvcs: &[] }
    }

    fn of(&self, part: Part) -> Vec<Json> {
        self.parts.get(&part).map(|all| all.values().cloned().collect()).unwrap_or_default()
    }

    fn take(&mut self, (part, event): Seen) {
        // An error is tried again by the stream itself; until then what was seen holds.
        let Ok(event) = event else { return };
        match event {
            Event::Init => drop(self.coming.insert(part, BTreeMap::new())),
            Event::InitApply(object) => {
                let object = self.plain(part, &object);
                self.coming.entry(part).or_default().insert(uid(&object).to_owned(), object);
            }
            Event::InitDone => {
                let all = self.coming.remove(&part).unwrap_or_default();
                if part == Part::Itself {
                    self.object = all.get(&self.uid).cloned();
                    self.looked = SystemClock.elapsed();
                }
                self.parts.insert(part, all);
            }
            Event::Apply(object) => {
                let object = self.plain(part, &object);
                if part == Part::Itself && uid(&object) == self.uid {
                    self.object = Some(object.clone());
                    self.looked = SystemClock.elapsed();
                }
                self.parts.entry(part).or_default().insert(uid(&object).to_owned(), object);
            }
            Event::Delete(object) => {
                let gone = object.metadata.uid.unwrap_or_default();
                if part == Part::Itself && gone == self.uid {
                    self.object = None;
                }
                self.parts.entry(part).or_default().remove(&gone);
            }
        }
    }

    /// An object as JSON, with its kind, which lists leave out.
    fn plain(&self, part: Part, object: &DynamicObject) -> Json {
        let mut json = serde_json::to_value(object).unwrap_or(Json::Null);
        let (version, kind) = match part {
            Part::Itself => (self.kind.api_version.as_str(), self.kind.kind.as_str()),
            Part::ReplicaSets => ("apps/v1", "ReplicaSet"),
            Part::Pods => ("v1", "Pod"),
        };
        json["apiVersion"] = version.into();
        json["kind"] = kind.into();
        json
    }
}

fn resource(kind: &Kind) -> ApiResource {
    ApiResource {
        group: kind.group.clone(),
        version: kind.api_version.rsplit('/').next().unwrap_or_default().to_owned(),
        api_version: kind.api_version.clone(),
        kind: kind.kind.clone(),
        plural: kind.plural.clone(),
    }
}

fn core(group: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    ApiResource { group: group.into(), version: "v1".into(), api_version, kind: kind.into(), plural: plural.into() }
}
