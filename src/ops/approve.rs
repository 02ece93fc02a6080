//! `approve`: agreeing that a saved plan is carried out. It needs the plan file and a key, and looks at no target.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::apply::{Made, read_plan_file};
use super::approval_file::ApprovalFile;
use super::consent::{self, recorded, request_of, who};
use super::error::{Failure, FailureKind, Result};
use super::records::Records;
use super::run::{Changing, Opened};
use super::show;
use super::signing::Signing;
use super::workspace::Workspace;
use crate::config::VarArg;
use crate::ledger::State;
use crate::ledger::event::Event;
use crate::ledger::lease::LeaseRecord;
use crate::plan::{PlanFile, effect};
use crate::ports::clock::{Clock as _, SystemClock};
use crate::ports::{fs, id};
use crate::sign::{Claim, Gate, Refusal, Request, Role, Signed, Statement};

/// The largest file with a line or a signature.
const TEXT_MAX: u64 = 64 * 1024;

/// Where the signature comes from.
#[derive(Debug, Clone)]
pub enum By {
    /// It is made now.
    Signing(Signing),
    /// Somebody made it with ssh-keygen: the line and the signature, in files.
    Made {
        /// The line, as `--print` wrote it.
        line: PathBuf,
        /// The armoured signature.
        signature: PathBuf,
    },
    /// Somebody handed it over.
    File(PathBuf),
}

/// What `approve` is asked for with.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The plan file.
    pub plan: PathBuf,
    /// Values of variables that the place of the ledger may depend on.
    pub variables: Vec<VarArg>,
    /// A shorter time than the environment allows.
    pub expires: Option<Duration>,
}

/// A plan file that waits for approval, and what is known of its environment.
pub struct Waiting {
    /// Where its environment is on this machine, if it is.
    workspace: Option<Workspace>,
    file: PlanFile,
    /// What the ledger says, where it can be read here and is the plan's.
    state: Option<State>,
    /// Why it cannot.
    why_not: Option<String>,
    /// The file, as one types it.
    path: String,
    gates: Vec<(bool, Gate)>,
    request: Request,
    author: Option<Claim>,
    /// The plan, where it could be made again from what is here.
    pub made: Option<Box<Made>>,
}

/// What an approval came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Who approved.
    pub who: String,
    /// Until when it counts.
    pub expires: Timestamp,
    /// The environment.
    pub environment: String,
    /// How many people have approved, as far as is known here, and how many have to, at each gate.
    pub counts: Vec<(usize, usize)>,
    /// Where it is, if not in the ledger.
    pub file: Option<PathBuf>,
}

impl Waiting {
    /// Reads a plan file, and what its ledger says where that can be read here.
    ///
    /// # Errors
    /// When the file is none, is stale, was changed, or needs no approval.
    pub async fn open(directory: &Path, wish: &Wish) -> Result<Self> {
        let file = read_plan_file(&wish.plan)?;
        if effect::digest(file.steps.as_bytes()) != file.effect {
            let detail = "The steps that the plan file names are not those that its effect stands for. It was edited.";
            return Err(Failure::refused("Plan file refused", detail).hint(AGAIN));
        }
        let workspace = Workspace::locate(directory, Some(&file.inputs.environment))
            .or_else(|_| Workspace::locate(Path::new(&file.directory), None))
            .ok();
        let records = match &workspace {
            Some(workspace) => Records::read(workspace, &wish.variables).await,
            None => Err(Failure::error(
                "No environment",
                format!("there is no environment \"{}\" here", file.inputs.environment),
            )),
        };
        let (state, why_not) = match records {
            Ok(records) if records.lineage == file.lineage => (Some(records.state), None),
            Ok(records) if records.lineage.is_some() && file.lineage.is_some() => {
                let detail = "The plan was made on another ledger than the one that this environment has now.";
                return Err(Failure::refused("Plan file refused", detail).hint(AGAIN));
            }
            Ok(_) if file.lineage.is_none() => {
                let detail = "The plan was made before the environment's first generation, and there is one now.";
                return Err(Failure::refused("Saved plan is stale", detail).hint(AGAIN));
            }
            Ok(_) => (None, Some("the ledger that the plan was made on is not here".to_owned())),
            Err(failure) => (None, Some(first_detail(&failure))),
        };
        if let Some(state) = &state
            && crate::plan::basis(state) != file.basis
        {
            return Err(super::apply::stale(state));
        }
        let gates = consent::gates(&file.gates, state.as_ref().unwrap_or(&State::default()))?;
        if gates.is_empty() {
            let detail = format!("Nobody has to agree before this plan of \"{}\" is applied.", file.inputs.environment);
            return Err(Failure::error("No approval needed", detail)
                .hint("Who has to agree is said in environment { approval { … } }."));
        }
        let author = file.author.as_ref().map(|signed| signed.open(Role::Author)).transpose().map_err(|why| {
            let detail = format!("The signature of the plan's author says nothing: {why}.");
            Failure::refused("Plan file refused", detail).hint(AGAIN)
        })?;
        let made = match (&state, &workspace) {
            (Some(_), Some(here)) => show::plan_file(here, (&wish.plan, &file), &wish.variables).await.ok(),
            _ => None,
        };
        let (request, made) = (request_of(&file), made.map(|(made, _)| Box::new(made)));
        let path = consent::from_here(&wish.plan);
        Ok(Self { workspace, file, state, why_not, path, gates, request, author, made })
    }

