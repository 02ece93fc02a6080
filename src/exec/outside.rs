//! What a run reaches beside its providers and its ledger: what is probed, and the databases that are migrated.
//!
//! A port like the clock: the product has one implementation, [`Real`], and the simulated world another, so that everything
//! between a plan and these calls is the same in both.

use async_trait::async_trait;

use crate::migrate::{
    self, AppliedInfo, Database, DatabaseError, Journal, MigrateError, Migration, Reverted, RunContext,
};
use crate::ports::clock::Clock;
use crate::probe::{self, Attempt, Context, Judge, Probe, Verdict};

/// Probes and databases.
#[async_trait]
pub trait Outside: Send + Sync {
    /// As [`probe::judge`].
    async fn judge(
        &self,
        probe: &Probe,
        judge: &Judge,
        context: &Context,
        clock: &dyn Clock,
        on_attempt: &mut (dyn for<'a> FnMut(&'a Attempt) + Send),
    ) -> Verdict;

    /// As [`migrate::apply`].
    ///
    /// # Errors
    /// With what is known of its effect.
    async fn migrate(
        &self,
        database: &Database,
        migration: &Migration,
        context: &RunContext,
    ) -> Result<AppliedInfo, MigrateError>;

    /// As [`migrate::revert`].
    ///
    /// # Errors
    /// With what is known of its effect.
    async fn revert(&self, database: &Database, version: u64, context: &RunContext) -> Result<Reverted, MigrateError>;

    /// As [`migrate::find`].
    ///
    /// # Errors
    /// When the database cannot be asked.
    async fn find(
        &self,
        database: &Database,
        version: u64,
        checksum: &str,
        context: &RunContext,
    ) -> Result<migrate::Found, MigrateError>;

    /// As [`migrate::read`].
    ///
    /// # Errors
    /// When the database cannot be asked.
    async fn journal(&self, database: &Database) -> Result<Journal, DatabaseError>;
}

/// The real ones.
#[derive(Debug, Clone, Copy, Default)]
pub struct Real;

#[async_trait]
impl Outside for Real {
    async fn judge(
        &self,
        probe: &Probe,
        judge: &Judge,
        context: &Context,
        clock: &dyn Clock,
        on_attempt: &mut (dyn for<'a> FnMut(&'a Attempt) + Send),
    ) -> Verdict {
        probe::judge(probe, judge, context, clock, on_attempt).await
    }

    async fn migrate(
        &self,
        database: &Database,
        migration: &Migration,
        context: &RunContext,
    ) -> Result<AppliedInfo, MigrateError> {
        migrate::apply(database, migration, context).await
    }

    async fn revert(&self, database: &Database, version: u64, context: &RunContext) -> Result<Reverted, MigrateError> {
        migrate::revert(database, version, context).await
    }

    async fn find(
        &self,
        database: &Database,
        version: u64,
        checksum: &str,
        context: &RunContext,
    ) -> Result<migrate::Found, MigrateError> {
        migrate::find(database, version, checksum, context).await
    }

    async fn journal(&self, database: &Database) -> Result<Journal, DatabaseError> {
        migrate::read(database).await
    }
}
