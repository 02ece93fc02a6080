//! Objects that are never changed: new content, or another run, is a new object with a name of its own, and the earlier ones stay for
//! a while. What a `kubernetes_config` and a `kubernetes_job` have in common.

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::apply::{mark, query};
use super::delete;
use super::fields::applied_by;
use super::kinds::Kind;
use super::object::{self, Identity, Name, Version};
use super::target::{Cluster, uid};
use super::wire::{APPLY, Answer, Failure, Request};
use crate::ports::crash;
use crate::provider::{Act, Found, Outcome, Problem, ProblemClass, Progress};
use crate::value::{Type, Value};

/// How many hexadecimal digits of a digest are in a name: 40 bits, of which nobody has enough versions to see two alike.
const DIGITS: usize = 10;

/// What ends the name of a version: of its content, or of the act that makes it.
pub(super) fn digits(bytes: &[u8]) -> String {
    let all: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    all[..DIGITS].to_owned()
}

/// Whether an object was written by an act.
pub(super) fn marked(object: &Json, op: &str) -> bool {
    mark(object).is_some_and(|mark| mark == op)
}

/// Makes a version, or writes the one that stands, with that uid.
///
/// # Errors
/// When the server refuses, or what became of it is not known.
pub(super) async fn send(
    cluster: Cluster<'_>,
    kind: &Kind,
    name: &Name,
    act: &Act,
    manifest: &Json,
    standing: Option<&str>,
) -> Result<Answer, Failure> {
    let body = object::body(manifest, name, &act.op, standing);
    crash::point("kubernetes.apply");
    let path =
        format!("{}{}", kind.object(name.namespace.as_deref(), &name.name), query(cluster.manager, false, false));
    let sent = cluster.send(Request::with("PATCH", path, APPLY, &body)).await;
    crash::point("kubernetes.applied");
    sent
}

/// The outcome of an act that made this version. The oldest of the earlier ones go, until `keep` are left; one that does not go now
/// goes the next time.
pub(super) async fn made(
    cluster: Cluster<'_>,
    prior: Option<&Identity>,
    there: &Json,
    attributes: Value,
    keep: u64,
) -> Outcome {
    let Some(mut identity) = identity(cluster, prior, there) else {
        let sentence = "The cluster answered with something that is no object.".to_owned();
        return Outcome::Unknown(Problem::new(ProblemClass::Transient, sentence));
    };
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    while identity.versions.len() > keep {
        let oldest = identity.at(&identity.versions[0]);
        if delete::one(cluster, &oldest).await.is_err() {
            break;
        }
        identity.versions.remove(0);
    }
    Outcome::Applied { attributes, identity: identity.json() }
}

/// The answer to the question what became of an act, where this version carries its mark.
pub(super) fn found(cluster: Cluster<'_>, prior: Option<&Identity>, there: &Json, attributes: Value) -> Found {
    match identity(cluster, prior, there) {
        Some(identity) => Found::Done { attributes, identity: identity.json() },
        None => Found::NotNow("The cluster answered with something that is no object.".into()),
    }
}

fn identity(cluster: Cluster<'_>, prior: Option<&Identity>, there: &Json) -> Option<Identity> {
    let name = Name::of(there)?;
    let before = prior.into_iter().flat_map(|prior| {
        let last = Version { name: prior.name.clone(), uid: prior.uid.clone() };
        prior.versions.iter().cloned().chain(std::iter::once(last))
    });
    Some(Identity {
        api_version: name.api_version,
        kind: name.kind,
        namespace: name.namespace,
        uid: uid(there).to_owned(),
        fields: applied_by(there, cluster.manager),
        versions: before.filter(|version| version.name != name.name).collect(),
        name: name.name,
    })
}

/// An object with the name of its present version in it.
pub(super) fn named(given: &Value, there: &Json) -> Value {
    let mut all = given.as_map().cloned().unwrap_or_default();
    let name = Name::of(there);
    let text = |text: Option<String>| text.map_or_else(|| Value::null(Type::String), Value::string);
    all.insert("object_name".into(), text(name.as_ref().map(|name| name.name.clone())));
    all.insert("id".into(), text(name.as_ref().map(Name::shown)));
    Value::object(all)
}

/// Deletes all versions, the present one last.
pub(super) async fn remove(cluster: Cluster<'_>, act: &Act, progress: &dyn Progress) -> Outcome {
    let identity = act.prior.as_ref().and_then(|prior| Identity::of(&prior.identity));
    let versions: Vec<Identity> =
        identity.iter().flat_map(|identity| identity.versions.iter().map(|version| identity.at(version))).collect();
    for version in versions {
        if let Err(failure) = delete::one(cluster, &version).await {
            return failure.outcome(&version.name().shown());
        }
    }
    delete::delete(cluster, act, progress).await
}
