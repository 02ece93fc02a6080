//! Writing: a request that changes something, from its body to the store.

use serde_json::{Value, json};

use super::apply::{self, Manager};
use super::decode::{self, Strictness};
use super::route::{Asked, Target};
use super::schema::Kind;
use super::status::{Answer, Cause, Failure, details};
use super::store::{Key, State, key, now, suffix, uid};
use super::{admit, custom, defaults, lifecycle, patch, prepare, validate};

/// Does what is asked. The code and the body of the answer.
pub(crate) fn process(state: &mut State, kind: &Kind, target: &Target, asked: &Asked) -> Answer<(u16, Value)> {
    if !["", "status", "scale", "finalize", "eviction"].contains(&target.subresource.as_str()) {
        return Err(Failure::no_such_resource());
    }
    let write = Write { kind, target, asked, is_dry_run: dry_run(asked, &target.verb)?, strictness: strictness(asked) };
    match target.verb.as_str() {
        "create" if target.name.is_empty() => write.create(state),
        "update" => write.update(state),
        "patch" => write.patch(state),
        "delete" => write.delete(state),
        "deletecollection" if kind.verbs.iter().any(|verb| verb == "deletecollection") => write.delete_all(state),
        _ => Err(Failure::method_not_allowed()),
    }
}

fn dry_run(asked: &Asked, verb: &str) -> Answer<bool> {
    match asked.param("dryRun") {
        "" => Ok(false),
        "All" => Ok(true),
        other => {
            let options = match verb {
                "create" => "CreateOptions",
                "update" => "UpdateOptions",
                "patch" => "PatchOptions",
                _ => "DeleteOptions",
            };
            let message = format!("Unsupported value: {}: supported values: \"All\"", json!([other]));
            let cause = Cause { reason: "FieldValueNotSupported", message, field: "dryRun".into() };
            Err(Failure::invalid_as("meta.k8s.io", options, "", &[cause]))
        }
    }
}

fn strictness(asked: &Asked) -> Strictness {
    match asked.param("fieldValidation") {
        "Strict" => Strictness::Strict,
        "Ignore" => Strictness::Ignore,
        _ => Strictness::Warn,
    }
}

/// One request that writes.
pub(crate) struct Write<'a> {
    pub(crate) kind: &'a Kind,
    pub(crate) target: &'a Target,
    pub(crate) asked: &'a Asked,
    pub(crate) is_dry_run: bool,
    strictness: Strictness,
}

