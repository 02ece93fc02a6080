//! Whether those have agreed to a run who have to: everything that the decision ([`crate::sign::gate`]) needs, gathered.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::apply::{Made, Wanted};
use super::approval_file::ApprovalFile;
use super::error::{Failure, Result};
use super::run::Opened;
use super::signing::Signing;
use crate::ledger::record::{Approval, Consent, Gates};
use crate::ledger::{Backend, State};
use crate::plan::approval::{self, Agreement, AtGate, LeftOut, differences};
use crate::plan::{Plan, PlanFile, effect};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::id;
use crate::sign::sshsig::OpenError;
use crate::sign::{self, Author, Claim, Gate, Refusal, Request, Role, Signed, Standing, Statement};

/// What whoever runs a command says about approval.
#[derive(Debug, Clone, Default)]
pub struct Agreeing {
    /// With what he signs.
    pub signing: Signing,
    /// Approvals that were handed over.
    pub approvals: Vec<PathBuf>,
}

/// An approval that is there.
struct Presented {
    signed: Signed,
    /// When it was recorded.
    recorded: Option<String>,
    /// The blob with its steps.
    blob: Option<String>,
    /// Its steps.
    steps: Option<String>,
}

/// Who made the plan.
enum By {
    Saved(Option<Box<Claim>>),
    Starter,
}

/// A plan file that is carried out, as far as approval goes.
#[derive(Debug, Clone)]
pub struct Saved {
    /// The file's digest, to know it again.
    pub digest: String,
    /// Where it is, for what people are to run next.
    pub path: PathBuf,
    /// Who made it.
    pub author: Option<Signed>,
    /// The effect that people have seen.
    pub effect: String,
    /// What they have seen for the ledger's lineage.
    pub lineage: String,
}

impl Saved {
    /// What of a plan file is about approval.
    #[must_use]
    pub fn of(path: &Path, file: &PlanFile) -> Self {
        Self {
            digest: file.digest.clone(),
            path: path.to_path_buf(),
            author: file.author.clone(),
            effect: file.effect.clone(),
            lineage: file.lineage_to_sign(),
        }
    }
}

/// A plan that needs approval, with all that is said about it.
pub struct Case {
    gates: Vec<(bool, Gate)>,
    request: Request,
    spent: BTreeSet<String>,
    presented: Vec<Presented>,
    claims: Vec<(usize, Claim)>,
    broken: Vec<(usize, OpenError)>,
    author: By,
    author_signed: Option<Signed>,
    saved: Option<PathBuf>,
}

/// The gates that a plan with these has to pass on a ledger, each with whether it is what is recorded.
///
/// # Errors
/// When one that was recorded cannot be read.
pub fn gates(own: &Gates, state: &State) -> Result<Vec<(bool, Gate)>> {
    let mut all: Vec<(bool, &crate::ledger::record::ApprovalGate)> = own.approval.iter().map(|a| (false, a)).collect();
    for recorded in state.gates().into_iter().filter_map(|gates| gates.approval.as_ref()) {
        if !all.iter().any(|(_, known)| *known == recorded) {
            all.push((true, recorded));
        }
    }
    let read = |(recorded, gate)| Ok((recorded, approval::gate(gate)?));
    all.into_iter()
        .map(read)
        .collect::<std::result::Result<_, approval::GateError>>()
        .map_err(|why| Failure::refused("Unreadable approval gate", format!("Who has to agree cannot be told: {why}.")))
}

impl Case {
    /// What is to be judged; `None` where nobody has to agree.
    ///
    /// # Errors
    /// When a file cannot be read, or what is recorded not be judged.
    pub fn of(
        plan: &Plan,
        lineage: &str,
        state: &State,
        saved: Option<&Saved>,
        files: &[PathBuf],
    ) -> Result<Option<Self>> {
        let request = Request {
            effect: saved.map_or(&plan.effect, |saved| &saved.effect).clone(),
            environment: plan.environment.clone(),
            lineage: saved.map_or(lineage, |saved| &saved.lineage).to_owned(),
        };
        let author_signed = saved.and_then(|saved| saved.author.clone());
        let author = match saved {
            None => By::Starter,
            Some(saved) => By::Saved(match &saved.author {
                None => None,
                Some(signed) => Some(Box::new(signed.open(Role::Author).map_err(|why| {
                    let detail = format!("The signature of the plan's author says nothing: {why}.");
                    Failure::refused("Plan file refused", detail).hint("Plan again: gantry plan ENVIRONMENT --out FILE")
                })?)),
            }),
        };
        let case = Self::on(&plan.gates, request, state, author, files)?;
        Ok(case.map(|case| Self { author_signed, saved: saved.map(|saved| saved.path.clone()), ..case }))
    }

