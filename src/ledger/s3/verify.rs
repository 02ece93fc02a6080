//! `state verify`: every object.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};

use super::Shared;
use super::chain::SIDE_BY_SIDE;
use super::object::{self, BLOBS, KEY, LEASE, LEDGER, MARKER, REMOVALS};
use super::write;
use super::xml::Listed;
use crate::ledger::backend::{Finding, Verification};
use crate::ledger::checkpoint::POINTER;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::Digest;

impl Shared {
    /// Verifies a ledger. `None` if there is none yet.
    pub(super) async fn verification(&self, referenced: &BTreeSet<Digest>) -> Result<Option<Verification>> {
        let Some(reading) = self.reading().await? else { return Ok(None) };
        let mut findings = Vec::new();
        if !reading.marked {
            let reason = "it is missing; the next command that writes makes it anew".to_owned();
            findings.push(Finding::Defect { file: MARKER.to_owned(), reason });
        }
        match write::stored_key(self).await {
            Ok(Some(_)) => {}
            Ok(None) => findings.push(Finding::Defect { file: KEY.to_owned(), reason: "it is missing".to_owned() }),
            Err(LedgerError::Corrupt { file, reason, .. }) => findings.push(Finding::Defect { file, reason }),
            Err(e) => return Err(e),
        }
        let all = self.client.list("", None).await.map_err(self.unreadable())?;
        let (mut blobs, mut strays) = (Vec::new(), Vec::new());
        for Listed { key, .. } in all {
            let known = [MARKER, KEY, LEASE, POINTER].contains(&key.as_str());
            match object::blob_of(&key) {
                Some(digest) if key.starts_with(BLOBS) => blobs.push((digest, key)),
                _ if key.starts_with(REMOVALS) => match self.removal(&key).await {
                    Err(LedgerError::Corrupt { file, reason, .. }) => findings.push(Finding::Defect { file, reason }),
                    read => drop(read?),
                },
                // What stands at a position was read; what came since is not of this reading.
                _ if known || (key.starts_with(LEDGER) && object::position_of(&key).is_some()) => {}
                _ => strays.push(key),
            }
        }
        findings.extend(strays.into_iter().map(|file| Finding::Stray { file }));
        let good = self.blob_findings(&blobs, referenced, &mut findings).await?;
        let epochs: BTreeSet<u64> = reading.entries.iter().map(|entry| entry.epoch).collect();
        let fences = reading.fence.iter().filter(|fence| !epochs.contains(&fence.epoch)).count();
        let writers = (epochs.len() + fences) as u64;
        Ok(Some(Verification { lineage: reading.lineage, head: reading.head, writers, blobs: good, findings }))
    }

    /// Reads every blob, under each of its names, and gives the number of good ones.
    async fn blob_findings(
        &self,
        blobs: &[(Digest, String)],
        referenced: &BTreeSet<Digest>,
        findings: &mut Vec<Finding>,
    ) -> Result<u64> {
        let mut checks = stream::iter(
            blobs.iter().cloned().map(|(digest, name)| async move { (digest, self.check(digest, name).await) }),
        )
        .buffered(SIDE_BY_SIDE);
        let mut good = BTreeSet::new();
        while let Some((digest, checked)) = checks.next().await {
            match checked {
                Ok(()) => {
                    good.insert(digest);
                }
                Err(LedgerError::BlobCorrupt { .. }) => findings.push(Finding::BlobCorrupt { digest }),
                // Listed, and gone since.
                Err(LedgerError::BlobMissing { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        let there: BTreeSet<Digest> = blobs.iter().map(|(digest, _)| *digest).collect();
        findings.extend(referenced.difference(&there).map(|&digest| Finding::BlobMissing { digest }));
        Ok(good.len() as u64)
    }
}
