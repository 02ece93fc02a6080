//! What a request asks for: its path, its parameters and its headers.

use std::collections::BTreeMap;

use axum::http::HeaderMap;

/// A request with its body read.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn param(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        matches!(self.param(name), "true" | "1")
    }

    pub(crate) fn content_type(&self) -> &str {
        let whole = self.header("content-type").unwrap_or("application/json");
        whole.split(';').next().unwrap_or_default().trim()
    }

    pub(crate) fn is_apply(&self) -> bool {
        self.method == "PATCH" && self.content_type() == "application/apply-patch+yaml"
    }

    /// `tester` of `tester/1.0 (linux)`; the name under which fields are owned if none is given.
    pub(crate) fn manager(&self) -> String {
        match self.param("fieldManager") {
            "" => {
                let agent = self.header("user-agent").unwrap_or("unknown");
                agent.split('/').next().unwrap_or_default().to_owned()
            }
            name => name.to_owned(),
        }
    }
}

/// Splits `a=b&c=d`.
pub(crate) fn query(text: &str) -> BTreeMap<String, String> {
    let decode =
        |part: &str| percent_encoding::percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

/// A request for a resource.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl Target {
    /// None if the path is no resource's.
    pub(crate) fn of(asked: &Asked) -> Option<Self> {
        let parts: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match &parts[..] {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", name, sub] if ["status", "finalize"].contains(sub) => (*name, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            ["namespaces", name] => (*name, rest),
            _ => ("", rest),
        };
        let (resource, name, subresource) = match rest {
            [resource] => (*resource, "", String::new()),
            [resource, name] => (*resource, *name, String::new()),
            [resource, name, sub @ ..] => (*resource, *name, sub.join("/")),
            [] => return None,
        };
        let mut target = Self {
            verb: String::new(),
            group: group.into(),
            version: version.into(),
            resource: resource.into(),
            namespace: namespace.into(),
            name: name.into(),
            subresource,
        };
        target.verb = target.verb_of(asked).into();
        Some(target)
    }

    fn verb_of(&self, asked: &Asked) -> &'static str {
        match (asked.method.as_str(), self.name.is_empty()) {
            ("GET", _) if asked.is_set("watch") => "watch",
            ("GET" | "HEAD", true) => "list",
            ("GET" | "HEAD", false) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            ("PATCH", _) => "patch",
            ("DELETE", true) => "deletecollection",
            ("DELETE", false) => "delete",
            _ => "unknown",
        }
    }

    /// `pods/log`
    pub(crate) fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// The namespace of the object itself: a Namespace has none, though its requests are within it.
    pub(crate) fn storage_namespace(&self) -> &str {
        if self.group.is_empty() && self.resource == "namespaces" { "" } else { &self.namespace }
    }
}
