//! The schemas of the Kubernetes types and of the provider's block.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value as Json;

use super::doom::{Limit, Tolerance};
use super::object::{Identity, Name};
use super::ready::{Rules, field_fault};
use super::symptom::SymptomKind;
use super::{config, job, read, secret};
use crate::provider::{
    AttributeSchema as A, BlockSchema, Lowering, Nesting, ProposedChange, ResourceSchema, Role, Undo, named,
};
use crate::value::{Type, Value, to_json};

pub(super) const MANIFEST: &str = "kubernetes_manifest";

/// How long an object has to become ready, where nothing is said. A Deployment's own deadline is as long.
const READY: Duration = Duration::from_secs(600);

/// The types of the Kubernetes target.
#[must_use]
pub fn schemas() -> Vec<ResourceSchema> {
    vec![manifest(), config(), job(), read::schema()]
}

/// What `provider "kubernetes"` configures.
#[must_use]
pub fn configuration() -> BlockSchema {
    let text = |doc| A::optional(Type::String, doc);
    let secret = |doc| A::optional(Type::String, doc).sensitive();
    BlockSchema {
        nesting: Nesting::Single,
        required: false,
        replaces: false,
        ignored: false,
        attributes: named([
            ("kubeconfig", text("The kubeconfig; else KUBECONFIG, ~/.kube/config, and the pod's own account.")),
            ("config_path", text("The same, under Terraform's name.")),
            ("context", text("The kubeconfig's context; else its current one.")),
            ("config_context", text("The same, under Terraform's name.")),
            ("namespace", text("Where objects go that name no namespace; else the context's, else default.")),
            ("host", text("The URL of the API server, instead of a kubeconfig.")),
            ("token", secret("A bearer token, with `host`.")),
            ("cluster_ca_certificate", text("The certificate that signs the server's, PEM, with `host`.")),
            ("client_certificate", text("A client certificate, PEM, with `host`.")),
            ("client_key", secret("Its key, PEM, with `host`.")),
            ("insecure", A::optional(Type::Bool, "Whether the server's certificate is not checked, with `host`.")),
            ("tls_server_name", text("The name that the server's certificate is checked for, with `host`.")),
            ("proxy_url", text("A proxy, http or socks5.")),
            ("impersonate", text("A user to act as.")),
            ("impersonate_groups", A::optional(Type::list(Type::String), "Groups to act as a member of.")),
        ]),
        blocks: BTreeMap::new(),
        doc: "A cluster, and who acts there.",
    }
}

/// `runner "kubernetes_job"` of a migration.
#[must_use]
pub fn runner() -> BlockSchema {
    let words = |doc| A::optional(Type::list(Type::String), doc);
    let wanted = [
        "namespace",
        "image",
        "environment",
        "config_maps",
        "secrets",
        "service_account_name",
        "image_pull_secrets",
        "resources",
        "labels",
        "timeout",
    ];
    let mut attributes: BTreeMap<_, _> =
        job().attributes.into_iter().filter(|(name, _)| wanted.contains(&&**name)).collect();
    attributes.extend(named([
        ("command", words("The image's own migration tool with its arguments, in place of `source`.")),
        ("down", words("What takes it back.")),
    ]));
    let doc = "Migrates in a Job of the cluster, for databases that only the cluster reaches.";
    BlockSchema { attributes, doc, ..configuration() }
}

fn block(attributes: BTreeMap<std::sync::Arc<str>, A>, nesting: Nesting, doc: &'static str) -> BlockSchema {
    BlockSchema { nesting, required: false, replaces: false, ignored: true, attributes, blocks: BTreeMap::new(), doc }
}