    fn on(own: &Gates, request: Request, state: &State, author: By, files: &[PathBuf]) -> Result<Option<Self>> {
        let gates = gates(own, state)?;
        if gates.is_empty() {
            return Ok(None);
        }
        let mut presented: Vec<Presented> = Vec::new();
        for given in &state.approvals {
            let Approval { line, signature, steps, .. } = given.approval.clone();
            let signed = Signed { line, signature };
            presented.push(Presented { signed, recorded: Some(given.time.clone()), blob: steps, steps: None });
        }
        for path in files {
            let file = ApprovalFile::read(path)?;
            // The same one may have been recorded as well.
            if !presented.iter().any(|known| known.signed.line == file.line) {
                let signed = file.signed();
                presented.push(Presented { signed, recorded: None, blob: None, steps: Some(file.steps) });
            }
        }
        let (mut claims, mut broken) = (Vec::new(), Vec::new());
        for (at, one) in presented.iter().enumerate() {
            match one.signed.open(Role::Approval) {
                Ok(claim) => claims.push((at, claim)),
                Err(why) => broken.push((at, why)),
            }
        }
        let spent = state.spent();
        Ok(Some(Self { gates, request, spent, presented, claims, broken, author, author_signed: None, saved: None }))
    }

    /// The gates.
    #[must_use]
    pub fn gates(&self) -> Vec<&Gate> {
        self.gates.iter().map(|(_, gate)| gate).collect()
    }

    fn judge(&self, starter: Option<&Claim>, now: Timestamp) -> Vec<Standing> {
        let claims: Vec<Claim> = self.claims.iter().map(|(_, claim)| claim.clone()).collect();
        let author = match &self.author {
            By::Starter => Author::Starter,
            By::Saved(Some(claim)) => Author::Signed(claim),
            By::Saved(None) => Author::Nobody,
        };
        let one = |gate| sign::judge(gate, &self.request, &claims, author, starter, &self.spent, now);
        self.gates.iter().map(|(_, gate)| one(gate)).collect()
    }

    /// How things stand now; `steps` are the plan's.
    pub async fn agreement(&self, now: Timestamp, steps: &str, backend: &dyn Backend) -> Agreement {
        let mut told = self.told(&self.judge(None, now));
        self.add_differences(&mut told, steps, backend).await;
        told
    }

    fn told(&self, standings: &[Standing]) -> Agreement {
        let author = standings.first().and_then(|s| s.author.clone().ok());
        let starter = standings.first().and_then(|s| s.starter.clone()?.ok());
        let at_gate = |((recorded, gate), standing): (&(bool, Gate), &Standing)| {
            let agreed = |approver: &sign::gate::Approver| {
                let (at, claim) = &self.claims[approver.index];
                let earlier = self.presented[*at].recorded.clone().filter(|_| self.saved.is_none());
                let expires = claim.statement.expires.map(|time| time.to_string());
                approval::Agreed { principal: approver.principal.clone(), earlier, expires }
            };
            let left_out = |(index, refusal): &(usize, Refusal)| LeftOut {
                who: self.who(&self.claims[*index].1),
                why: refusal.to_string(),
                differs: Vec::new(),
            };
            let broken = self.broken.iter().map(|(_, why)| LeftOut {
                who: "somebody".into(),
                why: why.to_string(),
                differs: Vec::new(),
            });
            AtGate {
                recorded: *recorded,
                required: gate.required,
                names: gate.signers.names().into_iter().map(str::to_owned).collect(),
                approved: standing.approved.iter().map(agreed).collect(),
                left_out: standing.left_out.iter().map(left_out).chain(broken).collect(),
            }
        };
        Agreement { gates: self.gates.iter().zip(standings).map(at_gate).collect(), author, starter }
    }

