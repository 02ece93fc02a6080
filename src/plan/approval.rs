//! `approval` in the `environment` block: who has to agree before a plan is carried out.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::duration;
use super::world::World;
use crate::config::desired::{AttributeTerm, BlockBody};
use crate::diag::Diagnostic;
use crate::eval::Evaluator;
use crate::ledger::record::ApprovalGate;
use crate::sign::{self, Revoked, Signers};
use crate::value::{Type, Value, convert};

/// How long an approval lasts where nothing is said.
const EXPIRES: Duration = Duration::from_secs(24 * 3600);

/// The largest signers file, and the largest list of revoked keys: each generation records them.
const FILE_MAX: usize = 64 * 1024;

/// Why an `approval` that was recorded, or stands in a plan file, cannot be judged; the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The signers file is none.
    #[error("its signers cannot be read: {0}")]
    Signers(String),
    /// The revoked keys are none.
    #[error("its revoked keys cannot be read: {0}")]
    Revoked(String),
}

/// The gate as it is judged by.
///
/// # Errors
/// When what was recorded cannot be read: nobody gets through it then.
pub fn gate(recorded: &ApprovalGate) -> Result<sign::Gate, GateError> {
    let signers = Signers::parse(&recorded.signers).map_err(|e| GateError::Signers(e.to_string()))?;
    let revoked = recorded.revoked.as_deref().map(revoked).transpose().map_err(GateError::Revoked)?;
    let seconds = i64::try_from(recorded.expires).unwrap_or(i64::MAX);
    Ok(sign::Gate {
        required: usize::try_from(recorded.required).unwrap_or(usize::MAX),
        signers,
        revoked: revoked.unwrap_or_default(),
        expires: jiff::SignedDuration::from_secs(seconds),
    })
}

/// Revoked keys: a list of them, or a KRL in base64, since text cannot hold one.
fn revoked(text: &str) -> Result<Revoked, String> {
    let krl = STANDARD.decode(text.trim()).ok().filter(|bytes| sign::revoked::is_krl(bytes));
    match krl {
        Some(bytes) => Revoked::parse_krl(&bytes),
        None => Revoked::parse_list(text),
    }
    .map_err(|e| e.to_string())
}

/// What the block says, once all in it is known.
pub(super) fn read(world: &World<'_>) -> Result<Option<ApprovalGate>, Diagnostic> {
    let inputs = &world.inputs;
    let Some(environment) = &inputs.desired.environment else { return Ok(None) };
    let Some(block) = environment.body.blocks.iter().find(|b| &*b.ty == "approval") else { return Ok(None) };
    if block.dynamic.is_some() {
        let detail = "Who has to agree is said outright, so the block cannot be a dynamic one.";
        return Err(Diagnostic::error("Dynamic approval block", detail).at(block.span));
    }
    let scope =
        super::settings::Alone { variables: inputs.variables, project: inputs.project, directory: inputs.directory };
    let evaluator = Evaluator { scope: &scope, host: world, budget: &world.budget, site: &"environment" };
    Reader { block, evaluator }.read()
}

/// Reads the arguments of the block.
struct Reader<'a> {
    block: &'a BlockBody,
    evaluator: Evaluator<'a>,
}