/// `wait`
fn waiting() -> BlockSchema {
    let condition = block(
        named([
            ("type", A::required(Type::String, "The condition's type.")),
            ("status", A::optional(Type::String, "What it has to be.").default(Value::string("True"))),
        ]),
        Nesting::List,
        "A condition that has to hold.",
    );
    let mut wait = block(
        named([
            ("rollout", A::optional(Type::Bool, "Whether to wait at all.").default(Value::bool(true))),
            ("timeout", A::optional(Type::String, "How long it may take.").default(Value::string("10m"))),
            (
                "patience",
                A::optional(
                    Type::Number,
                    "How long what looks hopeless is borne, in percent: 300 is three times as long; 0 waits to the end.",
                )
                .default(Value::number(100_i64)),
            ),
            (
                "tolerate",
                A::optional(
                    Type::map(Type::String),
                    "For one symptom how long it is borne, or \"always\": { crash_loop = \"5m\", unschedulable = \"always\" }.",
                ),
            ),
            (
                "fields",
                A::optional(Type::map(Type::String), "Values that fields have to have, as regular expressions; `*` is any."),
            ),
        ]),
        Nesting::Single,
        "When the object is ready; without conditions and fields as it is usual for its kind.",
    );
    wait.blocks = named([("condition", condition)]);
    wait
}

fn manifest() -> ResourceSchema {
    let manager = block(
        named([(
            "force_conflicts",
            A::optional(Type::Bool, "Whether fields that somebody else owns are taken over.")
                .default(Value::bool(false)),
        )]),
        Nesting::Single,
        "How fields are owned.",
    );
    ResourceSchema {
        ty: MANIFEST,
        role: Role::Managed,
        version: 0,
        attributes: named([
            ("manifest", A::required(Type::Any, "The object, as its YAML has it.")),
            (
                "keep",
                A::optional(
                    Type::Bool,
                    "Whether the object stays when it is deleted here; a PersistentVolumeClaim does.",
                )
                .ignored(),
            ),
            (
                "object",
                A::computed(Type::Any, "The whole object as the cluster has it, status and all.").volatile().ignored(),
            ),
            ("id", A::computed(Type::String, "What it is called: `Deployment shop/web`.")),
        ]),
        blocks: named([("wait", waiting()), ("field_manager", manager)]),
        lowering: Lowering::Direct,
        // The store behind the API is consistent; what is settled is a request that a proxy still holds.
        settle: Duration::from_secs(2),
        // To be made takes a moment, to go may take as long as whoever holds it; how long it may take to be ready is waiting's own.
        deadline: |object| ready_within(object).max(READY),
        compute: Some(compute),
        validate: Some(validate),
        must_replace: Some(must_replace),
        undo: Undo::Acts,
        previews: true,
        waits: true,
        secrets: Some(secrets),
        kept: Some(kept),
        claims: Some(|identity| Identity::of(identity).is_some_and(|known| known.fields.is_null())),
        doc: "An object of any kind that the cluster serves, by server-side apply.",
    }
}

fn config() -> ResourceSchema {
    let texts = |doc| A::optional(Type::map(Type::String), doc);
    ResourceSchema {
        ty: config::TYPE,
        attributes: named([
            ("name", A::required(Type::String, "What the versions' names begin with.")),
            ("namespace", A::optional(Type::String, "The namespace; else the provider's.")),
            ("secret", A::optional(Type::Bool, "Whether it is a Secret, or a ConfigMap.").default(Value::bool(false))),
            ("type", A::optional(Type::String, "A Secret's type; `Opaque` where nothing is said.")),
            ("data", texts("The content: texts by name.")),
            ("binary_data", texts("Content that is no text: base64 by name.")),
            ("labels", texts("Labels of the objects.")),
            ("annotations", texts("Annotations of the objects.")),
            (
                "keep",
                A::optional(Type::Number, "How many earlier versions stay.")
                    .default(Value::number(config::KEEP))
                    .ignored(),
            ),
            (
                "object_name",
                A::computed(Type::String, "The present version's name, for whoever refers to it.").volatile(),
            ),
            ("id", A::computed(Type::String, "What the present version is called.").volatile()),
        ]),
        blocks: BTreeMap::new(),
        compute: Some(config::compute),
        validate: Some(config::validate),
        must_replace: Some(config::must_replace),
        secrets: Some(config::secrets),
        kept: None,
        claims: None,
        deadline: |_| Duration::from_secs(60),
        waits: false,
        doc: "A ConfigMap or Secret in versions: new content is a new object, and the old one stays for the way back.",
        ..manifest()
    }
}

