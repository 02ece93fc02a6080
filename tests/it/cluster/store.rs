//! What the server remembers: the objects, and every change ever made to them, in order.
//!
//! One counter numbers all changes. The whole history is kept, so that a list can be read as of an old version (pages of
//! one list, stale reads) and a watch can begin at any.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::access::Access;
use super::control::Faults;
use super::schema::{self, Kind};

/// Group, resource, namespace, name.
pub(crate) type Key = (String, String, String, String);

/// A change.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) version: u64,
    pub(crate) key: Key,
    /// None for a creation.
    pub(crate) before: Option<Arc<Value>>,
    /// None for a deletion; `last` has what it was then.
    pub(crate) after: Option<Arc<Value>>,
    pub(crate) last: Arc<Value>,
}

/// A stand-in for a mutating or validating webhook.
pub(crate) type Webhook = Arc<dyn Fn(&mut Value) -> Result<(), String> + Send + Sync>;

/// The whole state of a cluster.
pub(crate) struct State {
    pub(crate) version: u64,
    pub(crate) kinds: Vec<Arc<Kind>>,
    pub(crate) objects: BTreeMap<Key, Arc<Value>>,
    pub(crate) log: Vec<Event>,
    /// Watches and pages from before this version are expired.
    pub(crate) oldest: u64,
    pub(crate) next_address: u32,
    pub(crate) next_port: u32,
    pub(crate) access: Access,
    pub(crate) faults: Faults,
    /// By the pattern `group/resource` or `*`: what admits an object.
    pub(crate) webhooks: Vec<(String, String, Webhook)>,
    pub(crate) logs: BTreeMap<(String, String, String, bool), String>,
    pub(crate) namespace_delay: Duration,
    pub(crate) definition_delay: Duration,
    /// What a `delete` of a pod says its grace is, when a node would have to stop it.
    pub(crate) pods_linger: bool,
}

impl State {
    pub(crate) fn new() -> Self {
        let mut state = Self {
            version: 100,
            kinds: schema::kinds(),
            objects: BTreeMap::new(),
            log: Vec::new(),
            oldest: 0,
            next_address: 10,
            next_port: 30100,
            access: Access::default(),
            faults: Faults::default(),
            webhooks: Vec::new(),
            logs: BTreeMap::new(),
            namespace_delay: Duration::from_millis(50),
            definition_delay: Duration::from_millis(50),
            pods_linger: false,
        };
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            state.put(key("", "namespaces", "", name), namespace(name));
        }
        state
    }

    pub(crate) fn kind(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Kind>> {
        let is_it = |kind: &&Arc<Kind>| kind.group == group && kind.version == version && kind.plural == plural;
        self.kinds.iter().find(is_it).cloned()
    }

    pub(crate) fn kind_of(&self, group: &str, plural: &str) -> Option<Arc<Kind>> {
        self.kinds.iter().find(|kind| kind.group == group && kind.plural == plural).cloned()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.objects.get(key).cloned()
    }

    /// Stores an object under a new version.
    pub(crate) fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(object);
        let before = self.objects.insert(key.clone(), Arc::clone(&object));
        let (after, last) = (Some(Arc::clone(&object)), Arc::clone(&object));
        self.log.push(Event { version: self.version, key, before, after, last });
        object
    }

    /// Removes an object; a watch sees its last state, with the version of the removal.
    pub(crate) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        self.version += 1;
        let mut last = (*before).clone();
        last["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let last = Arc::new(last);
        let event = Event {
            version: self.version,
            key: key.clone(),
            before: Some(Arc::clone(&before)),
            after: None,
            last: Arc::clone(&last),
        };
        self.log.push(event);
        Some(before)
    }

    /// The objects of a resource as they were at a version, in the order of their keys; of all namespaces if none.
    pub(crate) fn list_at(&self, group: &str, resource: &str, namespace: &str, version: u64) -> Vec<(Key, Arc<Value>)> {
        let is_asked = |key: &Key| key.0 == group && key.1 == resource && (namespace.is_empty() || key.2 == namespace);
        let mut all: BTreeMap<Key, Arc<Value>> = self
            .objects
            .range(key(group, resource, namespace, "")..)
            .take_while(|(key, _)| is_asked(key))
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect();
        for event in self.log.iter().rev().take_while(|event| event.version > version) {
            if !is_asked(&event.key) {
                continue;
            }
            match &event.before {
                Some(before) => drop(all.insert(event.key.clone(), Arc::clone(before))),
                None => drop(all.remove(&event.key)),
            }
        }
        all.into_iter().collect()
    }

    pub(crate) fn list(&self, group: &str, resource: &str, namespace: &str) -> Vec<(Key, Arc<Value>)> {
        self.list_at(group, resource, namespace, u64::MAX)
    }
}

pub(crate) fn key(group: &str, resource: &str, namespace: &str, name: &str) -> Key {
    (group.into(), resource.into(), namespace.into(), name.into())
}

/// The present time as objects have it.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// A random UUID, version 4.
pub(crate) fn uid() -> String {
    let mut b = random::<16>();
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The five characters after a `generateName`.
pub(crate) fn suffix() -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    random::<5>().iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": name, "uid": uid(), "creationTimestamp": now(), "labels": {"kubernetes.io/metadata.name": name},
        },
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    })
}