    /// The steps of the plan as text, which its effect is the digest of: what there is to show where the plan cannot be made again
    /// here. With why.
    #[must_use]
    pub fn steps(&self) -> (&str, &str) {
        (&self.file.steps, self.why_not.as_deref().unwrap_or("a secret that it needs is not at hand"))
    }

    /// The environment's name.
    #[must_use]
    pub fn environment(&self) -> &str {
        &self.file.inputs.environment
    }

    /// The statement to be signed.
    ///
    /// # Errors
    /// When it is to last longer than the environment allows.
    pub fn statement(&self, wish: &Wish) -> Result<Statement> {
        let longest = self.gates.iter().map(|(_, gate)| gate.expires).min().unwrap_or(SignedDuration::ZERO);
        let wanted = wish.expires.and_then(|wanted| SignedDuration::try_from(wanted).ok());
        if let Some(wanted) = wanted.filter(|wanted| *wanted > longest || wanted.as_secs() < 1) {
            let detail = format!(
                "An approval of this plan lasts a second at least and {} at most, and {} was asked for.",
                shown(longest),
                shown(wanted)
            );
            return Err(Failure::error("Invalid --expires", detail));
        }
        let now = SystemClock.now();
        let until = now.checked_add(wanted.unwrap_or(longest)).unwrap_or(now);
        let until = Timestamp::from_second(until.as_second()).unwrap_or(until);
        let Request { effect, environment, lineage } = self.request.clone();
        let nonce = id::random_hex::<16>();
        Ok(Statement { role: Role::Approval, effect, environment, lineage, expires: Some(until), nonce })
    }

    /// An approval of this plan: made now, or taken from where somebody put it.
    ///
    /// # Errors
    /// When it cannot be signed, or does not count.
    pub async fn signed(&self, wish: &Wish, by: &By) -> Result<(Signed, Claim)> {
        let signed = match by {
            By::Signing(signing) => {
                let gates: Vec<&Gate> = self.gates.iter().map(|(_, gate)| gate).collect();
                signing.sign(&self.statement(wish)?, &gates).await?
            }
            By::Made { line, signature } => {
                let line = text(line)?;
                let line = line.strip_suffix('\n').unwrap_or(&line).to_owned();
                Signed { line, signature: text(signature)? }
            }
            By::File(path) => ApprovalFile::read(path)?.signed(),
        };
        let claim = signed.open(Role::Approval).map_err(|why| {
            let path = &self.path;
            Failure::refused("Approval refused", format!("The approval is not taken: {why}.")).hint(format!(
                "Print the line, sign just that, and hand both in: gantry approve {path} --print > line; ssh-keygen -Y sign -n gantry -f \
                 KEY line; gantry approve {path} --line line --signature line.sig"
            ))
        })?;
        self.judged(&claim, self.state.as_ref())?;
        Ok((signed, claim))
    }

    /// Whether an approval counts for this plan.
    fn judged(&self, claim: &Claim, state: Option<&State>) -> Result<()> {
        let now = SystemClock.now();
        let spent = state.map(State::spent).unwrap_or_default();
        let name = who(self.gates.iter().map(|(_, gate)| gate), claim);
        let refused = |why: String| {
            Failure::refused("Approval refused", format!("The approval of {name} does not count: {why}."))
        };
        for (_, gate) in &self.gates {
            let signer = gate
                .approval(claim, &self.request, &spent, now)
                .map_err(|why| refused(why.to_string()).hint(self.instead(&why)))?;
            let author = self.author.as_ref().and_then(|author| gate.signer(author, &self.request, now).ok());
            if let Some(author) = author.filter(|author| author.person == signer.person) {
                return Err(
                    refused(Refusal::IsAuthor(author.principal).to_string()).hint("Have it approved by somebody else.")
                );
            }
            for other in state.iter().flat_map(|state| &state.approvals) {
                let signed = Signed { line: other.approval.line.clone(), signature: other.approval.signature.clone() };
                let Ok(other) = signed.open(Role::Approval) else { continue };
                let same = gate.approval(&other, &self.request, &spent, now).ok();
                if let Some(same) = same.filter(|same| same.person == signer.person) {
                    return Err(refused(Refusal::SamePerson(same.principal).to_string())
                        .hint(format!("See what it needs and has: gantry show {}", self.path)));
                }
            }
        }
        Ok(())
    }

    /// What to do about an approval that does not count.
    fn instead(&self, why: &Refusal) -> String {
        match why {
            Refusal::UnknownKey
            | Refusal::OtherNamespace
            | Refusal::NotYet(_)
            | Refusal::NoLonger(_)
            | Refusal::Revoked => "Sign with a key that the signers file has: --key FILE".to_owned(),
            _ => format!("Approve this plan itself: gantry approve {} --key KEY", self.path),
        }
    }

