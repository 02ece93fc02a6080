//! Other processes: killed, out of disk, without rights.

use super::*;
use crate::ledger::lease::{Terms, acquire};
use crate::ports::env;

/// Runs as a child: `GANTRY_TEST_ROOT` is the ledger, `GANTRY_TEST_ROLE` what to do.
#[tokio::test]
async fn child() {
    let (Some(root), Some(role)) = (env::var("GANTRY_TEST_ROOT"), env::var("GANTRY_TEST_ROLE")) else { return };
    let backend = Arc::new(LocalBackend::new(Path::new(&root)));
    match role.as_str() {
        "hold" => {
            let lease = take(backend, Duration::ZERO).await.unwrap();
            println!("held");
            tokio::time::sleep(Duration::from_secs(600)).await;
            drop(lease);
        }
        // Appends until the disk is full, printing the number of each acknowledged entry.
        "fill" => {
            let (mut writer, _) = Writer::open(backend).await.unwrap();
            for n in 100..10_000 {
                match writer.append(vec![draft(n)]).await {
                    Ok(_) => println!("acknowledged {n}"),
                    Err(e) => {
                        println!("{:?} {e}", e.consequence());
                        return;
                    }
                }
            }
        }
        #[cfg(feature = "crash-points")]
        "work" => conformance::use_as_a_command_does(backend).await,
        "read" => {
            let snapshot = backend.read(1).await.unwrap().unwrap();
            println!("read {:?}", numbers(&snapshot.entries));
            println!("write {:?}", Writer::open_fenced(backend).await.map(|_| ()).map_err(|e| e.consequence()));
        }
        other => panic!("{other}"),
    }
}

fn child_command(place: &Place, role: &str, shell: &str) -> std::process::Command {
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(format!(
        "{shell} exec \"$0\" --exact ledger::local::tests::processes::child --nocapture --test-threads=1"
    ));
    command.arg(std::env::current_exe().unwrap());
    command.env("GANTRY_TEST_ROOT", &place.root).env("GANTRY_TEST_ROLE", role);
    command
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let place = Place::new();
    place.write(1..=1).await;
    // No file may grow beyond 16 blocks of 512 bytes; writes then fail with EFBIG, part of them done.
    let output = child_command(&place, "fill", "trap '' XFSZ; ulimit -f 16;").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Interrupted the ledger in"), "{text}");
    let acknowledged: Vec<u64> =
        text.lines().filter_map(|line| line.rsplit_once("acknowledged ").and_then(|(_, n)| n.parse().ok())).collect();
    assert!(acknowledged.len() > 3, "{text}");
    let read = place.read().await.unwrap().unwrap();
    assert_eq!(read, [vec![1], acknowledged].concat());
    assert!(matches!(place.findings().await[..], [Finding::Torn { .. }]), "the disk was full in the middle of a write");
    place.write(2..=2).await;
    assert_eq!(place.read().await.unwrap().unwrap().last(), Some(&2));
}

#[tokio::test]
async fn a_killed_holder_is_taken_over_at_once_and_a_living_one_is_not() {
    use std::io::BufRead as _;
    let place = Place::new();
    let mut child = child_command(&place, "hold", "").stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("held")));
    let pid = child.id();
    match take(place.open(), QUICK.ttl * 2).await.unwrap_err() {
        LedgerError::LeaseHeld { holder, .. } => assert_eq!(holder.pid, pid),
        other => panic!("{other}"),
    }
    child.kill().unwrap();
    // Not yet waited for: a zombie holds nothing. The wait would be two hours if it were judged by time.
    let terms = Terms { ttl: Duration::from_secs(7200), ..QUICK };
    let clock = Arc::new(crate::ports::clock::SystemClock);
    let patience = Duration::from_secs(20);
    let lease = acquire(place.open(), clock, "x", terms, patience, &mut |_| {}).await.unwrap();
    child.wait().unwrap();
    assert_eq!(lease.record().pid, std::process::id());
    lease.release().await.unwrap();
}

