//! Which fields of an object are ours, and what became of them.
//!
//! The server keeps, for each manager, the set of fields that it applied (`managedFields`, in the form `fieldsV1` of
//! structured-merge-diff: `f:name` a field, `k:{…}` the element of a list with these keys, `v:…` a member of a set). The set is
//! recorded with the object, and drift is looked for along it: in nothing that a controller, a webhook or another person owns.

use serde_json::{Map, Value as Json};

use super::object::OP;

/// What one manager applied, as of an answer of the server.
pub(super) fn applied_by(object: &Json, manager: &str) -> Json {
    let entries = object.pointer("/metadata/managedFields").and_then(Json::as_array);
    let text = |entry: &Json, name: &str| entry.get(name).and_then(Json::as_str).unwrap_or_default().to_owned();
    let ours = entries.into_iter().flatten().find(|entry| {
        text(entry, "manager") == manager
            && text(entry, "operation") == "Apply"
            && text(entry, "subresource").is_empty()
    });
    let mut fields = ours.and_then(|entry| entry.get("fieldsV1")).cloned().unwrap_or(Json::Null);
    let mark = format!("f:{OP}");
    without(&mut fields, &["f:metadata", "f:annotations", &mark]);
    fields
}

/// Takes a field out of a set, and the steps that led to it alone: a step with nothing below it stands for all that is there.
fn without(fields: &mut Json, path: &[&str]) {
    let (Some(all), [step, below @ ..]) = (fields.as_object_mut(), path) else { return };
    let Some(child) = all.get_mut(*step) else { return };
    if !below.is_empty() {
        without(child, below);
    }
    if below.is_empty() || child.as_object().is_none_or(|left| left.keys().all(|step| step == ".")) {
        all.remove(*step);
    }
}

/// A manifest with those of our fields in it that are not as the server had them when they were applied: as they are now.
///
/// `base` is the server's answer then, `live` is now. Where the two agree, what the manifest says stands, however it spells it
/// (`1000m` for `1`). Where it was never applied there is no answer, and the manifest stands for it: what it says and the
/// object lacks is lacking.
pub(super) fn overlay(manifest: &Json, fields: &Json, base: &Json, live: &Json) -> Json {
    if fields.as_object().is_some_and(Map::is_empty) {
        return manifest.clone();
    }
    let base = if base.is_null() { manifest } else { base };
    let over = Along { fields, base: Some(base), live: Some(live) };
    over.on(Some(manifest)).unwrap_or(Json::Null)
}

/// A place in the three: the fields, and the object then and now.
struct Along<'a> {
    fields: &'a Json,
    base: Option<&'a Json>,
    live: Option<&'a Json>,
}

impl Along<'_> {
    fn on(&self, manifest: Option<&Json>) -> Option<Json> {
        let steps: Vec<(&String, &Json)> =
            self.fields.as_object().into_iter().flatten().filter(|(name, _)| *name != ".").collect();
        let as_it_is = || if self.base == self.live { manifest.cloned() } else { self.live.cloned() };
        if steps.is_empty() || self.live.is_none() {
            return as_it_is();
        }
        match manifest {
            Some(Json::Object(given)) => Some(Json::Object(self.of_object(given, &steps))),
            Some(Json::Array(given)) if steps.iter().all(|(name, _)| name.starts_with("k:")) => {
                Some(Json::Array(self.of_list(given, &steps)))
            }
            Some(Json::Array(_)) => {
                let moved =
                    steps.iter().any(|(name, _)| child(self.base, name).is_some() != child(self.live, name).is_some());
                if moved { self.live.cloned() } else { manifest.cloned() }
            }
            _ => as_it_is(),
        }
    }

    fn below<'b>(&'b self, step: &str, fields: &'b Json) -> Along<'b> {
        Along { fields, base: child(self.base, step), live: child(self.live, step) }
    }

    fn of_object(&self, given: &Map<String, Json>, steps: &[(&String, &Json)]) -> Map<String, Json> {
        let mut out = given.clone();
        for (step, fields) in steps {
            let Some(name) = step.strip_prefix("f:") else { continue };
            match self.below(step, fields).on(given.get(name)) {
                Some(now) => drop(out.insert(name.to_owned(), now)),
                None => drop(out.remove(name)),
            }
        }
        out
    }

    fn of_list(&self, given: &[Json], steps: &[(&String, &Json)]) -> Vec<Json> {
        let mut out: Vec<Option<Json>> = given.iter().cloned().map(Some).collect();
        for (step, fields) in steps {
            let at = step.strip_prefix("k:").and_then(|keys| position(given, keys));
            let now = self.below(step, fields).on(at.map(|at| &given[at]));
            match at {
                Some(at) => out[at] = now,
                None => out.push(now),
            }
        }
        out.into_iter().flatten().collect()
    }
}

