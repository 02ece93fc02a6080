//! Blobs: objects named by their digest.
//!
//! A small one is one write under the condition that the name is free. A large one goes up in parts from the copy that
//! the cache on this machine keeps, so that a file which changes meanwhile does no harm, and comes down in pieces, each
//! request going on where the one before broke off. What comes down is verified before anybody sees it.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use reqwest::Method;
use tokio::sync::mpsc;

use super::Shared;
use super::client::{Ask, Condition, tag};
use super::failed::{Failed, Why};
use super::object::{self, MAX_OBJECT};
use super::settle::{self, Settled, points};
use super::xml;
use crate::ledger::backend::MAX_BLOB_BYTES;
use crate::ledger::error::{LedgerError, Result};
use crate::ledger::format::{Digest, Digester, digest};
use crate::ports::{crash, fs};

/// From this size on a blob goes up in parts of this size: 4 GiB are 256 of them, and S3 allows 10,000.
pub(super) const PART: usize = 16 * 1024 * 1024;
/// How much of what comes down is written at a time.
const GATHER: usize = 1024 * 1024;
/// The metadata by which a large blob that is there is known without reading it.
const DIGEST_HEADER: &str = "x-amz-meta-gantry-sha256";

impl Shared {
    /// Keeps bytes.
    pub(super) async fn put_bytes(&self, bytes: Vec<u8>) -> Result<Digest> {
        let size = bytes.len() as u64;
        if size > MAX_BLOB_BYTES {
            return Err(LedgerError::TooLarge { what: "a blob".to_owned(), bytes: size, limit: MAX_BLOB_BYTES });
        }
        self.tried().await?;
        let digest = digest(&bytes);
        let name = self.name_to_keep(&digest).await?;
        if bytes.len() <= self.part {
            self.put_small(&name, bytes.into()).await?;
            return Ok(digest);
        }
        let (send, parts) = mpsc::channel(1);
        let (bytes, part) = (Bytes::from(bytes), self.part);
        let cut = tokio::spawn(async move {
            for start in (0..bytes.len()).step_by(part) {
                if send.send(Ok(bytes.slice(start..bytes.len().min(start + part)))).await.is_err() {
                    return;
                }
            }
        });
        let put = self.put_large(&name, digest, size, parts).await;
        cut.abort();
        put.map(|()| digest)
    }

    /// Keeps the content of a file, in the cache as well.
    pub(super) async fn put_path(&self, path: &Path) -> Result<(Digest, u64)> {
        self.tried().await?;
        let (digest, size) = self.cache.put_file(path).await?;
        let gone = || LedgerError::BlobMissing { place: self.place(), digest };
        let copy = self.cache.find(digest).await?.ok_or_else(gone)?;
        let name = self.name_to_keep(&digest).await?;
        if size > self.part as u64 {
            let (parts, reader) = read_parts(copy, self.part);
            let put = self.put_large(&name, digest, size, parts).await;
            reader.abort();
            put?;
            return Ok((digest, size));
        }
        let (mut parts, _reader) = read_parts(copy, self.part);
        let bytes = match parts.recv().await {
            Some(part) => part.map_err(|source| LedgerError::NotKept { source })?,
            None => Bytes::new(),
        };
        self.put_small(&name, bytes).await?;
        Ok((digest, size))
    }

    async fn put_small(&self, name: &str, bytes: Bytes) -> Result<()> {
        let put = settle::put(&self.client, name, bytes.clone(), &Condition::Absent, points!("blob")).await;
        match put.map_err(self.not_written())? {
            Settled::Mine(_) => return Ok(()),
            Settled::Unknown(reason) => return Err(LedgerError::Unknown { place: self.place(), reason }),
            // Something else under this name is rotten, and written over.
            Settled::Other(_) => tracing::warn!(name, "s3: a damaged blob is written anew"),
        }
        let again = || async {
            let mut ask = Ask::new("s3:PutObject", Method::PUT, name);
            ask.body = bytes.clone();
            self.client.once(&ask).await.map(drop)
        };
        self.client.again(again).await.map_err(self.not_written())
    }