    /// The name of who signed, as far as any gate knows the key, and the key.
    pub(super) fn who(&self, claim: &Claim) -> String {
        who(self.gates.iter().map(|(_, gate)| gate), claim)
    }

    /// Who agrees to the run, once whoever starts it has signed. The approvals that it names are spent with it.
    ///
    /// # Errors
    /// When those do not suffice that are there, or whoever starts it cannot sign or may not.
    async fn settle(
        &self,
        plan: &Plan,
        steps: &str,
        signing: &Signing,
        backend: &dyn Backend,
        clock: &(dyn Fn() -> Timestamp + Send + Sync),
    ) -> Result<(Settled, Agreement)> {
        let standings = self.judge(None, clock());
        if standings.iter().any(|standing| standing.missing() > 0) || self.author_is_wanting(&standings) {
            return Err(self.refuse(plan, steps, &standings, backend).await);
        }
        let nonce = id::random_hex::<16>();
        let Request { effect, environment, lineage } = self.request.clone();
        let statement = Statement { role: Role::Start, effect, environment, lineage, expires: None, nonce };
        let signed = signing.sign(&statement, &self.gates()).await?;
        let starter = signed.open(Role::Start).map_err(|why| {
            Failure::refused("Signature refused", format!("What was signed to start the run says nothing: {why}."))
        })?;
        let standings = self.judge(Some(&starter), clock());
        if !standings.iter().all(Standing::is_open) {
            return Err(self.refuse(plan, steps, &standings, backend).await);
        }
        let agreement = self.told(&standings);
        Ok((Settled { starter, signed }, agreement))
    }

    /// The same once more, right before the run begins: people may have been asked in between.
    ///
    /// # Errors
    /// When an approval has expired since.
    async fn consent(
        &self,
        settled: Settled,
        plan: &Plan,
        steps: &str,
        backend: &dyn Backend,
        now: Timestamp,
    ) -> Result<Consent> {
        let standings = self.judge(Some(&settled.starter), now);
        if !standings.iter().all(Standing::is_open) {
            return Err(self.refuse(plan, steps, &standings, backend).await);
        }
        // All that are about this are spent, also those that were not needed: what was agreed to is done once.
        let counts = |claim: &&(usize, Claim)| {
            self.gates.iter().any(|(_, gate)| gate.approval(&claim.1, &self.request, &self.spent, now).is_ok())
        };
        let mut nonces = BTreeSet::new();
        let mut approvals = Vec::new();
        for (at, claim) in self.claims.iter().filter(counts) {
            if nonces.insert(claim.statement.nonce.clone()) {
                approvals.push(recorded(self.principal(claim), claim, &self.presented[*at].signed, None));
            }
        }
        let author = match (&self.author, &self.author_signed) {
            (By::Saved(Some(claim)), Some(signed)) => Some(recorded(self.principal(claim), claim, signed, None)),
            _ => None,
        };
        let starter = recorded(self.principal(&settled.starter), &settled.starter, &settled.signed, None);
        Ok(Consent { approvals, author, starter })
    }

    fn principal(&self, claim: &Claim) -> String {
        let name = self.gates.iter().find_map(|(_, gate)| gate.signers.name_of(&claim.key));
        name.map_or_else(|| claim.key.fingerprint(), str::to_owned)
    }

    /// Whether the plan was saved and its author is nobody who may be: of one that is planned just now, whoever starts is.
    fn author_is_wanting(&self, standings: &[Standing]) -> bool {
        matches!(self.author, By::Saved(_)) && standings.iter().any(|standing| standing.author.is_err())
    }

