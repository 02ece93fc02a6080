//! How deployments go, a line for each environment.

use std::time::Duration;

use crate::view::Figures;
use crate::view::words::{clean, duration, table};

/// The figures as a table.
#[must_use]
pub fn stats(all: &[Figures], since: Duration) -> String {
    let head = [
        "ENVIRONMENT",
        "DEPLOYMENTS",
        "VERIFIED",
        "PER DAY",
        "LEAD TIME",
        "FAILED",
        "FAILURE RATE",
        "TIME TO RESTORE",
        "OPEN",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for one in all {
        let nothing = || "-".to_owned();
        rows.push(vec![
            clean(&one.environment),
            one.deployments.to_string(),
            one.verified.to_string(),
            format!("{:.2}", one.per_day),
            one.lead_median.map_or_else(nothing, |d| format!("{} (median)", duration(d))),
            one.failed.to_string(),
            one.failure_rate.map_or_else(nothing, |rate| format!("{:.0}%", rate * 100.0)),
            one.restore_median.map_or_else(nothing, |d| format!("{} (median)", duration(d))),
            one.unrestored.to_string(),
        ]);
    }
    let days = since.as_secs_f64() / 86_400.0;
    let last = if (days - 1.0).abs() < 1e-9 { "day".to_owned() } else { format!("{days:.0} days") };
    format!("{}\nOf the last {last}; docs/stats.md says how each is counted.\n", table(&rows))
}
