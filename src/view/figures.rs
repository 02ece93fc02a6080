//! How deployments go: figures that views are handed.

use std::time::Duration;

/// Those of one environment. `docs/stats.md` defines each.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The environment.
    pub environment: String,
    /// How many deployments ended.
    pub deployments: usize,
    /// How many of them ended verified.
    pub verified: usize,
    /// Verified deployments per day.
    pub per_day: f64,
    /// How many deployments failed.
    pub failed: usize,
    /// Failed ones among all; `None` without deployments.
    pub failure_rate: Option<f64>,
    /// How many of the failed ones were restored.
    pub restored: usize,
    /// How many were not.
    pub unrestored: usize,
    /// The median of the times to restore.
    pub restore_median: Option<Duration>,
    /// Their mean.
    pub restore_mean: Option<Duration>,
    /// How many artifacts were deployed that carry the time of their commit.
    pub led: usize,
    /// The median of the times from commit to verified deployment.
    pub lead_median: Option<Duration>,
    /// Their mean.
    pub lead_mean: Option<Duration>,
}