    /// Writes the approval into a file of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, (signed, claim): &(Signed, Claim), path: &Path) -> Result<Given> {
        ApprovalFile::new(signed.clone(), self.file.steps.clone()).write(path)?;
        Ok(self.given(claim, self.state.as_ref(), 1, Some(path.to_path_buf())))
    }

    /// Where an approval can be put that the ledger cannot hold.
    fn elsewhere(&self) -> String {
        let path = &self.path;
        format!(
            "Write it into a file and hand that over: gantry approve {path} --out FILE; then gantry apply {path} --approval FILE, or gantry \
             approve {path} --from FILE where the ledger can be written."
        )
    }

    /// Whether there is a ledger that an approval can be recorded in.
    ///
    /// # Errors
    /// When there is none.
    pub fn recordable(&self) -> Result<()> {
        if self.file.lineage.is_none() {
            let detail = "The plan is the environment's first, so there is no ledger yet that could hold an approval.";
            return Err(Failure::refused("No ledger yet", detail).hint(self.elsewhere()));
        }
        if let Some(why) = &self.why_not {
            let detail = format!("The approval cannot be recorded, for {why}.");
            return Err(Failure::refused("No ledger here", detail).hint(self.elsewhere()));
        }
        Ok(())
    }

    /// Records the approval in the ledger.
    ///
    /// # Errors
    /// When there is no ledger, it cannot be written, or the approval does not count any more.
    pub async fn record(
        &self,
        (signed, claim): &(Signed, Claim),
        wish: &Wish,
        how: &Changing,
        waiting: &mut (dyn FnMut(&LeaseRecord) + Send),
    ) -> Result<Given> {
        self.recordable()?;
        let elsewhere = self.elsewhere();
        let workspace =
            self.workspace.clone().expect("invariant: a ledger that can be recorded in was read in its workspace");
        let opened = Opened::open(workspace, &wish.variables, how, waiting).await;
        let mut opened = opened.map_err(|failure| failure.hint(&elsewhere))?;
        let noted = self.note(&mut opened, signed, claim).await;
        opened.close().await;
        noted.map_err(|failure| match failure.kind {
            // Nothing of the environment was changed, whatever became of the entry.
            FailureKind::Unfinished => Failure { kind: FailureKind::Error, ..failure }.hint(&elsewhere),
            _ => failure,
        })
    }

    async fn note(&self, opened: &mut Opened, signed: &Signed, claim: &Claim) -> Result<Given> {
        if crate::plan::basis(&opened.state) != self.file.basis {
            return Err(super::apply::stale(&opened.state));
        }
        self.judged(claim, Some(&opened.state))?;
        opened.fence().await?;
        let steps = opened.backend().put_blob(self.file.steps.clone().into_bytes()).await?;
        let name = self.gates.iter().find_map(|(_, gate)| gate.signers.name_of(&claim.key));
        let name = name.map_or_else(|| claim.key.fingerprint(), str::to_owned);
        let approval = recorded(name, claim, signed, Some(steps.to_string()));
        opened.note(Event::ApprovalGiven(Box::new(approval))).await?;
        Ok(self.given(claim, Some(&opened.state), 0, None))
    }

    fn given(&self, claim: &Claim, state: Option<&State>, more: usize, file: Option<PathBuf>) -> Given {
        let now = SystemClock.now();
        let empty = State::default();
        let state = state.unwrap_or(&empty);
        let all: Vec<Claim> = state
            .approvals
            .iter()
            .filter_map(|g| {
                let signed = Signed { line: g.approval.line.clone(), signature: g.approval.signature.clone() };
                signed.open(Role::Approval).ok()
            })
            .collect();
        let author = self.author.as_ref().map_or(crate::sign::Author::Nobody, crate::sign::Author::Signed);
        let count = |gate: &Gate| {
            let standing = crate::sign::judge(gate, &self.request, &all, author, None, &state.spent(), now);
            (standing.approved.len() + more, gate.required)
        };
        Given {
            who: who(self.gates.iter().map(|(_, gate)| gate), claim),
            expires: claim.statement.expires.unwrap_or(now),
            environment: self.environment().to_owned(),
            counts: self.gates.iter().map(|(_, gate)| count(gate)).collect(),
            file,
        }
    }
}

const AGAIN: &str = "Plan again: gantry plan ENVIRONMENT --out FILE";

fn text(path: &Path) -> Result<String> {
    let failed =
        |why: String| Failure::error("Cannot read file", format!("The file {} cannot be read: {why}.", path.display()));
    let bytes = fs::read(path, TEXT_MAX).map_err(|e| failed(e.source.to_string()))?;
    String::from_utf8(bytes).map_err(|_| failed("it is no text".into()))
}

fn first_detail(failure: &Failure) -> String {
    let detail = failure.diagnostics.iter().next().map(|d| d.detail.clone()).unwrap_or_default();
    format!("its ledger cannot be read: {}", detail.trim_end_matches('.'))
}

fn shown(duration: SignedDuration) -> String {
    format!("{duration:#}")
}
