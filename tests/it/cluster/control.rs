//! The hand of a test in the cluster: faults, counts, logs, and changes made as somebody else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::access::Rule;
use super::route::{Asked, Target};
use super::server::Shared;
use super::store::{State, key};
use super::write;

/// Which requests are meant; whatever is not said matches all.
#[derive(Clone, Debug, Default)]
pub(crate) struct On {
    verb: Option<String>,
    resource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    skip: usize,
    times: Option<usize>,
}

impl On {
    /// Every request.
    pub(crate) fn any() -> Self {
        Self::default()
    }

    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`, `deletecollection` or `discovery`. An
    /// apply is a `patch` too.
    pub(crate) fn verb(verb: &str) -> Self {
        Self { verb: Some(verb.into()), ..Self::default() }
    }

    /// The plural, with its subresource if there is one: `deployments`, `pods/log`.
    pub(crate) fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.into());
        self
    }

    pub(crate) fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    pub(crate) fn name(mut self, name: &str) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Begins with the `n`th matching request, counted from 1.
    pub(crate) fn nth(mut self, n: usize) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// For so many requests; for one if nothing is said.
    pub(crate) fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// For ever.
    pub(crate) fn always(self) -> Self {
        self.times(usize::MAX)
    }

    fn matches(&self, seen: &Seen) -> bool {
        let is = |asked: &Option<String>, one: &str| asked.as_ref().is_none_or(|asked| asked == one);
        let is_verb = is(&self.verb, &seen.verb) || (seen.is_apply && is(&self.verb, "apply"));
        is_verb
            && is(&self.resource, &seen.resource)
            && is(&self.namespace, &seen.namespace)
            && is(&self.name, &seen.name)
    }
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// 429 with `Retry-After` in seconds, before anything was done.
    TooManyRequests { retry_after: u64 },
    /// A failure with this code, before anything was done.
    Status(u16),
    /// 401, as when a token has run out.
    Unauthorized,
    /// The connection is closed before anything was done.
    CloseBefore,
    /// What was asked is done, and the connection closed without an answer.
    CloseAfter,
    /// The connection is closed at once, and what was asked is done only later.
    LateEffect(Duration),
    /// Nothing is done before so long.
    DelayBefore(Duration),
    /// It is done at once, and answered after so long.
    DelayAnswer(Duration),
    /// The answer's body ends in the middle.
    Truncate,
    /// A read answers with what was there so many changes ago.
    Stale { changes: u64 },
    /// A watch ends after so many events.
    WatchClosed { after: usize },
    /// A watch gets an ERROR event with 410 after so many events.
    WatchExpired { after: usize },
}

/// A request as it was seen.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) verb: String,
    /// With its subresource.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) is_apply: bool,
    pub(crate) is_dry_run: bool,
    pub(crate) user: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn of(asked: &Asked, target: Option<&Target>) -> Self {
        let none = Target { verb: "discovery".into(), ..Target::default() };
        let target = target.unwrap_or(&none);
        Self {
            verb: target.verb.clone(),
            resource: target.full_resource(),
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            is_apply: asked.is_apply(),
            is_dry_run: asked.param("dryRun") == "All",
            user: String::new(),
            method: asked.method.clone(),
            path: asked.path.clone(),
            query: asked.query.clone(),
            body: String::from_utf8_lossy(&asked.body).into_owned(),
        }
    }
}

/// The faults that wait, and the requests that came.
#[derive(Default)]
pub(crate) struct Faults {
    waiting: Vec<(On, Fault)>,
    pub(crate) seen: Vec<Seen>,
}

impl Faults {
    /// Notes a request, and says what goes wrong with it.
    pub(crate) fn take(&mut self, seen: Seen) -> Option<Fault> {
        let mut taken = None;
        for (on, fault) in &mut self.waiting {
            let left = on.times.unwrap_or(1);
            if left == 0 || !on.matches(&seen) {
                continue;
            }
            if on.skip > 0 {
                on.skip -= 1;
                continue;
            }
            if taken.is_none() {
                on.times = Some(if left == usize::MAX { left } else { left - 1 });
                taken = Some(fault.clone());
            }
        }
        self.seen.push(seen);
        taken
    }
}

/// What a test does to a cluster behind the back of whoever uses it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) shared: Arc<Shared>,
}

impl Control {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        self.shared.with(act)
    }

    /// Something goes wrong with the requests that are meant.
    pub(crate) fn fault(&self, on: On, fault: Fault) {
        self.with(|state| state.faults.waiting.push((on, fault)));
    }

    /// No fault waits any longer.
    pub(crate) fn clear_faults(&self) {
        self.with(|state| state.faults.waiting.clear());
    }

    /// The requests since the beginning or the last `forget`, those of discovery too.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.with(|state| state.faults.seen.clone())
    }

    /// How many of the requests are meant.
    pub(crate) fn count(&self, on: &On) -> usize {
        self.with(|state| state.faults.seen.iter().filter(|seen| on.matches(seen)).count())
    }

    /// The requests so far are forgotten.
    pub(crate) fn forget(&self) {
        self.with(|state| state.faults.seen.clear());
    }

    /// The objects of a resource of any group, by its plural, in the order of namespace and name.
    pub(crate) fn objects(&self, plural: &str) -> Vec<Value> {
        self.with(|state| {
            let is_it = |key: &&super::store::Key| key.1 == plural;
            state.objects.keys().filter(is_it).map(|key| (*state.objects[key]).clone()).collect()
        })
    }

    /// One object.
    pub(crate) fn object(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let mut all = self.objects(plural).into_iter();
        let is_it = |one: &Value| {
            one["metadata"]["namespace"].as_str().unwrap_or_default() == namespace && one["metadata"]["name"] == name
        };
        all.rfind(is_it)
    }

    /// Does a request as another field manager, without faults, rights or counting; panics with the failure.
    fn act(&self, method: &str, manager: &str, content: &str, place: (&str, &str, &str), body: &Value) -> Value {
        let (plural, namespace, name) = place;
        self.with(|state| {
            let (base, sub) = plural.split_once('/').unwrap_or((plural, ""));
            let kind = state.kinds.iter().find(|kind| kind.plural == base);
            let kind = kind.unwrap_or_else(|| panic!("no resource {base}")).clone();
            let prefix = if kind.group.is_empty() { "/api/v1".into() } else { format!("/apis/{}", kind.api_version()) };
            let mut path = prefix;
            if kind.namespaced {
                path += &format!("/namespaces/{namespace}");
            }
            path += &format!("/{base}");
            for part in [name, sub].iter().filter(|part| !part.is_empty()) {
                path += &format!("/{part}");
            }
            let mut headers = axum::http::HeaderMap::new();
            headers.insert("content-type", content.parse().unwrap());
            let query = BTreeMap::from([("fieldManager".into(), manager.into()), ("force".into(), "true".into())]);
            let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
            let asked = Asked { method: method.into(), path, query, headers, body };
            let target = Target::of(&asked).unwrap();
            match write::process(state, &kind, &target, &asked) {
                Ok((_, value)) => value,
                Err(failure) => panic!("{method} {}: {}", asked.path, failure.body()["message"]),
            }
        })
    }

    /// Creates an object, or applies it by force if it is there, as `manager`. It says itself what and where it is.
    pub(crate) fn put(&self, manager: &str, object: &Value) -> Value {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
        let find = |state: &mut State| state.kinds.iter().find(|one| one.kind == kind).map(|one| one.plural.clone());
        let plural = self.with(find).unwrap_or_else(|| panic!("no kind {kind}"));
        let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
        self.act("PATCH", manager, "application/apply-patch+yaml", (&plural, &namespace, &name), object)
    }

    /// A merge patch as `manager`. The plural may have a subresource: `deployments/status`.
    pub(crate) fn patch(&self, manager: &str, plural: &str, namespace: &str, name: &str, patch: &Value) -> Value {
        self.act("PATCH", manager, "application/merge-patch+json", (plural, namespace, name), patch)
    }

    /// Lays a status over the one that is there, as the controller that is its manager.
    pub(crate) fn update_status(&self, plural: &str, namespace: &str, name: &str, status: &Value) -> Value {
        let patch = json!({"status": status});
        self.patch("kube-controller-manager", &format!("{plural}/status"), namespace, name, &patch)
    }

    /// Deletes an object in the ordinary way: finalizers hold it.
    pub(crate) fn delete(&self, plural: &str, namespace: &str, name: &str) {
        self.act("DELETE", "somebody", "application/json", (plural, namespace, name), &Value::Null);
    }

    /// The object is gone at once, whatever held it.
    pub(crate) fn vanish(&self, plural: &str, namespace: &str, name: &str) {
        self.with(|state| {
            let kind = state.kinds.iter().find(|kind| kind.plural == plural);
            let group = kind.unwrap_or_else(|| panic!("no resource {plural}")).group.clone();
            state.remove(&key(&group, plural, namespace, name));
        });
    }

    /// What a container wrote.
    pub(crate) fn log(&self, namespace: &str, pod: &str, container: &str, text: &str) {
        let key = (namespace.into(), pod.into(), container.into(), false);
        self.with(|state| state.logs.insert(key, text.into()));
    }

    /// What a container wrote before it was restarted.
    pub(crate) fn previous_log(&self, namespace: &str, pod: &str, container: &str, text: &str) {
        let key = (namespace.into(), pod.into(), container.into(), true);
        self.with(|state| state.logs.insert(key, text.into()));
    }

    /// Somebody gets a token and rights.
    pub(crate) fn user(&self, token: &str, name: &str, rules: Vec<Rule>) {
        self.with(|state| state.access.add(token, name, rules));
    }

    /// A token runs out.
    pub(crate) fn expire_token(&self, token: &str) {
        self.with(|state| state.access.expired.push(token.into()));
    }

    /// Watches and pages that began before now are expired.
    pub(crate) fn compact(&self) {
        self.with(|state| state.oldest = state.version);
    }

    /// An admission webhook for a resource by its plural (`*`: all): it may change an object, or refuse it.
    pub(crate) fn webhook(
        &self,
        name: &str,
        plural: &str,
        admit: impl Fn(&mut Value) -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.with(|state| state.webhooks.push((name.into(), plural.into(), Arc::new(admit))));
    }

    /// How long a deleted namespace waits before its content is deleted.
    pub(crate) fn namespace_delay(&self, delay: Duration) {
        self.with(|state| state.namespace_delay = delay);
    }

    /// How long a new CustomResourceDefinition waits before its resources are served.
    pub(crate) fn definition_delay(&self, delay: Duration) {
        self.with(|state| state.definition_delay = delay);
    }

    /// A deleted pod that runs on a node stays, with its deletion timestamp, until it is deleted with a grace of zero.
    pub(crate) fn pods_linger(&self, linger: bool) {
        self.with(|state| state.pods_linger = linger);
    }
}
