//! Removing blobs, and what that means for the names of those that are kept after it.
//!
//! A store removes an object under no condition that would know its writer, so a removal that was under way when its process
//! was stopped may arrive at any time. It must hit nothing then that anybody needs. So the names are written down first
//! ([`object::removal`]), then it is looked whether another has taken over, and only then they are removed. Whoever takes over
//! puts its fence first and reads these lists after that. Either it finds the list, and what it keeps again gets a name that
//! no earlier list can have ([`object::blob_anew`]); or its fence is found here, and nothing is removed.
//!
//! What is put before anybody has ever removed anything, that is nearly always, has just its digest for a name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use futures_util::future::try_join_all;
use reqwest::Method;

use super::Shared;
use super::chain::SIDE_BY_SIDE;
use super::client::{Ask, Condition};
use super::object::{self, BLOBS, MAX_OBJECT, REMOVALS};
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{Digest, Lineage};
use crate::ports::crash;

/// So many names are in one list, which has about 100 bytes for each.
const LISTED_AT_ONCE: usize = 5000;

/// What is known about the names of blobs.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// The epoch of this writer; 0 for one that never took over.
    epoch: u64,
    /// The names that an earlier writer may still remove; read when a blob is put first after the takeover.
    doomed: Option<Arc<BTreeSet<String>>>,
    /// The objects of each blob, as they were listed last.
    listed: BTreeMap<Digest, Vec<String>>,
}

/// A writer's claim to the place after the newest entry.
pub(super) struct Turn<'a> {
    pub(super) lineage: &'a Lineage,
    pub(super) epoch: u64,
    /// The name of the object there.
    pub(super) position: String,
    /// What holds of it as long as nobody else has taken over.
    pub(super) next: &'a Condition,
}

impl Shared {
    fn names<T>(&self, work: impl FnOnce(&mut Names) -> T) -> T {
        work(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The ledger was taken over: what earlier writers may still remove has to be looked for from here on.
    pub(super) fn took_over(&self, epoch: u64) {
        self.names(|names| *names = Names { epoch, ..Names::default() });
    }

    /// The names that were ever written down for removal.
    async fn doomed(&self) -> Result<Arc<BTreeSet<String>>> {
        if let Some(known) = self.names(|names| names.doomed.clone()) {
            return Ok(known);
        }
        let mut all = BTreeSet::new();
        for list in self.client.list(REMOVALS, None).await.map_err(self.unreadable())? {
            all.extend(self.removal(&list.key).await?);
        }
        let all = Arc::new(all);
        self.names(|names| names.doomed = Some(Arc::clone(&all)));
        Ok(all)
    }

    /// The names in a list.
    pub(super) async fn removal(&self, list: &str) -> Result<Vec<String>> {
        let found = self.client.get(list, MAX_OBJECT).await.map_err(self.unreadable())?;
        let found = found.ok_or_else(|| self.corrupt(list, "it comes and goes".to_owned()))?;
        object::parse_removal(&found.bytes).map_err(|reason| self.corrupt(list, reason))
    }

    /// The name under which a blob is kept: that of an object which nobody can remove behind this writer's back.
    pub(super) async fn name_to_keep(&self, digest: &Digest) -> Result<String> {
        let (plain, doomed) = (object::blob(digest), self.doomed().await?);
        if !doomed.contains(&plain) {
            return Ok(plain);
        }
        let there = self.anew(digest).await?.into_iter().find(|name| !doomed.contains(name));
        Ok(there.unwrap_or_else(|| object::blob_anew(digest, self.names(|names| names.epoch))))
    }

    /// The other names of a blob under which something stands, the newest first.
    pub(super) async fn anew(&self, digest: &Digest) -> Result<Vec<String>> {
        let start = format!("{}.", object::blob(digest));
        let listed = self.client.list(&start, None).await.map_err(self.unreadable())?;
        let mut names: Vec<String> = listed.into_iter().map(|listed| listed.key).collect();
        names.retain(|name| object::blob_of(name) == Some(*digest));
        // Longer numbers are greater ones.
        names.sort_by(|a, b| (b.len(), b).cmp(&(a.len(), a)));
        Ok(names)
    }

    /// The sizes of all blobs.
    pub(super) async fn blob_sizes(&self) -> Result<BTreeMap<Digest, u64>> {
        let (mut sizes, mut listed) = (BTreeMap::new(), BTreeMap::<Digest, Vec<String>>::new());
        for object in self.client.list(BLOBS, None).await.map_err(self.unreadable())? {
            // What is no blob among them is a finding of `state verify`.
            let Some(digest) = object::blob_of(&object.key) else { continue };
            *sizes.entry(digest).or_default() += object.size;
            listed.entry(digest).or_default().push(object.key);
        }
        self.names(|names| names.listed = listed);
        Ok(sizes)
    }

    /// Removes the objects of blobs as long as it is this writer's turn.
    pub(super) async fn remove(&self, blobs: &BTreeSet<Digest>, turn: &Turn<'_>) -> Result<()> {
        if self.names(|names| blobs.iter().any(|blob| !names.listed.contains_key(blob))) {
            self.blob_sizes().await?;
        }
        let objects = |names: &mut Names| blobs.iter().filter_map(|blob| names.listed.remove(blob)).flatten().collect();
        let all: Vec<String> = self.names(objects);
        for some in all.chunks(LISTED_AT_ONCE) {
            let (name, bytes) = object::removal(turn.lineage, turn.epoch, some);
            let bytes = Bytes::from(bytes);
            let write_down = || async {
                let ask = Ask { body: bytes.clone(), ..Ask::new("s3:PutObject", Method::PUT, &name) };
                self.client.once(&ask).await.map(drop)
            };
            crash::point("ledger.s3.remove.before");
            self.client.again(write_down).await.map_err(self.not_written())?;
            crash::point("ledger.s3.remove.listed");
            for few in some.chunks(SIDE_BY_SIDE) {
                self.still(turn).await?;
                let removals = few.iter().map(|name| self.client.delete(name));
                try_join_all(removals).await.map_err(self.not_written())?;
                crash::point("ledger.s3.remove.after");
            }
        }
        Ok(())
    }

    /// Whether nobody has taken over.
    async fn still(&self, turn: &Turn<'_>) -> Result<()> {
        let there = self.client.get(&turn.position, MAX_OBJECT).await.map_err(self.unreadable())?;
        let mine = match (turn.next, &there) {
            (Condition::Absent, None) => true,
            (Condition::Tag(mine), Some(there)) => *mine == there.tag,
            _ => false,
        };
        if mine { Ok(()) } else { Err(LedgerError::Fenced { place: self.place() }) }
    }
}
