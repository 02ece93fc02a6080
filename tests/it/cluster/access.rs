//! Who may do what: tokens, users and their rules.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::route::Target;
use super::status::{Answer, Failure};

/// What somebody is allowed; `*` is anything, a namespace of `""` the whole cluster.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    namespace: String,
}

impl Rule {
    /// Allows `verbs` on `resources` (`deployments`, `pods/log`, `*`) of `group`, in all namespaces.
    pub(crate) fn new(verbs: &[&str], group: &str, resources: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|one| (*one).to_owned()).collect();
        Self { verbs: owned(verbs), groups: vec![group.into()], resources: owned(resources), namespace: String::new() }
    }

    /// Everything.
    pub(crate) fn all() -> Self {
        Self::new(&["*"], "*", &["*"])
    }

    /// In one namespace only.
    pub(crate) fn within(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    fn allows(&self, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
        let has = |list: &[String], one: &str| list.iter().any(|each| each == "*" || each == one);
        has(&self.verbs, verb)
            && has(&self.groups, group)
            && has(&self.resources, resource)
            && (self.namespace.is_empty() || self.namespace == namespace)
    }
}

/// Somebody who asks.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
}

/// All tokens and rules.
#[derive(Debug)]
pub(crate) struct Access {
    tokens: BTreeMap<String, User>,
    rules: BTreeMap<String, Vec<Rule>>,
    /// Users whose token has run out.
    pub(crate) expired: Vec<String>,
}

impl Default for Access {
    fn default() -> Self {
        let mut access = Self { tokens: BTreeMap::new(), rules: BTreeMap::new(), expired: Vec::new() };
        access.add("admin-token", "admin", vec![Rule::all()]);
        access.tokens.get_mut("admin-token").unwrap().groups.insert(0, "system:masters".into());
        access
    }
}

impl Access {
    pub(crate) fn add(&mut self, token: &str, user: &str, rules: Vec<Rule>) {
        let groups = vec!["system:authenticated".into()];
        self.tokens.insert(token.into(), User { name: user.into(), groups });
        self.rules.insert(user.into(), rules);
    }

    /// Who has a token; nobody in particular has none.
    pub(crate) fn user(&self, authorization: Option<&str>) -> Answer<User> {
        let Some(authorization) = authorization else {
            return Ok(User { name: "system:anonymous".into(), groups: vec!["system:unauthenticated".into()] });
        };
        let token = authorization.strip_prefix("Bearer ").unwrap_or_default();
        let is_expired = self.expired.iter().any(|one| one == token);
        self.tokens.get(token).filter(|_| !is_expired).cloned().ok_or_else(Failure::unauthorized)
    }

    /// Somebody acts as another.
    pub(crate) fn impersonate(&self, user: User, name: Option<&str>, target: Option<&Target>) -> Answer<User> {
        let Some(name) = name else { return Ok(user) };
        if !self.allows(&user, "impersonate", "", "users", "") {
            // Since 1.36 a right of its own is asked for each thing that somebody would do as another.
            let nothing = Target::default();
            let mut target = target.unwrap_or(&nothing).clone();
            target.verb = format!("impersonate-on:user-info:{}", target.verb);
            self.check(&user, &target)?;
        }
        Ok(User { name: name.into(), groups: vec!["system:authenticated".into()] })
    }

    pub(crate) fn allows(&self, user: &User, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
        if user.groups.iter().any(|group| group == "system:masters") {
            return true;
        }
        // Everybody who is somebody may ask what he is allowed.
        if group == "authorization.k8s.io" && user.groups.iter().any(|group| group == "system:authenticated") {
            return true;
        }
        let rules = self.rules.get(&user.name);
        rules.into_iter().flatten().any(|rule| rule.allows(verb, group, resource, namespace))
    }

    pub(crate) fn check(&self, user: &User, target: &Target) -> Answer<()> {
        let resource = target.full_resource();
        if self.allows(user, &target.verb, &target.group, &resource, &target.namespace) {
            return Ok(());
        }
        let place = match target.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        let why = format!(
            "User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}",
            user.name, target.verb, target.group
        );
        Err(Failure::forbidden(&target.group, &target.resource, &target.name, &why))
    }

    /// The answer to a SelfSubjectAccessReview.
    pub(crate) fn review(&self, user: &User, review: &Value) -> Value {
        let asked = &review["spec"]["resourceAttributes"];
        let text = |name: &str| asked[name].as_str().unwrap_or_default();
        let resource = match text("subresource") {
            "" => text("resource").to_owned(),
            sub => format!("{}/{sub}", text("resource")),
        };
        let is_allowed = self.allows(user, text("verb"), text("group"), &resource, text("namespace"));
        let mut answer = review.clone();
        answer["kind"] = json!("SelfSubjectAccessReview");
        answer["apiVersion"] = json!("authorization.k8s.io/v1");
        answer["metadata"] = answer.get("metadata").cloned().unwrap_or_else(|| json!({}));
        answer["status"] = json!({"allowed": is_allowed});
        answer
    }
}
