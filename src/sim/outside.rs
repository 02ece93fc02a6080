//! Probes and databases of the simulated world. A probe of a host whose name begins with `bad` fails. There is one database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::world::{Fault, Site, World};
use crate::exec::Outside;
use crate::migrate::{
    self, Applied, AppliedInfo, Database, DatabaseError, Dialect, FailureClass, Journal, MigrateError, Migration,
    Reverted, RunContext, State,
};
use crate::ports::clock::Clock;
use crate::probe::{Attempt, Context, Judge, Probe, Verdict};

/// What stands in the database.
#[derive(Clone, Default)]
pub(super) struct Databases {
    pub(super) applied: BTreeMap<u64, Applied>,
}

impl Databases {
    /// What is applied: version and the start of the text.
    pub(super) fn listed(&self) -> Vec<String> {
        self.applied.values().map(|a| format!("{} {}", a.version, a.name)).collect()
    }
}

/// Probes and databases.
pub(super) struct SimOutside(pub(super) Arc<World>);

fn unknown(class: FailureClass) -> MigrateError {
    MigrateError {
        class,
        transient: true,
        statement: None,
        progress: None,
        message: "the connection was lost".into(),
        hint: String::new(),
    }
}

impl SimOutside {
    /// Passes a place; gives the fault, and whether there is an effect.
    async fn reach(&self, site: Site) -> (Option<Fault>, bool) {
        let fault = self.0.arrive(site).await;
        (fault, !matches!(fault, Some(Fault::LostRequest | Fault::NotSent)))
    }

    async fn answered(&self, fault: Option<Fault>) -> Result<(), MigrateError> {
        self.0.done(fault).await;
        match fault {
            Some(Fault::Lost | Fault::LostRequest) => Err(unknown(FailureClass::Unknown)),
            Some(Fault::NotSent) => Err(unknown(FailureClass::NotSent)),
            _ => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Outside for SimOutside {
    async fn judge(
        &self,
        probe: &Probe,
        _: &Judge,
        _: &Context,
        _: &dyn Clock,
        _: &mut (dyn for<'a> FnMut(&'a Attempt) + Send),
    ) -> Verdict {
        let fault = self.0.arrive(Site::Probe).await;
        self.0.done(fault).await;
        let passed = !matches!(probe, Probe::Tcp { address } if address.starts_with("bad"));
        let sentence = if passed { "it answers" } else { "nobody answers" };
        Verdict { passed, sentence: sentence.into(), count: 1, elapsed: Duration::ZERO, attempts: Vec::new() }
    }

    async fn migrate(
        &self,
        _: &Database,
        migration: &Migration,
        context: &RunContext,
    ) -> Result<AppliedInfo, MigrateError> {
        let (fault, reached) = self.reach(Site::Migrate).await;
        let record = Applied {
            version: migration.version,
            name: migration.name.clone(),
            checksum: migration.checksum.clone(),
            up_file: migration.up_file.clone(),
            up: migration.up.to_string(),
            down_file: migration.down_file.clone(),
            down: migration.down.as_ref().map(ToString::to_string),
            statements: Vec::new(),
            state: State::Applied,
            run: context.run.clone(),
            applied_at: "2026-01-01T00:00:00Z".into(),
        };
        let already = self.0.with(|inner| {
            let applied = &mut inner.databases.applied;
            let already = applied.contains_key(&record.version);
            if reached {
                applied.entry(record.version).or_insert_with(|| record.clone());
            }
            already
        });
        self.answered(fault).await?;
        Ok(AppliedInfo { record, already })
    }

    async fn revert(&self, _: &Database, version: u64, _: &RunContext) -> Result<Reverted, MigrateError> {
        let (fault, reached) = self.reach(Site::Revert).await;
        let removed = self.0.with(|inner| {
            let newest = inner.databases.applied.last_key_value().map(|(v, _)| *v);
            if newest.is_some_and(|newest| newest > version) && inner.databases.applied.contains_key(&version) {
                inner.violations.push(format!("migration {version} is taken back before a newer one"));
            }
            reached.then(|| inner.databases.applied.remove(&version)).flatten()
        });
        self.answered(fault).await?;
        Ok(removed.map_or(Reverted::NotApplied, |applied| Reverted::Done(Box::new(applied))))
    }

    async fn find(
        &self,
        _: &Database,
        version: u64,
        checksum: &str,
        _: &RunContext,
    ) -> Result<migrate::Found, MigrateError> {
        self.0.arrive(Site::FindMigration).await;
        let applied = self.0.with(|inner| inner.databases.applied.get(&version).cloned());
        Ok(match applied {
            Some(applied) if applied.checksum == checksum => migrate::Found::Applied(Box::new(applied)),
            Some(other) => migrate::Found::Differs(Box::new(other)),
            None => migrate::Found::NotApplied,
        })
    }

    async fn journal(&self, _: &Database) -> Result<Journal, DatabaseError> {
        self.0.arrive(Site::Journal).await;
        let applied = self.0.with(|inner| inner.databases.applied.values().cloned().collect());
        Ok(Journal { dialect: Dialect::Sqlite, applied })
    }
}
