//! The decision against a model: random sequences of proposing, approving, editing, expiring, revoking, replaying and starting.
//!
//! The model knows people by name and counts on its fingers; it shares no code with [`crate::sign::gate`]. Beside what both say
//! now, it remembers what really happened: who agreed to what, and which approvals a run has used.

use std::collections::BTreeSet;

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};

use crate::sign::wire::put_string;
use crate::sign::{Author, Claim, Gate, Key, Refusal, Request, Revoked, Role, Signers, Statement, judge};

/// So many sequences; `GANTRY_APPROVAL_SEQUENCES` asks for more.
const SEQUENCES: u64 = 100_000;

/// So many things happen in each.
const LENGTH: u64 = 12;

/// What an approval may last, in seconds.
const LASTS: i64 = 100;

/// By how much clocks may differ, in seconds.
const SKEW: i64 = 300;

/// A public key that nobody has the private half of.
pub(super) fn public(number: u8) -> String {
    let mut wire = Vec::new();
    put_string(&mut wire, b"ssh-ed25519");
    put_string(&mut wire, &[number; 32]);
    format!("ssh-ed25519 {}", base64::engine::general_purpose::STANDARD.encode(wire))
}

/// The keys, and whose they are: alice has two, dave's counts for other things, erin's from a moment on, mallory's is nowhere.
const OWNERS: [&str; 7] = ["alice", "alice", "bob", "carol", "dave", "erin", "mallory"];

/// From when erin's key counts, in seconds.
const ERIN: i64 = 1000;

fn signers() -> Signers {
    let key = |n: u8| public(n);
    let text = format!(
        "alice {}\nalice {}\nbob {}\ncarol {}\ndave namespaces=\"git\" {}\nerin valid-after=\"19700101001640\" {}\n",
        key(0),
        key(1),
        key(2),
        key(3),
        key(4),
        key(5)
    );
    Signers::parse(&text).unwrap()
}

/// Numbers that are the same for a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// An approval as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    key: usize,
    effect: u64,
    here: bool,
    until: i64,
    nonce: u64,
}

struct World {
    dice: Dice,
    keys: Vec<Key>,
    signers: Signers,
    required: usize,
    now: i64,
    effect: u64,
    author: usize,
    revoked: BTreeSet<usize>,
    given: Vec<Known>,
    /// All that were ever given.
    all: Vec<Known>,
    spent: BTreeSet<u64>,
    nonces: u64,
    opened: u64,
    replays_refused: u64,
}

impl World {
    fn new(seed: u64, keys: &[Key], signers: &Signers) -> Self {
        let mut dice = Dice(seed);
        let required = 1 + usize::try_from(dice.below(3)).unwrap();
        let (keys, signers) = (keys.to_vec(), signers.clone());
        let now = if dice.below(2) == 0 { 100 } else { 2000 };
        Self {
            dice,
            keys,
            signers,
            required,
            now,
            effect: 0,
            author: 0,
            revoked: BTreeSet::new(),
            given: Vec::new(),
            all: Vec::new(),
            spent: BTreeSet::new(),
            nonces: 0,
            opened: 0,
            replays_refused: 0,
        }
    }