fn job() -> ResourceSchema {
    let text = |doc| A::optional(Type::String, doc);
    let names = |doc| A::optional(Type::list(Type::String), doc);
    ResourceSchema {
        ty: job::TYPE,
        attributes: named([
            ("name", A::required(Type::String, "What the Jobs' names begin with.").replaces()),
            ("namespace", text("The namespace; else the provider's.").replaces()),
            (
                "image",
                A::required(Type::String, "The image that is run; an artifact's, so that it is fixed to its digest."),
            ),
            ("command", names("The program and its arguments; else the image's own.")),
            ("args", names("Arguments of the image's own program.")),
            ("environment", A::optional(Type::map(Type::String), "Environment variables.")),
            ("config_maps", names("ConfigMaps whose entries become environment variables.")),
            ("secrets", names("Secrets whose entries become environment variables.")),
            ("service_account_name", text("The account that it runs as.")),
            ("image_pull_secrets", names("Secrets with which the image is pulled.")),
            ("resources", A::optional(Type::Any, "Requests and limits, as in a container.")),
            ("labels", A::optional(Type::map(Type::String), "Labels of the Job and its pods.").ignored()),
            ("triggers", A::optional(Type::Any, "A change of this value runs it again.")),
            (
                "backoff_limit",
                A::optional(Type::Number, "How often it is tried again when it fails.")
                    .default(Value::number(0_i64))
                    .ignored(),
            ),
            ("timeout", text("How long it may take.").default(Value::string("10m")).ignored()),
            (
                "keep",
                A::optional(Type::Number, "How many finished Jobs stay.").default(Value::number(job::KEEP)).ignored(),
            ),
            ("completed", A::computed(Type::Bool, "Whether the last Job was seen to complete.").volatile()),
            ("object_name", A::computed(Type::String, "The last Job's name.").volatile()),
            ("id", A::computed(Type::String, "What the last Job is called.").volatile()),
        ]),
        blocks: BTreeMap::new(),
        deadline: |object| {
            let said = object.get_str("timeout").and_then(crate::provider::duration::parse);
            said.unwrap_or(READY)
        },
        compute: None,
        validate: Some(job::validate),
        must_replace: None,
        secrets: None,
        kept: None,
        claims: None,
        // What a command did is not undone by running an older one.
        undo: Undo::Stays,
        doc: "A command that runs in the cluster once for each change, and whose exit code decides.",
        ..manifest()
    }
}

/// How long an object has to become ready.
pub(super) fn ready_within(object: &Value) -> Duration {
    let said = object.get("wait").and_then(|wait| wait.get_str("timeout"));
    said.and_then(crate::provider::duration::parse).unwrap_or(READY)
}

/// The rules of the `wait` block; `None` where nothing is waited for.
pub(super) fn rules(object: &Value) -> Option<Rules> {
    let Some(wait) = object.get("wait").filter(|wait| !wait.is_null()) else { return Some(Rules::default()) };
    if wait.get("rollout").and_then(Value::as_bool) == Some(false) {
        return None;
    }
    let text = |value: &Value, name: &str| value.get_str(name).unwrap_or_default().to_owned();
    let conditions = wait.get("condition").and_then(Value::as_items).unwrap_or_default();
    let fields = wait.get("fields").and_then(Value::as_map);
    Some(Rules {
        conditions: conditions.iter().map(|c| (text(c, "type"), text(c, "status"))).collect(),
        fields: fields
            .into_iter()
            .flat_map(|all| all.iter())
            .filter_map(|(path, wanted)| Some(((**path).to_owned(), wanted.as_str()?.to_owned())))
            .collect(),
    })
}

