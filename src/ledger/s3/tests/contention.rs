//! Writers that go for the same position at the same moment, many times.
//!
//! By default a few hundred rounds; `GANTRY_CONTENTION_ROUNDS` says how many, and the figures are printed.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::Barrier;

use super::*;

const WRITERS: usize = 4;
/// How often they meet at one ledger, before the next one takes its place: each opening reads it whole.
const MEETINGS: usize = 20;

/// What became of the rounds, by name.
type Figures = BTreeMap<&'static str, u64>;

#[expect(clippy::disallowed_methods, reason = "that is how whoever runs the tests says so")]
fn wanted_rounds() -> usize {
    std::env::var("GANTRY_CONTENTION_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(240)
}

/// One writer at one ledger: opens it, waits for the others, writes. A round is one such opening.
async fn write(
    writer: usize,
    open: Arc<dyn Fn() -> Arc<dyn Backend> + Send + Sync>,
    meet: Arc<Barrier>,
) -> (Vec<u64>, Figures) {
    let (mut acknowledged, mut figures) = (Vec::new(), Figures::new());
    for meeting in 0..MEETINGS {
        let (mut pen, seen) = Writer::open(open()).await.expect("reading works");
        let seen = numbers(&seen);
        assert!(acknowledged.iter().all(|n| seen.contains(n)), "an acknowledged entry is gone");
        meet.wait().await;
        let n = (writer * 1000 + meeting + 1) as u64;
        let outcome = match pen.append(vec![draft(n)]).await {
            Ok(_) => {
                acknowledged.push(n);
                "acknowledged"
            }
            Err(LedgerError::Fenced { .. }) => "fenced",
            Err(LedgerError::Moved { .. }) => "moved",
            Err(e) => panic!("{e}"),
        };
        *figures.entry(outcome).or_default() += 1;
    }
    (acknowledged, figures)
}

async fn rounds(endpoint: &str, rounds: usize) -> Figures {
    let make = places(endpoint, PART);
    let mut all = Figures::new();
    for _ in 0..rounds.div_ceil(WRITERS * MEETINGS) {
        let (open, meet) = (Arc::from(make()), Arc::new(Barrier::new(WRITERS)));
        let tasks: Vec<_> =
            (0..WRITERS).map(|writer| tokio::spawn(write(writer, Arc::clone(&open), Arc::clone(&meet)))).collect();
        let mut acknowledged = Vec::new();
        for task in tasks {
            let (mine, figures) = task.await.unwrap();
            acknowledged.extend(mine);
            for (outcome, count) in figures {
                *all.entry(outcome).or_default() += count;
            }
        }
        let mut stored = numbers(&open().read(1).await.unwrap().unwrap().entries);
        stored.sort_unstable();
        acknowledged.sort_unstable();
        assert_eq!(stored, acknowledged, "what stands there is what was acknowledged, once each");
    }
    all
}

#[expect(clippy::disallowed_methods, reason = "how long it took is a figure")]
async fn report(name: &str, endpoint: &str) {
    let began = Instant::now();
    let figures = rounds(endpoint, wanted_rounds()).await;
    let total: u64 = figures.values().sum();
    println!("{name}: {total} rounds by {WRITERS} writers in {:?}: {figures:?}, 0 lost", began.elapsed());
    assert!(figures.get("acknowledged").copied().unwrap_or(0) >= total / WRITERS as u64 / 2, "{figures:?}");
    assert!(figures.len() > 1, "nobody ever collided");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_a_strict_store() {
    let server = Server::start().await;
    report("strict store", &server.endpoint).await;
}