    async fn refuse(&self, plan: &Plan, steps: &str, standings: &[Standing], backend: &dyn Backend) -> Failure {
        let name = &plan.environment;
        let again = format!(
            "Plan again and sign: gantry plan {name}{} --out FILE --key KEY",
            if plan.kind == crate::ledger::event::RunKind::Destroy { " --destroy" } else { "" }
        );
        if self.author_is_wanting(standings) {
            let why = standings.iter().find_map(|s| s.author.clone().err());
            let detail = match why {
                None | Some(Refusal::Missing) => {
                    "The plan needs approval, and nobody has signed it as its author, so nobody can tell who must not approve it."
                        .to_owned()
                }
                Some(why) => format!("The signature of the plan's author does not count: {why}."),
            };
            return Failure::refused("Author not known", detail).hint(again);
        }
        if let Some(why) = standings.iter().find_map(|s| s.starter.clone()?.err()) {
            let detail = format!("The signature of whoever starts the run does not count: {why}.");
            return Failure::refused("Not allowed to start", detail)
                .hint("Sign with a key that the signers file has: --key FILE");
        }
        let mut told = self.told(standings);
        self.add_differences(&mut told, steps, backend).await;
        let detail = told.gates.iter().filter(|g| g.approved.len() < g.required).map(missing).collect::<Vec<_>>();
        let failure = Failure::refused("Approval missing", detail.join("\n"));
        match &self.saved {
            Some(path) => {
                let path = from_here(path);
                failure.hint(format!(
                    "Have it approved: gantry approve {path} --key KEY, then: gantry apply {name} {path}"
                ))
            }
            None => {
                let save = match plan.kind {
                    crate::ledger::event::RunKind::Destroy => {
                        format!("gantry plan {name} --destroy --out FILE --key KEY")
                    }
                    crate::ledger::event::RunKind::Rollback => format!("gantry rollback {name} --out FILE --key KEY"),
                    _ => format!("gantry plan {name} --out FILE --key KEY"),
                };
                failure.hint(format!(
                    "Save the plan and have it approved: {save}, then, by somebody else: gantry approve FILE --key KEY"
                ))
            }
        }
    }

    /// What is different in what was approved.
    async fn add_differences(&self, told: &mut Agreement, steps: &str, backend: &dyn Backend) {
        for (index, (at, claim)) in self.claims.iter().enumerate() {
            let other = claim.statement.effect != self.request.effect
                && claim.statement.environment == self.request.environment
                && claim.statement.lineage == self.request.lineage;
            if !other {
                continue;
            }
            let one = &self.presented[*at];
            let then = match (&one.steps, &one.blob) {
                (Some(steps), _) => Some(steps.clone()),
                (None, Some(blob)) => text_of(backend, blob).await,
                (None, None) => None,
            };
            let Some(then) = then else { continue };
            let (who, differs) = (self.who(&self.claims[index].1), differences(&then, steps));
            for left in told.gates.iter_mut().flat_map(|g| &mut g.left_out).filter(|l| l.who == who) {
                if left.differs.is_empty() && left.why.contains("another plan") {
                    left.differs.clone_from(&differs);
                    break;
                }
            }
        }
    }
}

/// Whoever starts the run has signed.
struct Settled {
    starter: Claim,
    signed: Signed,
}

/// A run that enough people agree to, and that whoever starts it has signed.
pub(super) struct Agreed {
    case: Case,
    settled: Settled,
    steps: String,
}

/// Asks the gates of a plan that is about to be carried out; `None` where nobody has to agree.
///
/// # Errors
/// When not enough people agree, or whoever starts it cannot sign or may not.
pub(super) async fn agree(
    opened: &Opened,
    made: &mut Made,
    wanted: &Wanted,
    saved: Option<&Saved>,
) -> Result<Option<Agreed>> {
    let Agreeing { signing, approvals } = &wanted.agreeing;
    let Some(case) = Case::of(&made.plan, opened.lineage(), &opened.state, saved, approvals)? else {
        return Ok(None);
    };
    let seal = |bytes: &[u8]| opened.secrets.key.hmac(bytes);
    let steps = effect::text(&made.plan.steps, &made.plan.gates, &seal);
    let clock = || opened.targets.now();
    let (settled, agreement) = case.settle(&made.plan, &steps, signing, opened.backend(), &clock).await?;
    made.agreement = Some(agreement);
    Ok(Some(Agreed { case, settled, steps }))
}

