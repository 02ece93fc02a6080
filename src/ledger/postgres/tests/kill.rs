//! Real processes, killed (SIGKILL) at every crash point of a command's whole use of a ledger, and their successors too.

use super::*;
use crate::ledger::conformance::{has_all, run_child, use_as_a_command_does};
use crate::ports::env;

/// Runs as a child: `GANTRY_TEST_URL` is the database.
#[tokio::test]
async fn child() {
    let Some(url) = env::var("GANTRY_TEST_URL") else { return };
    let cache = Arc::new(tempfile::tempdir().unwrap());
    let place = Place { url, database: String::new(), name: "test".to_owned(), cache };
    use_as_a_command_does(place.open()).await;
}

fn command(place: &Place) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "ledger::postgres::tests::kill::child", "--nocapture", "--test-threads=1"]);
    command.env("GANTRY_TEST_URL", &place.url);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_twice_nothing_acknowledged_is_lost() {
    for first in 1.. {
        let mut first_killed = true;
        // Each point of the first, with two of the second.
        for second in [first, first / 2 + 1] {
            let (place, mut acknowledged) = (Place::new().await, Vec::new());
            first_killed &= run_child(command(&place), first, &mut acknowledged);
            has_all(place.open(), &acknowledged, &format!("killed at {first}")).await;
            run_child(command(&place), second, &mut acknowledged);
            has_all(place.open(), &acknowledged, &format!("killed at {first} and {second}")).await;
            run_child(command(&place), 0, &mut acknowledged);
            has_all(place.open(), &acknowledged, &format!("killed at {first} and {second}, then whole")).await;
        }
        if !first_killed {
            assert!(first > 12, "only {first} crash points were passed");
            return;
        }
    }
}
