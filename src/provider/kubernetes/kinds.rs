//! The kinds that a cluster serves, asked once and remembered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::discovery::{Discovery, Scope};

use super::refusal::unserved;
use super::wire::Failure;
use crate::ports::clock::{Clock as _, SystemClock};

/// How soon the server is asked again for a kind that it did not have: a definition that was just made is served a moment later.
const AGAIN: Duration = Duration::from_millis(500);

/// How long a kind that is to be acted on is waited for: its definition may have been made by the step before.
const PATIENCE: Duration = Duration::from_secs(5);

/// A kind as the server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) api_version: String,
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) plural: String,
    pub(super) namespaced: bool,
}

impl Kind {
    /// Where its objects stand: in a namespace, or all of them.
    pub(super) fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{root}/{}/namespaces/{namespace}/{}", self.api_version, self.plural),
            None => format!("{root}/{}/{}", self.api_version, self.plural),
        }
    }

    /// Where one object stands.
    pub(super) fn object(&self, namespace: Option<&str>, name: &str) -> String {
        format!("{}/{name}", self.collection(namespace))
    }
}

/// Kinds by version and name.
type Served = BTreeMap<(String, String), Kind>;

/// What is known of a cluster's kinds.
#[derive(Default)]
pub(super) struct Kinds(tokio::sync::Mutex<Option<(Arc<Served>, Duration)>>);

impl Kinds {
    /// A kind; `None` where the cluster does not serve it.
    pub(super) async fn find(
        &self,
        client: &kube::Client,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<Kind>, Failure> {
        let key = (api_version.to_owned(), kind.to_owned());
        let mut known = self.0.lock().await;
        let now = SystemClock.elapsed();
        if let Some((served, asked)) = &*known {
            let found = served.get(&key).cloned();
            if found.is_some() || now.saturating_sub(*asked) < AGAIN {
                return Ok(found);
            }
        }
        let served = Arc::new(discover(client).await?);
        let found = served.get(&key).cloned();
        *known = Some((served, SystemClock.elapsed()));
        Ok(found)
    }

    /// A kind for an act: one that is not served yet is asked for again and again for a while.
    pub(super) async fn await_kind(
        &self,
        client: &kube::Client,
        api_version: &str,
        kind: &str,
    ) -> Result<Option<Kind>, Failure> {
        let start = SystemClock.elapsed();
        loop {
            let found = self.find(client, api_version, kind).await?;
            if found.is_some() || SystemClock.elapsed().saturating_sub(start) > PATIENCE {
                return Ok(found);
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn discover(client: &kube::Client) -> Result<Served, Failure> {
    // Before 1.26 there is no aggregated discovery; it takes one request for each group then.
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => discovery,
        Err(_) => Discovery::new(client.clone()).run().await.map_err(|e| unserved(&e))?,
    };
    let mut served = Served::new();
    for group in discovery.groups() {
        for version in group.versions() {
            for (resource, capabilities) in group.versioned_resources(version) {
                let kind = Kind {
                    api_version: resource.api_version.clone(),
                    group: resource.group.clone(),
                    kind: resource.kind.clone(),
                    plural: resource.plural.clone(),
                    namespaced: capabilities.scope == Scope::Namespaced,
                };
                served.insert((resource.api_version, resource.kind), kind);
            }
        }
    }
    Ok(served)
}