impl Agreed {
    /// The same once more, right before the run begins, for people may have been asked in between; what the run records of it.
    ///
    /// # Errors
    /// When an approval has expired since.
    pub(super) async fn consent(self, opened: &Opened, plan: &Plan) -> Result<Consent> {
        self.case.consent(self.settled, plan, &self.steps, opened.backend(), opened.targets.now()).await
    }
}

/// Has the author of a plan sign it, where it needs approval.
///
/// # Errors
/// When he cannot, or may not.
pub(super) async fn author(
    file: &PlanFile,
    state: &State,
    signing: &Signing,
    has_changes: bool,
) -> Result<Option<Signed>> {
    let gates = gates(&file.gates, state)?;
    if gates.is_empty() || !has_changes {
        return Ok(None);
    }
    let request = request_of(file);
    let Request { effect, environment, lineage } = request.clone();
    let nonce = id::random_hex::<16>();
    let statement = Statement { role: Role::Author, effect, environment, lineage, expires: None, nonce };
    let all: Vec<&Gate> = gates.iter().map(|(_, gate)| gate).collect();
    let signed = signing.sign(&statement, &all).await?;
    let claim = signed.open(Role::Author).map_err(|why| {
        Failure::refused("Signature refused", format!("What was signed as the plan's author says nothing: {why}."))
    })?;
    for gate in all {
        if let Err(why) = gate.signer(&claim, &request, SystemClock.now()) {
            let detail = format!(
                "The plan needs approval, and {} cannot be its author: {why}. No plan file was written.",
                who(std::iter::once(gate), &claim)
            );
            return Err(Failure::refused("Not allowed to make this plan", detail)
                .hint("Sign with a key that the signers file has: --key FILE"));
        }
    }
    Ok(Some(signed))
}

/// What a plan file is about.
pub(super) fn request_of(file: &PlanFile) -> Request {
    Request {
        effect: file.effect.clone(),
        environment: file.inputs.environment.clone(),
        lineage: file.lineage_to_sign(),
    }
}

async fn text_of(backend: &dyn Backend, blob: &str) -> Option<String> {
    let bytes = backend.get_blob(blob.parse().ok()?).await.ok()?;
    String::from_utf8(bytes).ok()
}

/// The name of who signed, as far as any gate knows the key, and the key.
pub(super) fn who<'g>(mut gates: impl Iterator<Item = &'g Gate>, claim: &Claim) -> String {
    let key = claim.key.fingerprint();
    match gates.find_map(|gate| gate.signers.name_of(&claim.key)) {
        Some(name) => format!("{name} ({key})"),
        None => key,
    }
}

/// What was signed, as it is recorded.
pub(super) fn recorded(principal: String, claim: &Claim, signed: &Signed, steps: Option<String>) -> Approval {
    let Statement { effect, nonce, expires, .. } = &claim.statement;
    Approval {
        principal,
        effect: effect.clone(),
        nonce: nonce.clone(),
        expires: expires.map(|time| time.to_string()),
        line: signed.line.clone(),
        signature: signed.signature.clone(),
        steps,
    }
}

/// A path as one types it where the command was started.
pub(super) fn from_here(path: &Path) -> String {
    let here = crate::ports::env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path).display().to_string()
}

/// What one gate lacks, as sentences.
fn missing(gate: &AtGate) -> String {
    let whose = if gate.recorded { "What is recorded of the present generation asks for" } else { "The plan needs" };
    let approvals = crate::diag::count(gate.required, "approval");
    let has = match gate.approved.as_slice() {
        [] => "it has none".to_owned(),
        some => format!("it has {}", some.iter().map(|a| &*a.principal).collect::<Vec<_>>().join(", ")),
    };
    let mut text = format!("{whose} {approvals} of {}, and {has}.", gate.names.join(", "));
    for LeftOut { who, why, differs } in &gate.left_out {
        text.push_str(&format!(" The approval of {who} does not count: {why}."));
        if !differs.is_empty() {
            text.push_str(&format!(" What differs: {}.", differs.join(", ")));
        }
    }
    text
}