/// How much is borne of what looks hopeless; `None` where only the time that it may take counts.
pub(super) fn tolerance(object: &Value) -> Option<Tolerance> {
    let wait = object.get("wait").filter(|wait| !wait.is_null());
    let percent = wait.and_then(|wait| wait.get("patience")?.as_number()?.to_u64()).unwrap_or(100);
    let percent = u32::try_from(percent).unwrap_or(u32::MAX);
    let own = wait.and_then(|wait| wait.get("tolerate")?.as_map());
    let own = own
        .into_iter()
        .flat_map(|all| all.iter())
        .filter_map(|(kind, text)| Some((SymptomKind::named(kind)?, borne(text.as_str()?)?)));
    (percent > 0).then(|| Tolerance { percent, own: own.collect(), ..Tolerance::default() })
}

/// How long a symptom is borne: a time, or for ever.
fn borne(text: &str) -> Option<Option<Limit>> {
    match text {
        "always" => Some(None),
        _ => crate::provider::duration::parse(text).map(|hold| Some(Limit { count: 1, hold })),
    }
}

/// What is wrong with what a `wait` block tolerates.
fn tolerance_faults(wait: &Value) -> Vec<String> {
    let all = wait.get("tolerate").and_then(Value::as_map);
    let fault = |(kind, text): (&std::sync::Arc<str>, &Value)| {
        if SymptomKind::named(kind).is_none() {
            let known: Vec<&str> = SymptomKind::ALL.iter().map(|kind| kind.word()).collect();
            return Some(format!("\"{kind}\" is nothing that can be tolerated. There is: {}.", known.join(", ")));
        }
        let text = text.as_str()?;
        borne(text).is_none().then(|| format!("\"{text}\" is no time. Write it as in \"30s\", or \"always\"."))
    };
    all.into_iter().flat_map(|all| all.iter()).filter_map(fault).collect()
}

/// Whether fields that somebody else owns are taken over.
pub(super) fn forces(object: &Value) -> bool {
    let manager = object.get("field_manager").filter(|block| !block.is_null());
    manager.and_then(|block| block.get("force_conflicts")).and_then(Value::as_bool).unwrap_or(false)
}

/// What must survive: what is asked to, and claims, whose data would go with them.
fn kept(object: &Value) -> Option<String> {
    let name = object.get("manifest").map(to_json).as_ref().and_then(Name::of)?;
    let asked = object.get("keep").and_then(Value::as_bool);
    let claim = name.kind == "PersistentVolumeClaim";
    if !asked.unwrap_or(claim) {
        return None;
    }
    let within = name.namespace.as_ref().map_or(String::new(), |namespace| format!(" -n {namespace}"));
    let why = if claim && asked.is_none() { "its data would go with it" } else { "keep = true" };
    Some(format!("kept: {why}; to remove it: kubectl{within} delete {} {}", name.kind.to_lowercase(), name.name))
}

/// The content of a Secret is secret, whoever wrote it down.
fn secrets(object: &Value) -> Value {
    let Some(all) = object.as_map() else { return object.clone() };
    let Some(manifest) = all.get("manifest").filter(|manifest| manifest.as_map().is_some()) else {
        return object.clone();
    };
    let null = Value::null(Type::Any);
    let mut out = all.clone();
    let marked = secret::manifest(manifest.clone(), &null);
    if let Some(live) = all.get("object").filter(|live| live.as_map().is_some()) {
        out.insert("object".into(), secret::marked(live.clone(), &to_json(manifest), &marked));
    }
    out.insert("manifest".into(), marked);
    Value::object(out).mark(object.marks)
}

