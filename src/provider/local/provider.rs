//! The provider: which type an act is for.

use futures_util::{FutureExt as _, StreamExt as _};

use super::{command, data, file, file_data, service};
use crate::provider::{
    Act, Action, Context, Evidence, Found, ImportRequest, Observation, ObserveRequest, Outcome, Prior, Problem,
    ProblemClass, Progress, Provider, ReadRequest, Readiness, ResourceSchema,
};
use crate::value::Value;

/// How much of one log or output is evidence: its last lines are what people read.
pub(super) const EVIDENCE_MAX: usize = 4 * 1024;
/// How many objects are looked at at once: each may start a process.
const LOOKS: usize = 8;

/// The local target.
#[derive(Debug)]
pub struct Local {
    context: Context,
    schemas: Vec<ResourceSchema>,
}

impl Local {
    /// The local target for an environment.
    #[must_use]
    pub fn new(context: Context) -> Self {
        Self { context, schemas: super::schemas() }
    }

    async fn look(&self, request: &ObserveRequest) -> Observation {
        match request.ty.as_str() {
            data::TYPE => {
                Observation::Present { attributes: request.prior.attributes.clone(), readiness: Readiness::Ready }
            }
            file::TYPE => file::observe(&self.context, &request.prior),
            command::TYPE => command::observe(&self.context, &request.prior).await,
            service::TYPE => service::observe(&self.context, &request.prior).await,
            other => Observation::Unreadable(format!("The local target has no type \"{other}\".")),
        }
    }
}

/// The answer to an action that a type does not have.
pub(super) fn unsupported(ty: &str, action: Action) -> Outcome {
    let sentence = format!("A {ty} has no action \"{}\".", action.word());
    Outcome::NotSent(Problem::new(ProblemClass::Invalid, sentence))
}

/// The last `most` bytes of a text, from the start of a line where that is not far.
pub(super) fn tail(text: &str, most: usize) -> &str {
    let mut start = text.len().saturating_sub(most);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let cut = &text[start..];
    if start == 0 {
        cut
    } else {
        cut.split_once('\n').map_or(cut, |(_, rest)| if rest.is_empty() { cut } else { rest })
    }
}

/// What is wrong with an object's `environment`.
pub(super) fn environment_faults(object: &Value) -> Vec<(&'static str, String)> {
    let Some(variables) = object.get("environment").and_then(Value::as_map) else { return Vec::new() };
    let mut faults = Vec::new();
    for (name, value) in variables {
        if name.is_empty() || name.contains(['=', '\0']) {
            faults.push(("environment", format!("\"{}\" cannot be the name of a variable.", name.escape_default())));
        }
        if value.as_str().is_some_and(|v| v.contains('\0')) {
            faults.push((
                "environment",
                format!("The value of \"{name}\" has a zero byte in it, which no variable can have."),
            ));
        }
    }
    faults
}

#[async_trait::async_trait]
impl Provider for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn schemas(&self) -> &[ResourceSchema] {
        &self.schemas
    }

    async fn observe(&self, batch: &[ObserveRequest]) -> Vec<Observation> {
        let looks: Vec<_> = batch.iter().map(|request| self.look(request).boxed()).collect();
        futures_util::stream::iter(looks).buffered(LOOKS).collect().await
    }

    async fn read(&self, request: &ReadRequest) -> Result<Value, Problem> {
        if request.ty == file::TYPE || request.ty == file_data::SENSITIVE {
            return file_data::read(&self.context, request);
        }
        let sentence = format!("The local target has no data source \"{}\".", request.ty);
        Err(Problem::new(ProblemClass::Invalid, sentence))
    }

    async fn import(&self, request: &ImportRequest) -> Result<Option<Prior>, Problem> {
        match request.ty.as_str() {
            data::TYPE => Ok(Some(data::import(request))),
            file::TYPE => file::import(&self.context, request),
            command::TYPE => Err(Problem::new(
                ProblemClass::Invalid,
                "A local_command cannot be imported: it is what its commands do, and there is nothing to be found that they did. \
                 Take the import block out; where its \"create\" must not run, let that command look first.",
            )),
            service::TYPE => Err(Problem::new(
                ProblemClass::Invalid,
                "A local_service cannot be imported: its processes are children of a supervisor of Gantry's own. Take the import \
                 block out, stop what runs on its port, and let Gantry start it.",
            )),
            other => {
                let sentence = format!("The local target has no type \"{other}\".");
                Err(Problem::new(ProblemClass::Invalid, sentence))
            }
        }
    }

    async fn find(&self, act: &Act) -> Found {
        match act.ty.as_str() {
            data::TYPE => data::find(),
            file::TYPE => file::find(&self.context, act),
            command::TYPE => command::find(&self.context, act).await,
            service::TYPE => service::find(&self.context, act).await,
            _ => Found::NotDone,
        }
    }

    async fn act(&self, act: &Act, progress: &dyn Progress) -> Outcome {
        match act.ty.as_str() {
            data::TYPE => data::act(act),
            file::TYPE => file::act(&self.context, act),
            command::TYPE => command::act(&self.context, act, progress).await,
            service::TYPE => service::act(&self.context, act, progress).await,
            other => {
                let sentence = format!("The local target has no type \"{other}\".");
                Outcome::NotSent(Problem::new(ProblemClass::Invalid, sentence))
            }
        }
    }

    async fn evidence(&self, ty: &str, identity: &serde_json::Value) -> Vec<Evidence> {
        match ty {
            command::TYPE => command::evidence(&self.context, identity),
            service::TYPE => service::evidence(&self.context, identity).await,
            _ => Vec::new(),
        }
    }
}
