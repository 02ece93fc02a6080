//! The blobs of a ledger that is kept elsewhere, as files on this machine.
//!
//! They stand where a local ledger's own blobs would, under the same names, so that what is planned says the same paths
//! wherever the ledger is. A file counts only if its content is what its name says; it is looked at each time it is asked for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::ledger::backend::MAX_BLOB_BYTES;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{Digest, Digester};
use crate::ports::fs;

use super::blobs;
use super::layout::Layout;

/// A directory of blobs.
#[derive(Debug, Clone)]
pub struct BlobCache {
    layout: Layout,
}

impl BlobCache {
    /// The cache in an environment's directory below `state/`, which need not exist.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self { layout: Layout { root: directory.to_path_buf() } }
    }

    /// The file with the content of a digest, verified just now. `None` if there is none, or a rotten one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn find(&self, digest: Digest) -> Result<Option<PathBuf>> {
        self.run(move |layout| match blobs::file(layout, digest) {
            Ok(path) => Ok(Some(path)),
            Err(LedgerError::BlobMissing { .. } | LedgerError::BlobCorrupt { .. }) => Ok(None),
            Err(e) => Err(e),
        })
        .await
    }

    /// Copies a file in, as one that can be run, and gives the digest and size of the copy, which does not change any more.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn put_file(&self, path: &Path) -> Result<(Digest, u64)> {
        let path = path.to_path_buf();
        self.run(move |layout| blobs::put_file(layout, &path, true)).await
    }

    /// Removes the files of blobs that are kept no more.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub async fn discard(&self, blobs: &BTreeSet<Digest>) -> Result<()> {
        let blobs = blobs.clone();
        self.run(move |layout| blobs::discard(layout, &blobs)).await
    }

    /// Begins a file of which the content comes in pieces.
    ///
    /// # Errors
    /// When nothing can be written.
    pub async fn begin(&self) -> Result<Incoming> {
        let temporary = self.run(blobs::begin).await?;
        Ok(Incoming { cache: self.clone(), temporary, digester: Digester::default(), size: 0 })
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&Layout) -> Result<T> + Send + 'static) -> Result<T> {
        let layout = self.layout.clone();
        super::blocking(self.layout.place(), move || work(&layout)).await
    }
}

/// A file that is coming in. Given up, it is removed.
#[derive(Debug)]
pub struct Incoming {
    cache: BlobCache,
    temporary: PathBuf,
    digester: Digester,
    size: u64,
}

impl Incoming {
    /// Adds the next piece.
    ///
    /// # Errors
    /// When it cannot be written, or makes more than a blob may be.
    pub async fn add(&mut self, piece: Vec<u8>) -> Result<()> {
        self.digester.update(&piece);
        self.size += piece.len() as u64;
        if self.size > MAX_BLOB_BYTES {
            let what = "a blob".to_owned();
            return Err(LedgerError::TooLarge { what, bytes: self.size, limit: MAX_BLOB_BYTES });
        }
        let path = self.temporary.clone();
        self.cache.run(move |layout| fs::append(&path, &piece, blobs::INCOMING).map_err(layout.not_written())).await
    }

    /// Gives the file its name, if its content is that of the digest.
    ///
    /// # Errors
    /// `BlobCorrupt`, with the place that the pieces came from, when it is not; when it cannot be written.
    pub async fn finish(mut self, wanted: Digest, place: String) -> Result<PathBuf> {
        if std::mem::take(&mut self.digester).finish() != wanted {
            return Err(LedgerError::BlobCorrupt { place, digest: wanted });
        }
        let temporary = self.temporary.clone();
        self.cache.run(move |layout| blobs::finish(layout, &temporary, &wanted)).await
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Gone already where it got its name.
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::format::digest;

    #[tokio::test]
    async fn only_what_its_name_says_gets_the_name() {
        let directory = tempfile::tempdir().unwrap();
        let cache = BlobCache::new(&directory.path().join("state"));
        let wanted = digest(b"one two");
        assert_eq!(cache.find(wanted).await.unwrap(), None);
        let mut other = cache.begin().await.unwrap();
        other.add(b"one tw".to_vec()).await.unwrap();
        let refused = other.finish(wanted, "there".to_owned()).await.unwrap_err();
        assert!(matches!(refused, LedgerError::BlobCorrupt { place, digest } if place == "there" && digest == wanted));
        let mut whole = cache.begin().await.unwrap();
        whole.add(b"one ".to_vec()).await.unwrap();
        whole.add(b"two".to_vec()).await.unwrap();
        let path = whole.finish(wanted, "there".to_owned()).await.unwrap();
        assert_eq!(cache.find(wanted).await.unwrap().as_ref(), Some(&path));
        assert_eq!(fs::mode(&path).unwrap(), 0o500);
        let left = std::fs::read_dir(directory.path().join("state/blobs")).unwrap().count();
        assert_eq!(left, 1, "nothing but the blob's directory is left");
        // A rotten one counts as none.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "one twO").unwrap();
        assert_eq!(cache.find(wanted).await.unwrap(), None);
    }
}