#[tokio::test]
async fn who_holds_from_elsewhere_is_judged_by_watching_only() {
    let place = Place::new();
    let clock = crate::ports::clock::SystemClock;
    let here = LeaseRecord::of_this_process("apply", &clock);
    let gone = LeaseRecord { pid: u32::try_from(i32::MAX).unwrap(), ..here.clone() };
    let reused = LeaseRecord { started: here.started.map(|s| s + 1), ..here.clone() };
    let rebooted = LeaseRecord { boot: Some("before".to_owned()), ..here.clone() };
    let elsewhere = LeaseRecord { boot: Some("theirs".to_owned()), host: "elsewhere".to_owned(), ..gone.clone() };
    let contained = LeaseRecord { space: Some("pid:[1]".to_owned()), ..gone.clone() };
    let unknown = LeaseRecord { boot: None, ..gone.clone() };
    let dead = [&here, &gone, &reused, &rebooted, &elsewhere, &contained, &unknown].map(LeaseRecord::is_dead);
    assert_eq!(dead, [false, true, true, true, false, false, false]);

    assert!(place.open().lease_swap(None, Some(&elsewhere)).await.unwrap());
    assert!(matches!(take(place.open(), Duration::ZERO).await, Err(LedgerError::LeaseHeld { .. })));
    let began = tokio::time::Instant::now();
    take(place.open(), QUICK.ttl * 20).await.unwrap().release().await.unwrap();
    assert!(began.elapsed() >= QUICK.ttl);
    // Rubbish holds nobody back.
    fs::write(place.root.join("lease.json"), "\0\0\0").unwrap();
    take(place.open(), Duration::ZERO).await.unwrap().release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_want_the_lease_one_has_it_at_a_time() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let place = Arc::new(Place::new());
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (place, inside) = (Arc::clone(&place), Arc::clone(&inside));
            tokio::spawn(async move {
                for _ in 0..5 {
                    let lease = take(place.open(), Duration::from_secs(60)).await.unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    tokio::task::yield_now().await;
                    inside.fetch_sub(1, Ordering::SeqCst);
                    lease.release().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn what_may_not_be_written_can_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.write(1..=2).await;
    let before = fs::read_dir(place.root.join("ledger")).unwrap().count();
    let chmod = |mode| {
        for dir in ["", "ledger"] {
            fs::set_permissions(place.root.join(dir), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    chmod(0o500);
    // Permissions do not bind root: there a child gives up the right to override them.
    let drop_rights = if rustix::process::getuid().is_root() {
        "command -v setpriv >/dev/null || exit 9; exec setpriv --bounding-set=-all --inh-caps=-all"
    } else {
        ""
    };
    let shell = if drop_rights.is_empty() {
        String::new()
    } else {
        format!(
            "{drop_rights} -- env sh -c 'exec \"$0\" --exact ledger::local::tests::processes::child --nocapture --test-threads=1' \"$0\"; "
        )
    };
    let output = child_command(&place, "read", &shell).output().unwrap();
    chmod(0o700);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("read [1, 2]"), "{text} {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("write Err(Interrupted)"), "{text}");
    assert_eq!(fs::read_dir(place.root.join("ledger")).unwrap().count(), before);
}

/// Kills a command at every crash point, its successor at every crash point, and lets a third one through: nothing
/// that was acknowledged is ever gone, the ledger always verifies, and nobody has to be asked to remove a lock.
#[cfg(feature = "crash-points")]
#[tokio::test]
async fn killed_at_any_point_twice_nothing_acknowledged_is_lost() {
    use crate::ledger::conformance::{has_all, run_child};
    let run = |place: &Place, crash_at: usize, acknowledged: &mut Vec<String>| {
        run_child(child_command(place, "work", ""), crash_at, acknowledged)
    };
    let check = async |place: &Place, acknowledged: &[String], what: &str| {
        has_all(place.open(), acknowledged, what).await;
    };
    let mut first = 1;
    loop {
        let mut second = 1;
        let mut first_killed = true;
        loop {
            let (place, mut acknowledged) = (Place::new(), Vec::new());
            first_killed &= run(&place, first, &mut acknowledged);
            check(&place, &acknowledged, &format!("killed at {first}")).await;
            let second_killed = first_killed && run(&place, second, &mut acknowledged);
            check(&place, &acknowledged, &format!("killed at {first} and {second}")).await;
            run(&place, 0, &mut acknowledged);
            check(&place, &acknowledged, &format!("killed at {first} and {second}, then whole")).await;
            assert!(place.findings().await.iter().all(|f| !f.is_defect()));
            if !second_killed {
                break;
            }
            second += 1;
        }
        if !first_killed {
            assert!(first > 25, "only {first} crash points were passed");
            return;
        }
        first += 1;
    }
}