/// What stands below a step.
fn child<'j>(json: Option<&'j Json>, step: &str) -> Option<&'j Json> {
    let json = json?;
    match step.split_at_checked(2)? {
        ("f:", name) => json.get(name),
        ("k:", keys) => {
            let items = json.as_array()?;
            position(items, keys).map(|at| &items[at])
        }
        ("v:", value) => {
            let value: Json = serde_json::from_str(value).ok()?;
            json.as_array()?.iter().find(|item| **item == value)
        }
        ("i:", index) => json.get(index.parse::<usize>().ok()?),
        _ => None,
    }
}

/// The element of a list that has these keys. A manifest may leave out a key that the server fills in (a port's protocol).
fn position(items: &[Json], keys: &str) -> Option<usize> {
    let keys: Map<String, Json> = serde_json::from_str(keys).ok()?;
    let exactly = |item: &Json| keys.iter().all(|(name, value)| item.get(name) == Some(value));
    let leniently = |item: &Json| keys.iter().all(|(name, value)| item.get(name).is_none_or(|v| v == value));
    items.iter().position(exactly).or_else(|| items.iter().position(leniently))
}

/// The fields that a manifest sets, where the server was not asked to keep account of them yet: an object that is only being imported.
/// A list whose elements all have a name is one of named elements; any other is one value.
pub(super) fn of_manifest(manifest: &Json) -> Json {
    match manifest {
        Json::Object(all) => {
            Json::Object(all.iter().map(|(name, part)| (format!("f:{name}"), of_manifest(part))).collect())
        }
        Json::Array(all) if !all.is_empty() && all.iter().all(|item| item.get("name").is_some_and(Json::is_string)) => {
            let key = |item: &Json| format!("k:{}", serde_json::json!({ "name": item["name"] }));
            Json::Object(all.iter().map(|item| (key(item), of_manifest(item))).collect())
        }
        _ => Json::Object(Map::new()),
    }
}

/// The fields in which two objects differ along ours, as paths, for who changed them.
pub(super) fn owners(object: &Json, not: &str, paths: &[String]) -> Vec<(String, Option<String>, Vec<String>)> {
    let entries = object.pointer("/metadata/managedFields").and_then(Json::as_array);
    let mut found = Vec::new();
    for entry in entries.into_iter().flatten() {
        let manager = entry.get("manager").and_then(Json::as_str).unwrap_or_default();
        let Some(fields) = entry.get("fieldsV1").filter(|_| manager != not) else { continue };
        let theirs: Vec<String> = paths.iter().filter(|path| owns(fields, path)).cloned().collect();
        if !theirs.is_empty() {
            let when = entry.get("time").and_then(Json::as_str).map(str::to_owned);
            found.push((manager.to_owned(), when, theirs));
        }
    }
    found
}

