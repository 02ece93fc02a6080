//! Drift that somebody knows of: what was acknowledged stands until it expires, is withdrawn, or is moot because the object's
//! record is another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::Acknowledged;
use super::replay::{Meta, State};
use crate::addr::Address;

/// An acknowledgement as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The keyed digest of what was seen.
    pub digest: String,
    /// Why it is no alarm.
    pub reason: String,
    /// Until when, RFC 3339.
    pub expires: String,
    /// Who said so.
    pub actor: String,
    /// When, RFC 3339.
    pub time: String,
}

/// Those of one object: by the part that each is about, the empty text being the whole.
pub type OfObject = BTreeMap<String, Acknowledgement>;

impl State {
    /// Drift is known from here on.
    pub(super) fn acknowledge(&mut self, meta: &Meta, event: &Acknowledged) -> Result<(), &'static str> {
        if !self.records.contains_key(&event.address) {
            return Err("drift is acknowledged of an object that is not recorded");
        }
        let of_object = self.acknowledged.entry(event.address.clone()).or_default();
        of_object.insert(
            event.path.clone().unwrap_or_default(),
            Acknowledgement {
                digest: event.digest.clone(),
                reason: event.reason.clone(),
                expires: event.expires.clone(),
                actor: meta.actor.clone(),
                time: meta.time.clone(),
            },
        );
        Ok(())
    }

    /// It alarms again.
    pub(super) fn withdraw(&mut self, address: &Address, path: Option<&str>) -> Result<(), &'static str> {
        let of_object = self.acknowledged.get_mut(address);
        let found = of_object.and_then(|all| all.remove(path.unwrap_or_default()));
        if self.acknowledged.get(address).is_some_and(BTreeMap::is_empty) {
            self.acknowledged.remove(address);
        }
        found.map(drop).ok_or("an acknowledgement is withdrawn that does not stand")
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::Meta;
    use crate::ledger::event::{Acknowledged, Event};
    use crate::ledger::replay::State;

    fn meta(seq: u64) -> Meta {
        Meta { seq, time: format!("t{seq}"), run: String::new(), actor: "me".into() }
    }

    fn acknowledged(path: Option<&str>) -> Event {
        Event::DriftAcknowledged(Box::new(Acknowledged {
            address: "terraform_data.a".parse().unwrap(),
            path: path.map(str::to_owned),
            digest: "d".into(),
            reason: "known".into(),
            expires: "2026-11-28T00:00:00Z".into(),
        }))
    }

    fn recorded() -> State {
        let json = serde_json::json!({
            "ty": "terraform_data", "provider": "terraform", "identity": {}, "inputs": {}, "attributes": {}, "dependencies": [],
            "schema": 1, "generation": 1, "create_before_destroy": false,
        });
        let record = std::sync::Arc::new(serde_json::from_value(json).unwrap());
        State { records: [("terraform_data.a".parse().unwrap(), record)].into(), ..State::default() }
    }

    #[test]
    fn an_acknowledgement_stands_until_it_is_withdrawn_or_its_record_goes() {
        let address = || "terraform_data.a".parse().unwrap();
        assert!(State::default().apply(&meta(1), &acknowledged(None)).is_err(), "nothing is recorded there");
        let mut state = recorded();
        state.apply(&meta(1), &acknowledged(None)).unwrap();
        state.apply(&meta(2), &acknowledged(Some("input"))).unwrap();
        let of_object = &state.acknowledged[&address()];
        assert_eq!((of_object.len(), &*of_object["input"].actor, &*of_object[""].time), (2, "me", "t1"));
        let withdrawn = Event::AcknowledgementWithdrawn { address: address(), path: None, reason: None };
        state.apply(&meta(3), &withdrawn).unwrap();
        assert!(state.clone().apply(&meta(4), &withdrawn).is_err(), "it does not stand any more");
        let moved = Event::Moved { from: address(), to: "terraform_data.b".parse().unwrap(), reason: None };
        state.apply(&meta(4), &moved).unwrap();
        let b = "terraform_data.b".parse().unwrap();
        assert!(state.acknowledged.contains_key(&b));
        state.apply(&meta(5), &Event::Removed { address: b, reason: None }).unwrap();
        assert!(state.acknowledged.is_empty());
    }

    #[test]
    fn the_events_come_back_as_they_were_written() {
        let withdrawn = Event::AcknowledgementWithdrawn {
            address: "terraform_data.a".parse().unwrap(),
            path: Some("x".into()),
            reason: Some("no more".into()),
        };
        for event in [acknowledged(None), acknowledged(Some("input")), withdrawn] {
            let json = serde_json::to_value(&event).unwrap();
            assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
        }
    }
}