    /// Whether a blob of this size that was put up in parts is there.
    async fn is_there(&self, name: &str, digest: Digest, size: u64) -> Result<bool> {
        let head = || async {
            match self.client.once(&Ask::new("s3:GetObject", Method::HEAD, name)).await {
                Ok(answer) => {
                    let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok());
                    let same_size = header("content-length").and_then(|n| n.parse().ok()) == Some(size);
                    Ok(same_size && header(DIGEST_HEADER) == Some(&digest.to_string()))
                }
                Err(failed) if failed.why == Why::Missing => Ok(false),
                Err(failed) => Err(failed),
            }
        };
        self.client.again(head).await.map_err(self.unreadable())
    }

    async fn put_large(&self, name: &str, digest: Digest, size: u64, parts: Parts) -> Result<()> {
        if self.is_there(name, digest, size).await? {
            return Ok(());
        }
        let start = || async {
            let mut ask = Ask::new("s3:PutObject", Method::POST, name);
            ask.query = vec![("uploads", "")];
            ask.headers = vec![(DIGEST_HEADER, digest.to_string())];
            let body = self.client.body(self.client.once(&ask).await?, MAX_OBJECT).await?;
            let id = xml::field(&body, "InitiateMultipartUploadResult", "UploadId");
            id.map_err(|e| Failed::new(Why::Other, &format!("the answer cannot be read: {e}")))
        };
        let id = self.client.again(start).await.map_err(self.not_written())?;
        let done = self.send_parts(name, &id, parts).await;
        if done.is_err() {
            // What was sent would be kept, and paid for, without a name.
            let abort = || async {
                let mut ask = Ask::new("s3:AbortMultipartUpload", Method::DELETE, name);
                ask.query = vec![("uploadId", &id)];
                self.client.once(&ask).await.map(drop)
            };
            drop(self.client.again(abort).await);
        }
        done?;
        // A completion whose answer was lost, or that only says it is done: what counts is what stands there.
        if self.is_there(name, digest, size).await? {
            return Ok(());
        }
        let reason = format!("{name} is not there after all its parts were sent");
        Err(LedgerError::Unknown { place: self.place(), reason })
    }

    async fn send_parts(&self, name: &str, id: &str, mut parts: Parts) -> Result<()> {
        let mut list = String::from("<CompleteMultipartUpload>");
        let mut number = 0_u32;
        while let Some(part) = parts.recv().await {
            let part = part.map_err(|source| LedgerError::NotWritten { place: self.place(), source })?;
            number += 1;
            let part_number = number.to_string();
            let put = || async {
                let mut ask = Ask::new("s3:PutObject", Method::PUT, name);
                ask.query = vec![("partNumber", &part_number), ("uploadId", id)];
                ask.body = part.clone();
                self.client.once(&ask).await.map(|answer| tag(&answer))
            };
            crash::point("ledger.s3.part.before");
            let tag = self.client.again(put).await.map_err(self.not_written())?;
            crash::point("ledger.s3.part.after");
            let tag = tag.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;");
            list.push_str(&format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"));
        }
        list.push_str("</CompleteMultipartUpload>");
        let body = Bytes::from(list);
        let complete = || async {
            let mut ask = Ask::new("s3:PutObject", Method::POST, name);
            ask.query = vec![("uploadId", id)];
            ask.body = body.clone();
            let answer = self.client.once(&ask).await;
            match answer {
                Ok(answer) => {
                    // It answers 200 before it has begun, and says in the body how it ended.
                    let body = self.client.body(answer, MAX_OBJECT).await?;
                    let said = xml::said(&body);
                    if said.code.is_empty() { Ok(()) } else { Err(Failed::answered(500, &said, None)) }
                }
                // Done by an earlier attempt whose answer was lost; if not, the look that follows tells.
                Err(failed) if failed.why == Why::Missing => Ok(()),
                Err(failed) => Err(failed),
            }
        };
        crash::point("ledger.s3.complete.before");
        let done = self.client.again(complete).await.map_err(self.not_written());
        crash::point("ledger.s3.complete.after");
        done
    }

    /// A file of the cache with the content of a blob, verified.
    pub(super) async fn get_path(&self, wanted: Digest) -> Result<PathBuf> {
        if let Some(path) = self.cache.find(wanted).await? {
            return Ok(path);
        }
        let mut incoming = self.cache.begin().await?;
        let mut gathered = Vec::new();
        let mut pieces = self.pieces(wanted);
        while let Some(piece) = pieces.next().await? {
            gathered.extend_from_slice(&piece);
            if gathered.len() >= GATHER {
                incoming.add(std::mem::take(&mut gathered)).await?;
            }
        }
        incoming.add(gathered).await?;
        incoming.finish(wanted, self.place()).await
    }

    /// The bytes of a blob, verified.
    pub(super) async fn get_bytes(&self, wanted: Digest) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut pieces = self.pieces(wanted);
        while let Some(piece) = pieces.next().await? {
            bytes.extend_from_slice(&piece);
        }
        if digest(&bytes) == wanted { Ok(bytes) } else { Err(self.rotten(wanted)) }
    }

    /// Reads the object of a blob to its end and says whether it is what its name says.
    pub(super) async fn check(&self, wanted: Digest, name: String) -> Result<()> {
        let mut digester = Digester::default();
        let mut pieces = Pieces { name, searched: true, ..self.pieces(wanted) };
        while let Some(piece) = pieces.next().await? {
            digester.update(&piece);
        }
        if digester.finish() == wanted { Ok(()) } else { Err(self.rotten(wanted)) }
    }

    fn rotten(&self, digest: Digest) -> LedgerError {
        LedgerError::BlobCorrupt { place: self.place(), digest }
    }

    fn pieces(&self, wanted: Digest) -> Pieces<'_> {
        let (name, tag) = (object::blob(&wanted), String::new());
        Pieces { shared: self, wanted, name, searched: false, answer: None, tag, read: 0, failures: 0 }
    }
}