/// Whether a set of fields has the field of a path: names with dots between, list elements by position not looked at.
fn owns(fields: &Json, path: &str) -> bool {
    let mut at = vec![fields];
    for step in path.split(['.', '[']).filter(|step| !step.ends_with(']')) {
        let name = format!("f:{step}");
        let mut next: Vec<&Json> = Vec::new();
        for one in at {
            next.extend(one.get(&name));
            // The elements of a list that has keys stand between a list and what is in it.
            let elements = one.as_object().into_iter().flatten().filter(|(step, _)| step.starts_with("k:"));
            next.extend(elements.filter_map(|(_, element)| element.get(&name)));
        }
        if next.is_empty() {
            return false;
        }
        at = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields() -> Json {
        json!({
            "f:metadata": { "f:labels": { "f:app": {} } },
            "f:spec": {
                "f:replicas": {},
                "f:template": { "f:spec": { "f:containers": {
                    "k:{\"name\":\"api\"}": { ".": {}, "f:name": {}, "f:image": {}, "f:resources": { "f:limits": { "f:cpu": {} } },
                        "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } } },
                } } },
            },
        })
    }

    fn manifest() -> Json {
        json!({
            "metadata": { "labels": { "app": "web" } },
            "spec": { "replicas": 2, "template": { "spec": { "containers": [
                { "name": "api", "image": "a:1", "resources": { "limits": { "cpu": "1000m" } }, "ports": [{ "containerPort": 80 }] },
            ] } } },
        })
    }

    fn live(replicas: i64, image: &str) -> Json {
        json!({
            "metadata": { "labels": { "app": "web", "theirs": "x" }, "resourceVersion": "7" },
            "spec": { "replicas": replicas, "paused": true, "template": { "spec": { "containers": [
                { "name": "sidecar", "image": "s" },
                { "name": "api", "image": image, "resources": { "limits": { "cpu": "1" } },
                  "ports": [{ "containerPort": 80, "protocol": "TCP" }], "terminationMessagePath": "/x" },
            ] } } },
        })
    }

    #[test]
    fn what_is_as_it_was_applied_is_as_the_manifest_spells_it() {
        assert_eq!(overlay(&manifest(), &fields(), &live(2, "a:1"), &live(2, "a:1")), manifest());
    }

    #[test]
    fn what_changed_of_ours_shows_and_nothing_else() {
        let now = overlay(&manifest(), &fields(), &live(2, "a:1"), &live(5, "a:2"));
        let mut expected = manifest();
        expected["spec"]["replicas"] = json!(5);
        expected["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a:2");
        assert_eq!(now, expected);
    }

    #[test]
    fn what_is_gone_of_ours_is_gone() {
        let mut now = live(2, "a:1");
        now["metadata"]["labels"] = json!({});
        now["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().pop();
        let mut expected = manifest();
        expected["metadata"]["labels"] = json!({});
        expected["spec"]["template"]["spec"]["containers"] = json!([]);
        assert_eq!(overlay(&manifest(), &fields(), &live(2, "a:1"), &now), expected);
    }

    #[test]
    fn where_no_field_is_ours_nothing_is_looked_at() {
        let wanted = json!({ "kind": "Namespace", "metadata": { "name": "a" } });
        let live = json!({ "kind": "Namespace", "metadata": { "name": "a", "labels": { "theirs": "x" } } });
        assert_eq!(overlay(&wanted, &json!({}), &wanted, &live), wanted);
    }

    #[test]
    fn what_was_never_applied_is_what_there_is() {
        let (wanted, live) = (json!({ "data": { "a": "1", "b": "2" } }), json!({ "data": { "a": "1", "c": "3" } }));
        let now = overlay(&wanted, &of_manifest(&wanted), &Json::Null, &live);
        assert_eq!(now, json!({ "data": { "a": "1" } }));
    }

    #[test]
    fn our_own_mark_makes_no_other_annotation_ours() {
        let entry = |annotations: Json| {
            let fields = json!({ "f:data": { "f:a": {} }, "f:metadata": { "f:annotations": annotations } });
            let ours = json!({ "manager": "gantry-1", "operation": "Apply", "fieldsV1": fields });
            applied_by(&json!({ "metadata": { "managedFields": [ours] } }), "gantry-1")
        };
        let alone = json!({ "f:data": { "f:a": {} } });
        assert_eq!(entry(json!({ "f:gantry.dev/op": {} })), alone);
        assert_eq!(entry(json!({ ".": {}, "f:gantry.dev/op": {} })), alone);
        let more = entry(json!({ "f:gantry.dev/op": {}, "f:team": {} }));
        assert_eq!(more["f:metadata"], json!({ "f:annotations": { "f:team": {} } }));
    }

    #[test]
    fn the_owner_of_a_field_is_found_by_its_path() {
        let object = json!({ "metadata": { "managedFields": [
            { "manager": "gantry-1", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
            { "manager": "kubectl-edit", "time": "2026-01-01T00:00:00Z", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
            { "manager": "other", "fieldsV1": { "f:spec": { "f:paused": {} } } },
        ] } });
        let found = owners(&object, "gantry-1", &["spec.replicas".into()]);
        assert_eq!(found, [("kubectl-edit".into(), Some("2026-01-01T00:00:00Z".into()), vec!["spec.replicas".into()])]);
    }
}
