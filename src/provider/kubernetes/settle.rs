//! Waiting for an object until it does what it is there for, or nothing speaks for it any more.

use std::time::Duration;

use serde_json::Value as Json;

use super::doom::{Doom, Verdict};
use super::evidence;
use super::object::{Identity, Name};
use super::observe::as_is;
use super::progress::progress as getting_on;
use super::ready::{Rules, readiness};
use super::schemas;
use super::symptom::symptoms;
use super::target::{Cluster, uid};
use super::watch::Scene;
use crate::ports::clock::{Clock as _, SystemClock};
use crate::provider::{AwaitRequest, Prior, Problem, ProblemClass, Progress, Readiness};
use crate::value::{Value, to_json};

/// How long something is waited for before events are read: most of what is waited for is ready by then.
const BLINK: Duration = Duration::from_millis(1500);

/// What a look says.
enum Look {
    Ready,
    /// Not yet; in how long it has to be looked again even if nothing happens.
    Wait(Duration),
    /// It will not.
    Over(String),
}

/// Waiting for one object.
struct Waiting<'a> {
    scene: Scene<'a>,
    rules: Rules,
    doom: Option<Doom>,
    name: Name,
    start: Duration,
    limit: Duration,
    told: String,
}

pub(super) async fn settled(
    cluster: Cluster<'_>,
    request: &AwaitRequest,
    progress: &dyn Progress,
) -> Result<Prior, Problem> {
    let made = &request.made;
    let Some(identity) = Identity::of(&made.identity) else { return Ok(made.clone()) };
    let Some(rules) = schemas::rules(&made.attributes) else { return Ok(made.clone()) };
    if needs_no_look(&made.attributes, &rules) {
        return Ok(made.clone());
    }
    let (kind, name) = cluster.place(identity.name()).await?;
    let there = cluster.get(&kind, &name).await.map_err(|failure| failure.problem(&name.shown()))?;
    let Some(there) = there.filter(|there| uid(there) == identity.uid) else { return Err(vanished(&name)) };
    let as_it_is =
        |there: &Json| Prior { attributes: as_is(&made.attributes, &identity, there), identity: made.identity.clone() };
    // Most objects are what they are as soon as they are there, and need no watch.
    if readiness(&there, &rules) == Readiness::Ready {
        return Ok(as_it_is(&there));
    }
    let mut waiting = Waiting {
        scene: Scene::new(cluster, kind, name.clone(), there),
        rules,
        doom: schemas::tolerance(&made.attributes).map(Doom::new),
        name,
        start: SystemClock.elapsed(),
        limit: request.deadline,
        told: String::new(),
    };
    match waiting.hold_out(progress).await {
        Ok(()) => match &waiting.scene.object {
            Some(there) => Ok(as_it_is(there)),
            None => Err(vanished(&waiting.name)),
        },
        Err(sentence) => {
            waiting.scene.read_events().await;
            let mut problem = match &waiting.scene.object {
                Some(_) => Problem::new(ProblemClass::Invalid, format!("{}: {sentence}", waiting.name.shown())),
                None => vanished(&waiting.name),
            };
            if let Some(there) = &waiting.scene.object {
                problem.evidence = evidence::gathered(cluster, there, &waiting.scene.children()).await;
            }
            Err(problem)
        }
    }
}

/// An object without a status, that no rule of one's own is about, is ready with the answer that made it.
fn needs_no_look(attributes: &Value, rules: &Rules) -> bool {
    let object = attributes.get("object").filter(|object| rules.is_empty() && object.as_map().is_some()).map(to_json);
    object.is_some_and(|object| object.get("status").is_none() && readiness(&object, rules) == Readiness::Ready)
}

fn vanished(name: &Name) -> Problem {
    let sentence = format!("{} was deleted by somebody else while it was waited for.", name.shown());
    Problem::new(ProblemClass::Invalid, sentence)
}

impl Waiting<'_> {
    async fn hold_out(&mut self, progress: &dyn Progress) -> Result<(), String> {
        loop {
            let spent = SystemClock.elapsed().saturating_sub(self.start);
            if spent > BLINK {
                self.scene.read_events().await;
            }
            // That it cannot be asked now is borne until the time is over.
            drop(self.scene.look_anyway().await);
            let pause = match self.look(progress) {
                Look::Ready => return Ok(()),
                Look::Over(sentence) => return Err(sentence),
                Look::Wait(pause) => pause,
            };
            let left = self.limit.saturating_sub(spent);
            if left.is_zero() {
                let last = self.told.trim_end_matches('.');
                return Err(format!("It is not ready after {} s: {last}.", self.limit.as_secs()));
            }
            let until_events = if spent > BLINK { self.scene.events_due() } else { BLINK.saturating_sub(spent) };
            let pause = pause.min(left).min(until_events).max(Duration::from_millis(1));
            self.scene.next(pause).await;
        }
    }

    fn look(&mut self, progress: &dyn Progress) -> Look {
        let Some(object) = &self.scene.object else { return Look::Over("It is gone.".into()) };
        let children = self.scene.children();
        let why = match readiness(object, &self.rules) {
            Readiness::Ready => return Look::Ready,
            Readiness::Failed(why) => return Look::Over(why),
            Readiness::Pending(why) => why,
        };
        let now = SystemClock.elapsed();
        let mut pause = Duration::MAX;
        let mut wrong = None;
        if let Some(doom) = &mut self.doom {
            match doom.judge(now, &symptoms(object, &children, SystemClock.now())) {
                Verdict::Doomed { sentence } => return Look::Over(sentence),
                Verdict::Wait { why } => wrong = why,
            }
            pause = doom.next_look(now).unwrap_or(Duration::MAX);
        }
        let line = match getting_on(object, &children) {
            line if line.is_empty() => why,
            line => line,
        };
        let line =
            wrong.map_or(line.clone(), |wrong| format!("{} {wrong}", line.trim_end_matches('.').to_owned() + "."));
        if line != self.told {
            progress.say(&line);
            self.told = line;
        }
        Look::Wait(pause)
    }
}
