//! The decision: which approvals count for what is to be carried out, and whether they are enough.
//!
//! A pure function of the gate, of what is asked, of what was signed and of the time. It is the only place that knows the rules;
//! `tests/gate.rs` beside it holds them against a model that is written differently.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::key::Key;
use super::revoked::Revoked;
use super::signers::{Signer, Signers, Unfit};
use super::statement::Statement;

/// By how much clocks may differ: an approval that lasts so much longer than the gate allows was made on another machine.
pub const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What an environment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// How many people have to agree.
    pub required: usize,
    /// Who may.
    pub signers: Signers,
    /// Whose keys count no more.
    pub revoked: Revoked,
    /// How long an approval may last.
    pub expires: SignedDuration,
}

/// What is to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The plan's effect.
    pub effect: String,
    /// The environment's name.
    pub environment: String,
    /// The ledger's lineage.
    pub lineage: String,
}

/// What somebody signed: the signature fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What.
    pub statement: Statement,
    /// With which key.
    pub key: Key,
}

/// Who made the plan.
#[derive(Debug, Clone, Copy)]
pub enum Author<'a> {
    /// Who signed it.
    Signed(&'a Claim),
    /// Whoever starts the run: it is planned just then.
    Starter,
    /// Nobody says so.
    Nobody,
}

/// Why something that was signed does not count; the end of a sentence whose subject is the approval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The key is nobody's.
    #[error("its key is not in the signers file")]
    UnknownKey,
    /// The key is there for something else.
    #[error("its key is in the signers file for other namespaces than \"gantry\"")]
    OtherNamespace,
    /// The key counts later.
    #[error("its key counts from {0} on")]
    NotYet(Timestamp),
    /// The key counted before.
    #[error("its key counted until {0}")]
    NoLonger(Timestamp),
    /// The key was taken back.
    #[error("its key is revoked")]
    Revoked,
    /// It is about another environment.
    #[error("it is for the environment \"{0}\"")]
    OtherEnvironment(String),
    /// It is about another ledger.
    #[error("it is for another ledger (lineage {0})")]
    OtherLineage(String),
    /// It is about another plan.
    #[error("it is for another plan (effect {0})")]
    OtherPlan(String),
    /// Its time is over.
    #[error("it expired at {0}")]
    Expired(Timestamp),
    /// It lasts longer than the gate allows.
    #[error("it lasts until {0}, longer than the gate allows")]
    TooLong(Timestamp),
    /// It was used.
    #[error("it was spent on an earlier run, and an approval counts once")]
    Spent,
    /// The same person approved before.
    #[error("{0} has approved already, and each person counts once")]
    SamePerson(String),
    /// It is the author's.
    #[error("{0} is the author of the plan, and an author does not approve")]
    IsAuthor(String),
    /// It is the starter's.
    #[error("{0} starts the run, and whoever starts it does not approve")]
    IsStarter(String),
    /// Nobody signed.
    #[error("nobody signed")]
    Missing,
}

/// One whose approval counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// Which of the approvals.
    pub index: usize,
    /// Whose.
    pub principal: String,
}

/// How things stand at one gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How many people have to agree.
    pub required: usize,
    /// Those that do.
    pub approved: Vec<Approver>,
    /// The approvals that do not count, and why.
    pub left_out: Vec<(usize, Refusal)>,
    /// Who made the plan, or why that is not known.
    pub author: Result<String, Refusal>,
    /// Who starts the run, once that is known, or why that is not known.
    pub starter: Option<Result<String, Refusal>>,
}

impl Standing {
    /// How many are missing.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.required.saturating_sub(self.approved.len())
    }

    /// Whether the run may start.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.missing() == 0 && self.author.is_ok() && matches!(self.starter, Some(Ok(_)))
    }
}

/// Judges. `starter` is `None` as long as nobody wants to start: what there is, is told, and the gate stays shut.
#[must_use]
pub fn judge(
    gate: &Gate,
    request: &Request,
    approvals: &[Claim],
    author: Author<'_>,
    starter: Option<&Claim>,
    spent: &BTreeSet<String>,
    now: Timestamp,
) -> Standing {
    let starter = starter.map(|claim| gate.signer(claim, request, now));
    let author = match author {
        Author::Signed(claim) => gate.signer(claim, request, now),
        Author::Starter => starter.clone().unwrap_or(Err(Refusal::Missing)),
        Author::Nobody => Err(Refusal::Missing),
    };
    // By person; whoever is seen first is the one.
    let mut taken: BTreeMap<usize, Refusal> = BTreeMap::new();
    if let Ok(signer) = &author {
        taken.insert(signer.person, Refusal::IsAuthor(signer.principal.clone()));
    }
    if let Some(Ok(signer)) = &starter {
        taken.entry(signer.person).or_insert_with(|| Refusal::IsStarter(signer.principal.clone()));
    }
    let mut standing = Standing {
        required: gate.required,
        approved: Vec::new(),
        left_out: Vec::new(),
        author: author.map(|signer| signer.principal),
        starter: starter.map(|found| found.map(|signer| signer.principal)),
    };
    let mut nonces = BTreeSet::new();
    for (index, claim) in approvals.iter().enumerate() {
        let counted = gate.approval(claim, request, spent, now).and_then(|signer| match taken.get(&signer.person) {
            Some(refusal) => Err(refusal.clone()),
            None if !nonces.insert(&claim.statement.nonce) => Err(Refusal::Spent),
            None => Ok(signer),
        });
        match counted {
            Ok(Signer { principal, person }) => {
                taken.insert(person, Refusal::SamePerson(principal.clone()));
                standing.approved.push(Approver { index, principal });
            }
            Err(refusal) => standing.left_out.push((index, refusal)),
        }
    }
    standing
}

impl Gate {
    /// Whose approval it is, if it is one for what is asked and counts now.
    ///
    /// # Errors
    /// With why it does not.
    pub fn approval(
        &self,
        claim: &Claim,
        request: &Request,
        spent: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Signer, Refusal> {
        let signer = self.signer(claim, request, now)?;
        let Some(expires) = claim.statement.expires else { return Err(Refusal::Expired(Timestamp::UNIX_EPOCH)) };
        if now >= expires {
            return Err(Refusal::Expired(expires));
        }
        if expires.duration_since(now) > self.expires.saturating_add(SKEW) {
            return Err(Refusal::TooLong(expires));
        }
        if spent.contains(&claim.statement.nonce) {
            return Err(Refusal::Spent);
        }
        Ok(signer)
    }

    /// Whose signature it is, if it is about what is asked and the key counts now.
    ///
    /// # Errors
    /// With why it is not.
    pub fn signer(&self, claim: &Claim, request: &Request, now: Timestamp) -> Result<Signer, Refusal> {
        let Statement { effect, environment, lineage, .. } = &claim.statement;
        if *environment != request.environment {
            return Err(Refusal::OtherEnvironment(environment.clone()));
        }
        if *lineage != request.lineage {
            return Err(Refusal::OtherLineage(lineage.clone()));
        }
        if *effect != request.effect {
            return Err(Refusal::OtherPlan(effect.chars().take(12).collect()));
        }
        if self.revoked.holds(&claim.key) {
            return Err(Refusal::Revoked);
        }
        self.signers.signer(&claim.key, now).map_err(|unfit| match unfit {
            Unfit::Unknown => Refusal::UnknownKey,
            Unfit::Namespace => Refusal::OtherNamespace,
            Unfit::NotYet(from) => Refusal::NotYet(from),
            Unfit::NoLonger(until) => Refusal::NoLonger(until),
        })
    }
}