impl<'a> Reader<'a> {
    fn read(&self) -> Result<Option<ApprovalGate>, Diagnostic> {
        let (required, signers) = (self.get("required", &Type::Number)?, self.text("signers")?);
        let (revoked, expires) = (self.text("revoked")?, self.get("expires", &Type::String)?);
        if [&required, &signers, &revoked, &expires].into_iter().flatten().any(|(_, value)| !value.is_wholly_known()) {
            return Ok(None);
        }
        let (count, required) = self.required(required)?;
        let (at, signers) = signers.ok_or_else(|| self.missing("signers"))?;
        let signers = signers.as_str().unwrap_or_default().to_owned();
        let parsed = Signers::parse(&signers).map_err(|why| {
            let detail = format!("\"signers\" is not an allowed-signers file of OpenSSH: {why}.");
            Diagnostic::error("Invalid signers", detail).at(at.term.span).hint(SIGNERS_HINT)
        })?;
        match parsed.people() {
            0 => {
                let detail = "\"signers\" names nobody who may sign for Gantry, so nothing could ever be approved.";
                return Err(Diagnostic::error("No signers", detail).at(at.term.span).hint(SIGNERS_HINT));
            }
            people if u64::from(required) >= people as u64 => {
                return Err(too_many(required, people).at(count.term.span));
            }
            _ => {}
        }
        let revoked = match revoked {
            Some((at, value)) => {
                let text = value.as_str().unwrap_or_default().to_owned();
                self::revoked(&text).map_err(|why| {
                    let detail = format!("\"revoked\" is neither a list of public keys nor a KRL: {why}.");
                    Diagnostic::error("Invalid revoked keys", detail).at(at.term.span).hint(
                        "A list has one public key a line; a KRL is binary, so write revoked = filebase64(\"FILE\").",
                    )
                })?;
                Some(text)
            }
            None => None,
        };
        Ok(Some(ApprovalGate { required, signers, revoked, expires: self.expires(expires)? }))
    }

    fn required(&self, found: Option<(&'a AttributeTerm, Value)>) -> Result<(&'a AttributeTerm, u32), Diagnostic> {
        let (attribute, value) = found.ok_or_else(|| self.missing("required"))?;
        let number = value.as_number().and_then(crate::value::Number::to_u64).and_then(|n| u32::try_from(n).ok());
        number.filter(|n| *n > 0).map(|n| (attribute, n)).ok_or_else(|| {
            let detail = "\"required\" says how many people have to agree: a whole number, at least 1.";
            let wrong = Diagnostic::error("Invalid argument value", detail).at(attribute.term.span);
            wrong.hint("Where nobody has to agree, take the block out.")
        })
    }

    fn expires(&self, found: Option<(&'a AttributeTerm, Value)>) -> Result<u64, Diagnostic> {
        let Some((attribute, value)) = found else { return Ok(EXPIRES.as_secs()) };
        let wrong = |why: String| {
            let detail = format!("\"expires\" says how long an approval lasts: {why}.");
            Diagnostic::error("Invalid argument value", detail).at(attribute.term.span)
        };
        let parsed = duration::parse(value.as_str().unwrap_or_default()).map_err(wrong)?;
        match parsed.as_secs() {
            0 => Err(wrong("it is at least a second".into())),
            seconds => Ok(seconds),
        }
    }

    fn get(&self, name: &str, ty: &Type) -> Result<Option<(&'a AttributeTerm, Value)>, Diagnostic> {
        let Some(attribute) = self.block.body.attributes.get(name) else { return Ok(None) };
        let value = self.evaluator.evaluate(&attribute.term).map_err(|e| *e)?;
        if value.marks_deep().is_sensitive() {
            let detail =
                format!("\"{name}\" is sensitive, but whoever approves has to see it, and every run records it.");
            let wrong = Diagnostic::error("Invalid argument value", detail).at(attribute.term.span);
            return Err(wrong.hint("nonsensitive(…) says that it may be shown."));
        }
        let value = convert(&value, ty).map_err(|e| {
            Diagnostic::error("Incorrect argument value type", format!("\"{name}\": {e}.")).at(attribute.term.span)
        })?;
        Ok((!value.is_null()).then_some((attribute, value)))
    }

    fn text(&self, name: &str) -> Result<Option<(&'a AttributeTerm, Value)>, Diagnostic> {
        let found = self.get(name, &Type::String)?;
        if let Some((attribute, value)) = &found
            && let Some(length) = value.as_str().map(str::len).filter(|length| *length > FILE_MAX)
        {
            let detail = format!("\"{name}\" has {length} bytes, and the limit is {FILE_MAX}.");
            return Err(Diagnostic::error("Invalid argument value", detail).at(attribute.term.span));
        }
        Ok(found)
    }

    fn missing(&self, name: &str) -> Diagnostic {
        let detail = format!("The argument \"{name}\" is required, but it is not set in this block.");
        Diagnostic::error("Missing required argument", detail).at(self.block.span)
    }
}

const SIGNERS_HINT: &str = "Each line is NAME KEY, as in: alice@example.com ssh-ed25519 AAAA…, where the key is the content of a .pub \
                            file; ssh-keygen(1) says more under ALLOWED SIGNERS.";

/// More have to agree than ever can: whoever makes a plan, and whoever starts it, does not approve it.
fn too_many(required: u32, people: usize) -> Diagnostic {
    let people = if people == 1 { "1 person".to_owned() } else { format!("{people} people") };
    let detail = format!(
        "\"required\" is {required}, and \"signers\" has {people} (what shares a key or a name is one). Whoever starts a run \
         signs and does not approve, so at least {} people have to be in it.",
        u64::from(required) + 1
    );
    Diagnostic::error("More approvals than people", detail).hint("Add people to the signers file, or ask for fewer.")
}

/// How things stand with the approval of a plan, for those who show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreement {
    /// What has to be passed: the plan's own gate, and what is recorded where that is another.
    pub gates: Vec<AtGate>,
    /// Who made the plan, where somebody signed as that.
    pub author: Option<String>,
    /// Who starts the run, once that is known.
    pub starter: Option<String>,
}

/// How things stand at one gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtGate {
    /// Whether it is what is recorded, and not the plan's own.
    pub recorded: bool,
    /// How many people have to agree.
    pub required: usize,
    /// Who may.
    pub names: Vec<String>,
    /// Who does.
    pub approved: Vec<Agreed>,
    /// Approvals that do not count.
    pub left_out: Vec<LeftOut>,
}