/// A blob that comes down, not verified yet.
struct Pieces<'a> {
    shared: &'a Shared,
    wanted: Digest,
    /// The object's name.
    name: String,
    /// Whether there is no other name to look for.
    searched: bool,
    answer: Option<reqwest::Response>,
    tag: String,
    read: u64,
    failures: u32,
}

impl Pieces<'_> {
    /// The next piece. Where the connection breaks, another request goes on from there; only when several in a row
    /// bring nothing is it given up.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let client = &self.shared.client;
        loop {
            let mut answer = match self.answer.take() {
                Some(answer) => answer,
                None => self.ask().await?,
            };
            match client.piece(&mut answer).await {
                Ok(Some(piece)) => {
                    self.read += piece.len() as u64;
                    self.failures = 0;
                    self.answer = Some(answer);
                    if self.read > MAX_BLOB_BYTES {
                        return Err(self.shared.rotten(self.wanted));
                    }
                    return Ok(Some(piece));
                }
                Ok(None) => return Ok(None),
                Err(failed) => {
                    self.failures += 1;
                    if self.failures >= client.patience.tries {
                        return Err(self.shared.unreadable()(failed));
                    }
                    client.pause(self.failures - 1).await;
                }
            }
        }
    }

    async fn ask(&mut self) -> Result<reqwest::Response> {
        let shared = self.shared;
        loop {
            match shared.rest_of(&self.name, self.read, &self.tag).await {
                Ok(answer) => {
                    self.tag = tag(&answer);
                    return Ok(answer);
                }
                Err(failed) if failed.why == Why::Missing => match self.other_name().await? {
                    Some(name) => self.name = name,
                    None => return Err(LedgerError::BlobMissing { place: shared.place(), digest: self.wanted }),
                },
                // Written anew while it was read.
                Err(failed) if failed.why == Why::Refused => return Err(shared.rotten(self.wanted)),
                Err(failed) => return Err(shared.unreadable()(failed)),
            }
        }
    }

    /// What is kept anew after it was removed stands under another name.
    async fn other_name(&mut self) -> Result<Option<String>> {
        if self.searched || self.read > 0 {
            return Ok(None);
        }
        self.searched = true;
        Ok(self.shared.anew(&self.wanted).await?.into_iter().next())
    }
}

impl Shared {
    /// Asks for an object, from where it was read to.
    async fn rest_of(&self, name: &str, read: u64, tag: &str) -> std::result::Result<reqwest::Response, Failed> {
        let ask = || async {
            let mut ask = Ask::new("s3:GetObject", Method::GET, name);
            if read > 0 {
                ask.headers.push(("range", format!("bytes={read}-")));
                ask.headers.push(("if-match", tag.to_owned()));
            }
            let answer = self.client.once(&ask).await?;
            if read > 0 && answer.status().as_u16() != 206 {
                return Err(Failed::new(Why::Unsupported, "it does not give a part of an object"));
            }
            Ok(answer)
        };
        self.client.again(ask).await
    }
}

type Parts = mpsc::Receiver<fs::Result<Bytes>>;

/// Reads a file in parts, on a thread that may block; no part is read before the one before it is wanted.
fn read_parts(path: PathBuf, part: usize) -> (Parts, tokio::task::JoinHandle<()>) {
    let (send, parts) = mpsc::channel(1);
    let reader = tokio::task::spawn_blocking(move || {
        let mut gathered = Vec::with_capacity(part);
        let mut open = true;
        let read = fs::read_pieces(&path, true, MAX_BLOB_BYTES, &mut |mut piece| {
            while open && !piece.is_empty() {
                let (now, later) = piece.split_at(piece.len().min(part - gathered.len()));
                gathered.extend_from_slice(now);
                piece = later;
                if gathered.len() == part {
                    let full = std::mem::replace(&mut gathered, Vec::with_capacity(part));
                    open = send.blocking_send(Ok(full.into())).is_ok();
                }
            }
            Ok(())
        });
        let last = read.map(|_| Bytes::from(gathered));
        if !matches!(&last, Ok(bytes) if bytes.is_empty()) {
            // Nobody is left to be told where this fails.
            drop(send.blocking_send(last));
        }
    });
    (parts, reader)
}
