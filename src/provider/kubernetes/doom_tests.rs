//! Symptoms over time, and when they are hopeless.

use std::collections::BTreeMap;
use std::time::Duration;

use super::doom::{Doom, Limit, Tolerance, Verdict};
use super::symptom::{Symptom, SymptomKind};

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn symptom(kind: SymptomKind, object: &str, count: u32) -> Symptom {
    let sentence = format!("{} {object}.", kind.word());
    Symptom { kind, object: object.into(), count, since: None, peers_ready: false, sentence }
}

/// "doomed: …", "wait: …" or "wait".
fn at(doom: &mut Doom, millis: u64, symptoms: &[Symptom]) -> String {
    match doom.judge(ms(millis), symptoms) {
        Verdict::Doomed { sentence } => format!("doomed: {sentence}"),
        Verdict::Wait { why: Some(why) } => format!("wait: {why}"),
        Verdict::Wait { why: None } => "wait".into(),
    }
}

fn patient() -> Doom {
    Doom::new(Tolerance::default())
}

#[test]
fn every_kind_has_its_count_and_its_hold() {
    use SymptomKind as K;
    for (kind, count, hold) in [
        (K::ImageNotFound, 2, 3_000),
        (K::ConfigError, 1, 10_000),
        (K::RunContainerError, 2, 1_500),
        (K::QuotaExceeded, 1, 5_000),
        (K::AdmissionDenied, 1, 5_000),
        (K::CrashLoop, 2, 1_500),
        (K::InitContainerFailing, 2, 1_500),
        (K::VolumeProblem, 2, 10_000),
        (K::Unschedulable, 1, 30_000),
        (K::Evicted, 3, 5_000),
        (K::ImageUnavailable, 3, 120_000),
        (K::CreateFailing, 2, 60_000),
        (K::NoRoom, 1, 120_000),
    ] {
        let mut doom = patient();
        let enough = [symptom(kind, "x", count)];
        let waits = format!("wait: {} x.", kind.word());
        if count > 1 {
            let few = [symptom(kind, "x", count - 1)];
            assert_eq!(at(&mut doom, 0, &few), waits);
            assert_eq!(at(&mut doom, 9_000_000, &few), waits, "never for want of count");
            assert_eq!(doom.next_look(ms(9_000_000)), None);
        }
        let start = 10_000_000;
        assert_eq!(at(&mut doom, start, &enough), waits);
        assert_eq!(doom.next_look(ms(start)), Some(ms(hold)));
        assert_eq!(at(&mut doom, start + hold - 1, &enough), waits);
        assert_eq!(doom.next_look(ms(start + hold - 1)), Some(ms(1)));
        assert_eq!(at(&mut doom, start + hold, &enough), format!("doomed: {} x.", kind.word()));
        assert_eq!(doom.next_look(ms(start + hold + 5)), Some(Duration::ZERO));
    }
    for kind in [K::VolumeSlow, K::ScalingUp, K::JobFailing, K::ProbeFailing] {
        let mut doom = patient();
        for millis in [0, 10_000_000] {
            assert_eq!(at(&mut doom, millis, &[symptom(kind, "x", 99)]), format!("wait: {} x.", kind.word()));
        }
        assert_eq!(doom.next_look(ms(0)), None);
    }
}

#[test]
fn a_blip_is_not_doom() {
    let mut doom = patient();
    let bad = [symptom(SymptomKind::CrashLoop, "x", 2)];
    at(&mut doom, 0, &bad);
    at(&mut doom, 1_400, &bad);
    assert_eq!(at(&mut doom, 1_450, &[]), "wait");
    assert_eq!(doom.next_look(ms(1_450)), None);
    assert_eq!(at(&mut doom, 1_600, &bad), "wait: crash_loop x.");
    assert_eq!(at(&mut doom, 3_000, &bad), "wait: crash_loop x.");
    assert_eq!(at(&mut doom, 3_100, &bad), "doomed: crash_loop x.");
}

#[test]
fn each_object_holds_for_itself() {
    let mut doom = patient();
    let of = |object: &str| symptom(SymptomKind::CrashLoop, object, 2);
    at(&mut doom, 0, &[of("a")]);
    assert_eq!(at(&mut doom, 1_000, &[of("b")]), "wait: crash_loop b.");
    assert_eq!(at(&mut doom, 2_000, &[of("a"), of("b")]), "wait: crash_loop a.");
    assert_eq!(at(&mut doom, 2_500, &[of("a"), of("b")]), "doomed: crash_loop b.");
}

#[test]
fn the_surest_is_told() {
    let mut doom = patient();
    let all = [
        symptom(SymptomKind::ProbeFailing, "p", 9),
        symptom(SymptomKind::CrashLoop, "c", 2),
        symptom(SymptomKind::ConfigError, "s", 1),
    ];
    assert_eq!(at(&mut doom, 0, &all), "wait: config_error s.");
    assert_eq!(doom.next_look(ms(500)), Some(ms(1_000)));
    assert_eq!(at(&mut doom, 1_500, &all), "doomed: crash_loop c.");
    assert_eq!(at(&mut doom, 10_000, &all), "doomed: config_error s.");
}

#[test]
fn while_others_are_ready_it_takes_longer() {
    let mut doom = patient();
    let mut one = symptom(SymptomKind::CrashLoop, "x", 2);
    one.peers_ready = true;
    at(&mut doom, 0, std::slice::from_ref(&one));
    assert_eq!(doom.next_look(ms(0)), Some(ms(15_000)));
    assert_eq!(at(&mut doom, 14_999, std::slice::from_ref(&one)), "wait: crash_loop x.");
    assert_eq!(at(&mut doom, 15_000, std::slice::from_ref(&one)), "doomed: crash_loop x.");
    // The peer is ready no more: what was held so far counts.
    let mut doom = patient();
    at(&mut doom, 0, std::slice::from_ref(&one));
    one.peers_ready = false;
    assert_eq!(at(&mut doom, 2_000, &[one]), "doomed: crash_loop x.");
}

#[test]
fn tolerance_can_be_chosen() {
    let own = BTreeMap::from([
        (SymptomKind::CrashLoop, None),
        (SymptomKind::ProbeFailing, Some(Limit { count: 3, hold: ms(700) })),
    ]);
    let mut doom = Doom::new(Tolerance { percent: 300, own, ..Tolerance::default() });
    assert_eq!(at(&mut doom, 0, &[symptom(SymptomKind::CrashLoop, "x", 9)]), "wait: crash_loop x.");
    assert_eq!(doom.next_look(ms(0)), None);
    at(&mut doom, 0, &[symptom(SymptomKind::ProbeFailing, "x", 3)]);
    assert_eq!(doom.next_look(ms(0)), Some(ms(700)));
    at(&mut doom, 0, &[symptom(SymptomKind::ConfigError, "x", 1)]);
    assert_eq!(doom.next_look(ms(0)), Some(ms(30_000)));
    // The largest numbers do not overflow, and none makes it impatient beyond what was asked.
    let mut doom = Doom::new(Tolerance { percent: u32::MAX, peers_factor: 0, own: BTreeMap::new() });
    assert_eq!(at(&mut doom, u64::MAX, &[symptom(SymptomKind::NoRoom, "x", 1)]), "wait: no_room x.");
    assert_eq!(at(&mut doom, 0, &[symptom(SymptomKind::NoRoom, "x", 1)]), "wait: no_room x.");
}