/// Somebody who agrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Who.
    pub principal: String,
    /// When that was recorded, where it was given for an earlier plan of the same effect.
    pub earlier: Option<String>,
    /// Until when it counts.
    pub expires: Option<String>,
}

/// An approval that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Whose.
    pub who: String,
    /// Why; the end of a sentence.
    pub why: String,
    /// Where it is for another plan: the steps that differ.
    pub differs: Vec<String>,
}

impl Agreement {
    /// Whether enough people agree.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.gates.iter().all(|gate| gate.approved.len() >= gate.required)
    }
}

/// The most steps that are named where two plans differ.
const NAMED: usize = 5;

/// Which steps differ between two plans, by their texts ([`super::effect::text`]).
#[must_use]
pub fn differences(then: &str, now: &str) -> Vec<String> {
    // `NUMBER NAME: WORK after NUMBERS`: the numbers shift with every step in front.
    let steps = |text: &'_ str| -> std::collections::BTreeMap<String, String> {
        let one = |line: &str| {
            let (_, line) = line.split_once(' ')?;
            let line = line.rsplit_once(" after ").map_or(line, |(work, _)| work);
            let (name, work) = line.split_once(": ")?;
            Some((name.to_owned(), work.to_owned()))
        };
        text.lines().filter_map(one).collect()
    };
    let (then, now) = (steps(then), steps(now));
    let mut found = Vec::new();
    for (name, work) in &now {
        match then.get(name) {
            None => found.push(format!("{name} (new)")),
            Some(before) if before != work => found.push(name.clone()),
            Some(_) => {}
        }
    }
    found.extend(then.keys().filter(|name| !now.contains_key(*name)).map(|name| format!("{name} (gone)")));
    if found.is_empty() {
        return vec!["their order".into()];
    }
    let more = found.len().saturating_sub(NAMED);
    found.truncate(NAMED);
    if more > 0 {
        found.push(format!("{more} more"));
    }
    found
}