    /// Whose key it is now, to the model.
    fn person(&self, key: usize) -> Option<&'static str> {
        let owner = OWNERS[key];
        let counts = match owner {
            "mallory" | "dave" => false,
            "erin" => self.now >= ERIN,
            _ => true,
        };
        (counts && !self.revoked.contains(&key)).then_some(owner)
    }

    fn step(&mut self) {
        match self.dice.below(20) {
            0..3 => {
                self.effect = self.dice.below(3);
                self.author = usize::try_from(self.dice.below(7)).unwrap();
            }
            3..10 => self.approve(),
            10 => self.effect = self.dice.below(3),
            11 => self.now += 1 + i64::try_from(self.dice.below(150)).unwrap(),
            12 => drop(self.revoked.insert(usize::try_from(self.dice.below(7)).unwrap())),
            13..15 if !self.all.is_empty() => {
                let again = self.dice.one(&self.all.clone()).clone();
                self.given.push(again);
            }
            _ => self.start(),
        }
    }

    fn approve(&mut self) {
        self.nonces += 1;
        let lasts = match self.dice.below(10) {
            0 => 0,
            1 => LASTS + SKEW + 1,
            2 => LASTS + SKEW,
            n => i64::try_from(n).unwrap() * 11,
        };
        let known = Known {
            key: usize::try_from(self.dice.below(7)).unwrap(),
            effect: if self.dice.below(5) == 0 { self.dice.below(3) } else { self.effect },
            here: self.dice.below(12) > 0,
            until: self.now + lasts,
            nonce: self.nonces,
        };
        self.all.push(known.clone());
        self.given.push(known);
    }

    fn claim(&self, role: Role, known: &Known) -> Claim {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let lineage = if known.here { "here" } else { "elsewhere" };
        let statement = Statement {
            role,
            effect: known.effect.to_string(),
            environment: "production".into(),
            lineage: lineage.into(),
            expires: (role == Role::Approval).then(|| at(known.until)),
            nonce: known.nonce.to_string(),
        };
        Claim { statement, key: self.keys[known.key].clone() }
    }

    /// Those that count, by the model's rules.
    fn counting(&self) -> Vec<&Known> {
        let counts = |known: &&Known| {
            known.here
                && known.effect == self.effect
                && known.until > self.now
                && known.until - self.now <= LASTS + SKEW
                && !self.spent.contains(&known.nonce)
                && self.person(known.key).is_some()
        };
        self.given.iter().filter(counts).collect()
    }

    fn start(&mut self) {
        let starter = usize::try_from(self.dice.below(7)).unwrap();
        let anew = self.dice.below(3) == 0;
        let gate = self.gate();
        let request =
            Request { effect: self.effect.to_string(), environment: "production".into(), lineage: "here".into() };
        let by = |key: usize, role: Role| {
            self.claim(role, &Known { key, effect: self.effect, here: true, until: 0, nonce: 0 })
        };
        let (author, starts) = (by(self.author, Role::Author), by(starter, Role::Start));
        let approvals: Vec<Claim> = self.given.iter().map(|known| self.claim(Role::Approval, known)).collect();
        let spent: BTreeSet<String> = self.spent.iter().map(u64::to_string).collect();
        let said = if anew { Author::Starter } else { Author::Signed(&author) };
        let now = Timestamp::from_second(self.now).unwrap();
        let standing = judge(&gate, &request, &approvals, said, Some(&starts), &spent, now);

        let author = self.person(if anew { starter } else { self.author });
        let starts = self.person(starter);
        let mut people: BTreeSet<&str> = self.counting().into_iter().filter_map(|k| self.person(k.key)).collect();
        people.retain(|name| Some(*name) != author && Some(*name) != starts);
        let open = author.is_some() && starts.is_some() && people.len() >= self.required;
        assert_eq!(standing.is_open(), open, "{standing:?}, {people:?}");
        let named: BTreeSet<&str> = standing.approved.iter().map(|a| &*a.principal).collect();
        assert_eq!(named, people, "{standing:?}");
        assert_eq!(named.len(), standing.approved.len(), "somebody counts twice: {standing:?}");
        for approver in &standing.approved {
            assert!(!self.spent.contains(&self.given[approver.index].nonce), "it was used before: {standing:?}");
        }
        let replayed = |(_, why): &&(usize, Refusal)| *why == Refusal::Spent;
        self.replays_refused += standing.left_out.iter().filter(replayed).count() as u64;
        // Nobody has started before: what there is, is told, and it stays shut.
        assert!(!judge(&gate, &request, &approvals, said, None, &spent, now).is_open());
        if open {
            self.opened += 1;
            let used: Vec<u64> = self.counting().iter().map(|known| known.nonce).collect();
            self.spent.extend(&used);
            self.given.retain(|known| !used.contains(&known.nonce));
        }
    }

    fn gate(&self) -> Gate {
        let revoked: String = self.revoked.iter().map(|n| public(u8::try_from(*n).unwrap()) + "\n").collect();
        Gate {
            required: self.required,
            signers: self.signers.clone(),
            revoked: Revoked::parse_list(&revoked).unwrap(),
            expires: SignedDuration::from_secs(LASTS),
        }
    }
}

#[test]
fn random_sequences_are_judged_as_the_model_judges_them() {
    let keys: Vec<Key> = (0..7).map(|n| Key::parse(&public(n)).unwrap()).collect();
    let signers = signers();
    assert_eq!(signers.people(), 4, "alice, bob, carol and erin");
    let wanted = crate::ports::env::var("GANTRY_APPROVAL_SEQUENCES").and_then(|n| n.parse().ok());
    let (mut opened, mut replayed) = (0, 0);
    for seed in 0..wanted.unwrap_or(SEQUENCES) {
        let mut world = World::new(seed, &keys, &signers);
        for _ in 0..LENGTH {
            world.step();
        }
        opened += world.opened;
        replayed += world.replays_refused;
    }
    // Otherwise nothing was tested.
    assert!(opened > 1000 && replayed > 1000, "{opened} runs began, and {replayed} replays were refused");
}
