//! The tables: made at the first write, found by those who only read.

use std::sync::atomic::{AtomicBool, Ordering};

use sqlx::Row as _;

use crate::ledger::error::{LedgerError, Result};
use crate::ports::crash;

use super::link::{Arg, Link};

/// The number of this arrangement of tables.
const LAYOUT: i64 = 1;

/// The first version of Gantry that knows it.
const LAYOUT_NEEDS: &str = "0.1.0";

/// The tables.
const NAMES: [&str; 6] = ["about", "ledger", "batch", "blob", "blob_part", "lease"];

/// The names of the tables, quoted, with their schema.
#[derive(Debug)]
pub(super) struct Tables {
    schema: String,
    pub(super) quoted: String,
    pub(super) ledger: String,
    pub(super) batch: String,
    pub(super) blob: String,
    pub(super) blob_part: String,
    pub(super) lease: String,
    about: String,
    /// Whether they were seen.
    there: AtomicBool,
}

impl Tables {
    pub(super) fn new(schema: &str) -> Self {
        let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
        let name = |table: &str| format!("{quoted}.{table}");
        Self {
            schema: schema.to_owned(),
            ledger: name("ledger"),
            batch: name("batch"),
            blob: name("blob"),
            blob_part: name("blob_part"),
            lease: name("lease"),
            about: name("about"),
            quoted,
            there: AtomicBool::new(false),
        }
    }

    /// The script that makes them.
    fn create(&self) -> String {
        let Self { quoted, ledger, batch, blob, blob_part, lease, about, schema, .. } = self;
        let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
        // Two that come first at the same time would collide in the catalogue. The schema is made only where it is missing,
        // because who may use one that is there need not be allowed to make any.
        let (lock, name) = (literal(&format!("gantry {schema}")), literal(quoted));
        format!(
            "BEGIN; \
             SELECT pg_advisory_xact_lock(hashtext({lock})); \
             DO $gantry$ BEGIN IF to_regnamespace({name}) IS NULL THEN CREATE SCHEMA {quoted}; END IF; END $gantry$; \
             CREATE TABLE {about} (layout bigint NOT NULL PRIMARY KEY, needs text NOT NULL); \
             CREATE TABLE {ledger} (name text PRIMARY KEY, lineage text, format bigint, needs text, \
               epoch bigint NOT NULL DEFAULT 0, head_seq bigint, head_digest bytea, head_epoch bigint, key bytea, checkpoint text); \
             CREATE TABLE {batch} (name text, lineage text, seq bigint, last bigint NOT NULL, epoch bigint NOT NULL, \
               written timestamptz NOT NULL DEFAULT now(), lines bytea NOT NULL, PRIMARY KEY (name, lineage, seq)); \
             CREATE TABLE {blob} (name text, digest bytea, size bigint NOT NULL, parts bigint NOT NULL, \
               PRIMARY KEY (name, digest)); \
             CREATE TABLE {blob_part} (name text, digest bytea, part bigint, bytes bytea NOT NULL, \
               PRIMARY KEY (name, digest, part)); \
             ALTER TABLE {blob_part} ALTER bytes SET STORAGE EXTERNAL; \
             CREATE TABLE {lease} (name text PRIMARY KEY, record text NOT NULL); \
             INSERT INTO {about} (layout, needs) VALUES ({LAYOUT}, '{LAYOUT_NEEDS}'); \
             COMMIT"
        )
    }
}

impl Link {
    /// Whether the tables are there and of this layout. Some of them are a lost ledger.
    pub(super) async fn has_tables(&self) -> Result<bool> {
        if self.tables.there.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let sql = "SELECT c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')";
        let rows = self.rows(sql, &[Arg::Text(&self.tables.schema)]).await.map_err(self.unreadable())?;
        let found: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
        let missing: Vec<&str> = NAMES.into_iter().filter(|name| !found.iter().any(|f| f == name)).collect();
        if missing.len() == NAMES.len() {
            return Ok(false);
        }
        if missing.contains(&"about") && missing.len() > 1 {
            let has: Vec<&str> = NAMES.into_iter().filter(|name| !missing.contains(name)).collect();
            return Err(LedgerError::Unavailable {
                place: self.place.clone(),
                writing: false,
                reason: format!(
                    "the schema has tables of somebody else under the names that Gantry uses: {}",
                    has.join(", ")
                ),
                hint: "name a schema of its own in the `state` block: schema = \"…\"".to_owned(),
            });
        }
        if !missing.is_empty() {
            let what = format!("of its tables these are missing: {}", missing.join(", "));
            return Err(LedgerError::Lost { place: self.place.clone(), lineage: None, what });
        }
        let sql = format!("SELECT layout, needs FROM {} ORDER BY layout DESC LIMIT 1", self.tables.about);
        let rows = self.rows(&sql, &[]).await.map_err(self.unreadable())?;
        let about: Option<(i64, String)> = rows.first().and_then(|r| Some((r.try_get(0).ok()?, r.try_get(1).ok()?)));
        match about {
            Some((LAYOUT, _)) => {
                self.tables.there.store(true, Ordering::Relaxed);
                Ok(true)
            }
            Some((layout, needs)) if layout > LAYOUT => {
                let format = u64::try_from(layout).unwrap_or_default();
                Err(LedgerError::Newer { place: self.place.clone(), format, needs })
            }
            _ => Err(self.corrupt("table about", "it does not name the layout of the tables")),
        }
    }

    /// Makes the tables unless they are there.
    pub(super) async fn make_tables(&self) -> Result<()> {
        while !self.has_tables().await? {
            crash::point("postgres.tables.before");
            match self.script(&self.tables.create()).await {
                Ok(()) => crash::point("postgres.tables.made"),
                // Another came first (its tables are there, or are being made), or an answer was lost: look again.
                Err(fault) if matches!(fault.code.as_deref(), Some("42P07" | "42P06" | "23505")) || fault.sent => {
                    if !self.patience().again(&fault).await && !self.has_tables().await? {
                        return Err(self.not_written()(fault));
                    }
                }
                Err(fault) => return Err(self.not_written()(fault)),
            }
        }
        Ok(())
    }
}
