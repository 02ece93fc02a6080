//! How deployments go, for programs.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value as Json, json};

use crate::view::Figures;

/// The figures of environments. `lead_time` is absent where no artifact carries the time of its commit.
#[must_use]
pub fn stats(all: &[Figures], now: Timestamp, since: Duration) -> Json {
    let one = |figures: &Figures| {
        let mut out = json!({
            "environment": figures.environment,
            "deployments": {
                "ended": figures.deployments,
                "verified": figures.verified,
                "verified_per_day": figures.per_day,
            },
            "change_failure": { "failed": figures.failed, "rate": figures.failure_rate },
            "time_to_restore": {
                "restored": figures.restored,
                "unrestored": figures.unrestored,
                "median_seconds": figures.restore_median.map(|d| d.as_secs_f64()),
                "mean_seconds": figures.restore_mean.map(|d| d.as_secs_f64()),
            },
        });
        if figures.led > 0 {
            out["lead_time"] = json!({
                "artifacts": figures.led,
                "median_seconds": figures.lead_median.map(|d| d.as_secs_f64()),
                "mean_seconds": figures.lead_mean.map(|d| d.as_secs_f64()),
            });
        }
        out
    };
    json!({
        "until": now.to_string(),
        "since_seconds": since.as_secs(),
        "environments": all.iter().map(one).collect::<Vec<_>>(),
    })
}
