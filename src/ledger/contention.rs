//! Writers that go for the same position at the same moment, many times.
//!
//! By default a few hundred rounds; `GANTRY_CONTENTION_ROUNDS` says how many, and the figures are printed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Barrier;

use super::backend::Backend;
use super::conformance::{draft, numbers};
use super::error::LedgerError;
use super::writer::Writer;

const WRITERS: usize = 4;
/// How often they meet at one ledger, before the next one takes its place: each opening reads it whole.
const MEETINGS: usize = 20;

/// Opens a ledger as another process sees it.
type Open = Box<dyn Fn() -> Arc<dyn Backend> + Send + Sync>;

/// What stands of an append whose writer was told that another has taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Nothing: the position was not free.
    IsNotThere,
    /// It may: a file is written first, and whether another one has taken over is looked at then. Nothing acts on it.
    MayStand,
}

/// What became of the rounds, by name.
type Figures = BTreeMap<&'static str, u64>;

/// How many rounds are asked for.
#[expect(clippy::disallowed_methods, reason = "that is how whoever runs the tests says so")]
pub(crate) fn wanted_rounds() -> usize {
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

async fn rounds(make: impl Fn() -> Open, refused: Refused, rounds: usize) -> Figures {
    let mut all = Figures::new();
    for _ in 0..rounds.div_ceil(WRITERS * MEETINGS) {
        let (open, meet) =
            (Arc::<dyn Fn() -> Arc<dyn Backend> + Send + Sync>::from(make()), Arc::new(Barrier::new(WRITERS)));
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
        assert!(stored.is_sorted_by(|a, b| a < b), "something stands there twice: {stored:?}");
        let beside: Vec<u64> = stored.iter().copied().filter(|n| acknowledged.binary_search(n).is_err()).collect();
        stored.retain(|n| !beside.contains(n));
        assert_eq!(stored, acknowledged, "what was acknowledged stands there, once each");
        match refused {
            Refused::IsNotThere => assert_eq!(beside, [0; 0], "and nothing else does"),
            Refused::MayStand => *all.entry("fenced, and there").or_default() += beside.len() as u64,
        }
    }
    all
}

/// Rounds at ledgers that `make` makes, each new and empty: nothing is lost, nothing stands there twice, and some collided.
#[expect(clippy::disallowed_methods, reason = "how long it took is a figure")]
pub(crate) async fn report(name: &str, make: impl Fn() -> Open, refused: Refused) {
    let began = Instant::now();
    let figures = rounds(make, refused, wanted_rounds()).await;
    let total: u64 = figures.iter().filter(|(what, _)| !what.contains("there")).map(|(_, count)| count).sum();
    println!("{name}: {total} rounds by {WRITERS} writers in {:?}: {figures:?}, 0 lost", began.elapsed());
    // Where a refused one stands, too, four who write at once mostly refuse each other.
    let least = if refused == Refused::MayStand { 1 } else { total / WRITERS as u64 / 2 };
    assert!(figures.get("acknowledged").copied().unwrap_or(0) >= least, "{figures:?}");
    assert!(figures.len() > 1, "nobody ever collided");
}