fn compute(change: &ProposedChange<'_>) -> Vec<(&'static str, Value)> {
    let mut known = Vec::new();
    let manifest = change.proposed.get("manifest").map(to_json);
    if let Some(name) = manifest.as_ref().and_then(Name::of)
        && change.prior.is_none_or(|prior| prior.get("id").is_none_or(Value::is_null))
        && name.namespace.is_some()
    {
        known.push(("id", Value::string(name.shown())));
    }
    if let (false, Some(object)) = (change.changed, change.prior.and_then(|prior| prior.get("object"))) {
        known.push(("object", object.clone()));
    }
    known
}

/// Parts of an object that the server writes.
const SERVERS: [&str; 6] =
    ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "deletionTimestamp"];

fn validate(object: &Value) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let Some(manifest) = object.get("manifest") else { return faults };
    if manifest.is_unknown() {
        return faults;
    }
    let Some(all) = manifest.as_map() else {
        return vec![(
            "manifest",
            "A manifest is an object: { apiVersion = …, kind = …, metadata = { name = … } }.".into(),
        )];
    };
    for name in ["apiVersion", "kind"] {
        match all.get(name) {
            Some(value) if value.is_unknown() || value.as_str().is_some_and(|text| !text.is_empty()) => {}
            _ => {
                faults
                    .push(("manifest", format!("The manifest has no \"{name}\", which is a text that is not empty.")));
            }
        }
    }
    let json = to_json(manifest);
    if let Some(kind) = json.get("kind").and_then(Json::as_str).filter(|kind| kind.ends_with("List"))
        && json.get("items").is_some()
    {
        faults.push((
            "manifest",
            format!("A {kind} is several objects. Give each its own block: for_each over manifest_decode_multi, or over its items."),
        ));
        return faults;
    }
    match all.get("metadata") {
        Some(metadata) if metadata.is_unknown() => {}
        Some(metadata) => {
            let name = metadata.get("name");
            if !name.is_some_and(|n| n.is_unknown() || n.as_str().is_some_and(|text| !text.is_empty())) {
                faults.push((
                    "manifest",
                    "The manifest has no \"metadata.name\". (With \"generateName\" no second plan would find the object.)".into(),
                ));
            }
            for name in SERVERS.iter().filter(|name| metadata.get(name).is_some_and(|v| !v.is_null())) {
                faults.push(("manifest", format!("\"metadata.{name}\" is the server's to write. Take it out.")));
            }
        }
        None => faults.push(("manifest", "The manifest has no \"metadata\" with a \"name\".".into())),
    }
    if all.get("status").is_some_and(|status| !status.is_null()) {
        faults.push(("manifest", "\"status\" is the cluster's to write. Take it out.".into()));
    }
    if let Some(wait) = object.get("wait").filter(|wait| !wait.is_null()) {
        if let Some(text) = wait.get_str("timeout").filter(|text| crate::provider::duration::parse(text).is_none()) {
            faults.push(("wait", format!("\"{text}\" is no time. Write it as in \"90s\", \"10m\" or \"1h\".")));
        }
        faults.extend(tolerance_faults(wait).into_iter().map(|fault| ("wait", fault)));
        for path in wait.get("fields").and_then(Value::as_map).into_iter().flat_map(crate::value::Map::keys) {
            if let Err(why) = field_fault(path) {
                faults.push(("wait", why));
            }
        }
    }
    faults
}

/// An object that is called otherwise, or of another kind, is another object.
fn must_replace(prior: &Value, proposed: &Value) -> Option<String> {
    let name = |object: &Value| object.get("manifest").map(to_json).and_then(|json| Name::of(&json));
    let (before, after) = (name(prior)?, name(proposed)?);
    let group = |name: &Name| name.api_version.rsplit_once('/').map(|(group, _)| group.to_owned());
    let what = match () {
        () if group(&before) != group(&after) || before.kind != after.kind => "of another kind",
        () if before.name != after.name => "called otherwise",
        () if before.namespace != after.namespace => "in another namespace",
        () => return None,
    };
    Some(format!("{} is {what} than {}", after.shown(), before.shown()))
}
