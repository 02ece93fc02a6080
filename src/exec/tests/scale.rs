//! Large plans: work stays linear.

use super::*;

#[tokio::test]
async fn ten_thousand_steps_need_two_hundred_syncs() {
    let mut case = Case::new();
    let mut build = Build::new(&State::default());
    for i in 0..10_000_usize {
        let address = format!("fake_inner.n{i}");
        let (value, after) = match i.checked_sub(100) {
            Some(before) => (result_of(&format!("fake_inner.n{before}"), "id"), vec![before]),
            None => (Value::string("first"), Vec::new()),
        };
        build.act(&address, Action::Create, &object(&format!("n{i}"), value), &after);
    }
    // What the strict provider counts is not what is measured.
    let quick = Fake::new(Arc::new(|_| usize::MAX), Arc::new(|_| Hand::Off));
    case.fake = quick;
    let plan = build.plan;
    let begin = Begin::New(Box::new(started(&plan)));
    let finished = case.runner("run-1").run(&plan, State::default(), begin).await;
    assert_eq!(outcome(&finished), RunOutcome::Verified, "{}", finished.sentence);
    assert_eq!(finished.state.records.len(), 10_000);
    assert!(case.disk.lock().unwrap().appends <= 202, "{} syncs", case.disk.lock().unwrap().appends);
}