impl Write<'_> {
    fn key(&self, name: &str) -> Key {
        key(&self.kind.group, &self.kind.plural, self.target.storage_namespace(), name)
    }

    pub(crate) fn manager(&self, is_apply: bool) -> Manager {
        Manager {
            name: self.asked.manager(),
            is_apply,
            subresource: self.target.subresource.clone(),
            api_version: self.kind.api_version(),
            // Nobody knows why an entry for the scale has no time; the real one's has none.
            time: if self.target.subresource == "scale" { String::new() } else { now() },
            fields: super::fields::Fields::default(),
        }
    }

    fn body(&self) -> Answer<Value> {
        let kind = &self.kind.kind;
        serde_json::from_slice(&self.asked.body).map_err(|_| {
            let hex: String = self.asked.body.iter().take(32).map(|byte| format!("{byte:02x}")).collect();
            Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse \
                 error: invalid ({hex})"
            ))
        })
    }

    /// The kind that the body names is that of the resource.
    fn check_kind(&self, body: &Value) -> Answer<()> {
        let kind = self.kind;
        let says = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (version, name) = (says("apiVersion"), says("kind"));
        if self.kind.custom && name.is_empty() {
            let text = body.to_string();
            let start: String = text.chars().take(30).collect();
            return Err(Failure::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{text}' \
                 ({start} ...)",
                kind.kind
            )));
        }
        if !name.is_empty() && name != kind.kind {
            return Err(Failure::bad_request(format!(
                "{name} in version \"{}\" cannot be handled as a {}: converting (v1.{name}) to (core.{}): unknown \
                 conversion",
                kind.version, kind.kind, kind.kind
            )));
        }
        if !version.is_empty() && version != kind.api_version() {
            return Err(Failure::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({})",
                kind.api_version()
            )));
        }
        Ok(())
    }

    fn check_place(&self, body: &mut Value, name: &str) -> Answer<()> {
        let says = |name: &str| body["metadata"][name].as_str().unwrap_or_default().to_owned();
        let (namespace, called) = (says("namespace"), says("name"));
        if !name.is_empty() && !called.is_empty() && called != name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({called}) does not match the name on the URL ({name})"
            )));
        }
        let mine = self.target.storage_namespace();
        if !namespace.is_empty() && namespace != mine {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Failure::bad_request(message));
        }
        if !body["metadata"].is_object() {
            body["metadata"] = json!({});
        }
        if !name.is_empty() {
            body["metadata"]["name"] = json!(name);
        }
        if !mine.is_empty() {
            body["metadata"]["namespace"] = json!(mine);
        }
        Ok(())
    }

    /// As Go reads it, with its defaults.
    fn decode(&self, body: &Value) -> Answer<(Value, Vec<String>)> {
        let (mut object, unknown) = decode::decode(self.kind, body)?;
        object["apiVersion"] = json!(self.kind.api_version());
        object["kind"] = json!(self.kind.kind);
        defaults::fill_in(self.kind, &mut object);
        if let Some(schema) = self.kind.ty.as_struct().and_then(|shape| shape.custom.as_ref()) {
            custom::fill_in(schema, &mut object);
        }
        Ok((object, unknown))
    }

    fn create(&self, state: &mut State) -> Answer<(u16, Value)> {
        let mut body = self.body()?;
        self.check_kind(&body)?;
        self.check_place(&mut body, "")?;
        let (mut object, unknown) = self.decode(&body)?;
        decode::refuse_unknown(self.kind, &unknown, self.strictness)?;
        if object["metadata"].get("resourceVersion").is_some() {
            return Err(Failure::plain("resourceVersion should not be set on objects to be created"));
        }
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
        let prefix = object["metadata"]["generateName"].as_str().unwrap_or_default().to_owned();
        let is_named = object["metadata"]["name"].as_str().is_some_and(|name| !name.is_empty());
        if !is_named && !prefix.is_empty() {
            object["metadata"]["name"] = json!(format!("{prefix}{}", suffix()));
        }
        if !is_named && prefix.is_empty() {
            object["metadata"].as_object_mut().unwrap().remove("name");
        }
        self.record(None, &mut object);
        self.finish_creation(state, object)
    }

    fn record(&self, old: Option<&Value>, new: &mut Value) {
        let mut seen = new.clone();
        // The other half of the object is put back afterwards: nobody touches it by this endpoint.
        prepare::keep_other_half(self.kind, old, &mut seen, &self.target.subresource);
        apply::record_update(self.kind, old, &mut seen, self.manager(false));
        let book = apply::managers(&seen);
        apply::set_managers(new, book);
    }

    /// From here on an apply that creates is like any creation.
    pub(crate) fn finish_creation(&self, state: &mut State, mut object: Value) -> Answer<(u16, Value)> {
        let kind = self.kind;
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        admit::namespace(state, self.target, kind, &name)?;
        admit::webhooks(state, kind, &mut object)?;
        prepare::creation(kind, &mut object);
        prepare::always(kind, &mut object);
        let mut causes = validate::metadata(kind, &object);
        causes.extend(validate::object(kind, &object));
        if !causes.is_empty() {
            return Err(Failure::invalid(kind, &name, &causes));
        }
        if state.get(&self.key(&name)).is_some() {
            return Err(Failure::already_exists(kind, &name));
        }
        admit::quota(state, kind, self.target, &name)?;
        prepare::allocate(state, kind, &mut object, None)?;
        object["metadata"]["uid"] = json!(uid());
        object["metadata"]["creationTimestamp"] = json!(now());
        prepare::job_selector(kind, &mut object);
        admit::size(&object)?;
        if self.is_dry_run {
            return Ok((201, object));
        }
        let stored = state.put(self.key(&name), object);
        Ok((201, (*stored).clone()))
    }

    fn update(&self, state: &mut State) -> Answer<(u16, Value)> {
        let mut body = self.body()?;
        if self.target.subresource == "scale" {
            return self.set_scale(state, &body);
        }
        self.check_kind(&body)?;
        let name = self.target.name.clone();
        self.check_place(&mut body, &name)?;
        let (object, unknown) = self.decode(&body)?;
        decode::refuse_unknown(self.kind, &unknown, self.strictness)?;
        let old = state.get(&self.key(&name)).ok_or_else(|| Failure::not_found(self.kind, &name))?;
        if self.kind.custom && object["metadata"].get("resourceVersion").is_none() {
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            return Err(Failure::invalid_as(&self.kind.group, &self.kind.plural, &name, &[cause]));
        }
        let (asked, is) = (&object["metadata"]["uid"], &old["metadata"]["uid"]);
        if !asked.is_null() && asked != is {
            let (asked, is) = (asked.as_str().unwrap_or_default(), is.as_str().unwrap_or_default());
            let group = if self.kind.group.is_empty() { String::new() } else { format!("{}/", self.kind.group) };
            let place = format!("/registry/{group}{}/{}", self.kind.plural, self.target.storage_namespace());
            let why = format!(
                "StorageError: invalid object, Code: 4, Key: {place}/{name}, ResourceVersion: 0, AdditionalErrorMsg: \
                 Precondition failed: UID in precondition: {asked}, UID in object meta: {is}"
            );
            return Err(Failure::conflict(self.kind, &name, &why));
        }
        self.replace(state, &old, object, true)
    }

    /// Puts a new state of an object in the place of the old one.
    fn replace(&self, state: &mut State, old: &Value, mut new: Value, records: bool) -> Answer<(u16, Value)> {
        let (kind, name) = (self.kind, self.target.name.as_str());
        let version = &new["metadata"]["resourceVersion"];
        if !version.is_null() && *version != "" && *version != old["metadata"]["resourceVersion"] {
            return Err(Failure::modified(kind, name));
        }
        let mut causes = prepare::identity(old, &mut new);
        if records {
            self.record(Some(old), &mut new);
        }
        prepare::keep_other_half(kind, Some(old), &mut new, &self.target.subresource);
        admit::webhooks(state, kind, &mut new)?;
        prepare::generation(kind, old, &mut new);
        prepare::always(kind, &mut new);
        causes.extend(validate::metadata(kind, &new));
        if self.target.subresource != "status" || kind.custom {
            causes.extend(validate::object(kind, &new));
            causes.extend(validate::change(kind, old, &new));
        }
        if !causes.is_empty() {
            return Err(Failure::invalid(kind, name, &causes));
        }
        prepare::allocate(state, kind, &mut new, Some(old))?;
        if is_same_but_for_times(old, &new) {
            return Ok((200, old.clone()));
        }
        admit::size(&new)?;
        if self.is_dry_run {
            new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
            return Ok((200, new));
        }
        let key = self.key(name);
        if lifecycle::is_finished(kind, &new) {
            let stored = state.put(key.clone(), new);
            state.remove(&key);
            return Ok((200, (*stored).clone()));
        }
        let stored = state.put(key, new);
        Ok((200, (*stored).clone()))
    }

    fn patch(&self, state: &mut State) -> Answer<(u16, Value)> {
        let (kind, name) = (self.kind, self.target.name.as_str());
        let content = self.asked.content_type();
        match content {
            "application/apply-patch+yaml" => return self.apply(state),
            "application/merge-patch+json" | "application/json-patch+json" => {}
            "application/strategic-merge-patch+json" if !kind.custom => {}
            _ if kind.custom => {
                let message = "the body of the request was in an unknown format - accepted media types include: \
                               application/json-patch+json, application/merge-patch+json, \
                               application/apply-patch+yaml";
                return Err(Failure::new(415, "UnsupportedMediaType", message));
            }
            _ => {
                let failure = Failure::new(415, "UnsupportedMediaType", "415: Unsupported Media Type");
                return Err(failure.with(json!({})));
            }
        }
        let patch: Value = serde_json::from_slice(&self.asked.body)
            .map_err(|why| Failure::bad_request(format!("error decoding patch: {why}")))?;
        let old = state.get(&self.key(name)).ok_or_else(|| Failure::not_found(kind, name))?;
        if self.target.subresource == "scale" {
            let mut scale = super::read::scale(&old);
            patch::merge(&mut scale, &patch);
            return self.set_scale(state, &scale);
        }
        let mut patched = (*old).clone();
        match content {
            "application/merge-patch+json" => patch::merge(&mut patched, &patch),
            "application/json-patch+json" => patch::json_patch(&mut patched, &patch).ok_or_else(|| {
                let message = "the server rejected our request due to an error in our request";
                Failure::new(422, "Invalid", message).with(json!({}))
            })?,
            _ => patch::strategic(&kind.ty, &mut patched, &patch),
        }
        self.check_place(&mut patched, name)?;
        let refused = |said: &str| {
            let cause = Cause::invalid("patch", &json!(patched.to_string()), said);
            let message = format!(" \"\" is invalid: patch: {}", cause.message);
            Failure::new(422, "Invalid", message).with_causes(&[cause])
        };
        decode::misfit(kind, &patched).map_err(|why| refused(&why))?;
        let (object, unknown) = self.decode(&patched)?;
        if !unknown.is_empty() && self.strictness == Strictness::Strict {
            return Err(refused(&decode::strict_error(&unknown)));
        }
        self.replace(state, &old, object, true)
    }

    fn apply(&self, state: &mut State) -> Answer<(u16, Value)> {
        let (kind, name) = (self.kind, self.target.name.as_str());
        if self.asked.param("fieldManager").is_empty() {
            let cause = Cause::required("fieldManager", "is required for apply patch");
            return Err(Failure::invalid_as("meta.k8s.io", "PatchOptions", "", &[cause]));
        }
        let config: Value = serde_json::from_slice(&self.asked.body)
            .map_err(|why| Failure::bad_request(format!("error decoding YAML: {why}")))?;
        let says = |name: &str| config[name].as_str().unwrap_or_default();
        if says("apiVersion").is_empty() || says("kind").is_empty() {
            let message = format!("invalid object type: /{}, Kind={}", says("apiVersion"), says("kind"));
            return Err(Failure::bad_request(message));
        }
        if config["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
            return Err(Failure::bad_request("metadata.managedFields must be nil"));
        }
        let old = state.get(&self.key(name));
        let asked_version = config["metadata"].get("resourceVersion").cloned();
        if let (Some(old), Some(version)) = (&old, &asked_version)
            && old["metadata"]["resourceVersion"] != *version
        {
            return Err(Failure::modified(kind, name));
        }
        if let (None, Some(uid)) = (&old, config["metadata"]["uid"].as_str()) {
            let why =
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
            return Err(Failure::conflict(kind, name, &why));
        }
        let applied =
            apply::Applied { kind, config: &config, me: self.manager(true), force: self.asked.is_set("force") };
        let mut merged = apply::apply(old.as_deref(), applied)?;
        self.check_place(&mut merged, name)?;
        self.check_kind(&merged)?;
        merged["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        let book = apply::managers(&merged);
        decode::misfit(kind, &merged).map_err(|why| {
            let namespace = config["metadata"]["namespace"].as_str().unwrap_or_default();
            let group = if kind.group.is_empty() { "/v1".to_owned() } else { kind.api_version() };
            let gvk = format!("{group}, Kind={}", kind.kind);
            Failure::plain(format!(
                "failed to convert new object ({namespace}/{name}; {gvk}) to proper version: unable to convert \
                 unstructured object to {gvk}: error decoding from json: {why}"
            ))
        })?;
        let (mut object, _) = self.decode(&merged)?;
        apply::set_managers(&mut object, book);
        match old {
            Some(old) => self.replace(state, &old, object, false),
            None if self.target.subresource.is_empty() => self.finish_creation(state, object),
            None => Err(Failure::not_found(kind, name)),
        }
    }

    fn set_scale(&self, state: &mut State, scale: &Value) -> Answer<(u16, Value)> {
        let name = self.target.name.as_str();
        let old = state.get(&self.key(name)).ok_or_else(|| Failure::not_found(self.kind, name))?;
        let mut new = (*old).clone();
        new["spec"]["replicas"] = scale["spec"].get("replicas").cloned().unwrap_or_else(|| json!(0));
        let main = Target { subresource: "scale".into(), ..self.target.clone() };
        let write = Write { target: &main, ..*self };
        let (code, stored) = write.replace(state, &old, new, true)?;
        Ok((code, super::read::scale(&stored)))
    }

    fn delete(&self, state: &mut State) -> Answer<(u16, Value)> {
        let (kind, name) = (self.kind, self.target.name.as_str());
        let options = lifecycle::Options::of(self.asked)?;
        let old = state.get(&self.key(name)).ok_or_else(|| Failure::not_found(kind, name))?;
        options.check(kind, name, &old)?;
        lifecycle::delete(state, kind, &self.key(name), &options, options.is_dry_run)
    }

    fn delete_all(&self, state: &mut State) -> Answer<(u16, Value)> {
        let options = lifecycle::Options::of(self.asked)?;
        let list = super::read::list(state, self.kind, self.target, self.asked, u64::MAX)?;
        for one in list["items"].as_array().into_iter().flatten() {
            let name = one["metadata"]["name"].as_str().unwrap_or_default();
            let namespace = one["metadata"]["namespace"].as_str().unwrap_or_default();
            let key = key(&self.kind.group, &self.kind.plural, namespace, name);
            lifecycle::delete(state, self.kind, &key, &options, options.is_dry_run)?;
        }
        Ok((200, list))
    }
}

/// A write that changes nothing but when it was made changes nothing.
fn is_same_but_for_times(old: &Value, new: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        for entry in object["metadata"].get_mut("managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
            entry["time"] = Value::Null;
        }
        object
    };
    bare(old) == bare(new)
}

/// The answer to a deletion after which nothing is left.
pub(crate) fn success(kind: &Kind, object: &Value) -> Value {
    let mut details = details(kind, object["metadata"]["name"].as_str().unwrap_or_default());
    details["uid"] = object["metadata"]["uid"].clone();
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
