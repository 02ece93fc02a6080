//! Image references as Docker reads them.
//!
//! The grammar is that of the distribution project's `reference` package: `[REGISTRY/]PATH[:TAG][@DIGEST]`, where the
//! first part is a registry only if it has a dot or a colon, is `localhost`, or is not lower-case.

use super::ResolveError;

/// A repository's name with its registry may be this long in Docker's grammar.
const MAX_NAME: usize = 255;
/// The longest tag of the grammar.
const MAX_TAG: usize = 128;
/// The longest reference that the grammar can make, and then some: what is longer is not looked at.
const MAX_REFERENCE: usize = 1024;
/// The registry that a reference without one means.
const DOCKER_HUB: &str = "docker.io";

/// An image reference, completed with what Docker implies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The registry as people name it: `registry.example.com`, `localhost:5000`, `docker.io`.
    pub registry: String,
    /// The repository inside the registry: `library/nginx`.
    pub path: String,
    /// The tag; `latest` where neither a tag nor a digest is given.
    pub tag: Option<String>,
    /// The digest, `sha256:` and 64 hexadecimal digits, if the reference has one. Then it decides, not the tag.
    pub digest: Option<String>,
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// [`ResolveError::Reference`], with what is wrong in it.
    pub fn parse(text: &str) -> Result<Self, ResolveError> {
        parse(text).map_err(|reason| ResolveError::Reference {
            reference: text.chars().take(MAX_NAME).flat_map(char::escape_debug).collect(),
            reason,
        })
    }

    /// Registry and repository in one: `docker.io/library/nginx`.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.registry, self.path)
    }

    /// What the registry is asked for: the digest, else the tag.
    pub(super) fn wanted(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// `tag 1.2` or `digest sha256:…` with quotes, for messages.
    pub(super) fn wanted_in_words(&self) -> String {
        let kind = if self.digest.is_some() { "digest" } else { "tag" };
        format!("{kind} `{}`", self.wanted())
    }

    /// The host and port that serve the registry's API.
    pub(super) fn host(&self) -> &str {
        if self.registry == DOCKER_HUB { "registry-1.docker.io" } else { &self.registry }
    }

    /// Whether the registry is this machine itself, which is asked without TLS.
    pub(super) fn is_local(&self) -> bool {
        is_local_host(host_of(&self.registry))
    }

    /// Under which names Docker keeps credentials for the registry, the usual one first.
    pub(super) fn credential_keys(&self) -> Vec<&str> {
        if self.registry == DOCKER_HUB {
            vec!["https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB, "registry-1.docker.io"]
        } else {
            vec![&self.registry]
        }
    }

    /// What a person types to log in.
    pub(super) fn login(&self) -> String {
        if self.registry == DOCKER_HUB { "docker login".to_owned() } else { format!("docker login {}", self.registry) }
    }
}

/// Whether a host is this machine: `localhost`, `127.…` or `[::1]`. By the name alone, as Docker judges it.
pub(super) fn is_local_host(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host without its port.
fn host_of(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => registry,
    }
}

fn parse(text: &str) -> Result<Reference, String> {
    if text.is_empty() {
        return Err("it is empty. Write REGISTRY/REPOSITORY:TAG, as in `registry.example.com/shop:1.2`".into());
    }
    if text.len() > MAX_REFERENCE {
        return Err(format!("it is longer than {MAX_REFERENCE} bytes"));
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        return Err(format!("a reference has no `{}://`. Write `{}`", scheme.escape_debug(), rest.escape_debug()));
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(checked_digest(digest)?)),
        None => (text, None),
    };
    let (registry, rest) = split_registry(rest);
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(checked_tag(tag)?)),
        None => (rest, None),
    };
    let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
    check_registry(registry)?;
    check_path(path)?;
    let path = if registry == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
    if registry.len() + 1 + path.len() > MAX_NAME {
        return Err(format!("registry and repository together are longer than {MAX_NAME} characters"));
    }
    let tag = if digest.is_none() { Some(tag.unwrap_or_else(|| "latest".to_owned())) } else { tag };
    Ok(Reference { registry: registry.to_owned(), path, tag, digest })
}

fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.chars().any(|c| c.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DOCKER_HUB, text),
    }
}

fn checked_digest(text: &str) -> Result<String, String> {
    if is_sha256(text) {
        return Ok(text.to_owned());
    }
    Err("what stands behind the `@` is no digest: Gantry takes `sha256:` and 64 lower-case hexadecimal digits".into())
}

/// Whether a text is `sha256:` and 64 lower-case hexadecimal digits.
pub(super) fn is_sha256(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

fn checked_tag(text: &str) -> Result<String, String> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let good = text.bytes().next().is_some_and(word) && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
    if good && text.len() <= MAX_TAG {
        return Ok(text.to_owned());
    }
    Err(format!(
        "what stands behind the `:` is no tag: one to {MAX_TAG} letters, digits, `_`, `.` and `-`, and neither `.` nor `-` first"
    ))
}

fn check_registry(registry: &str) -> Result<(), String> {
    let host = host_of(registry);
    let port = registry[host.len()..].strip_prefix(':');
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0));
    let label = |l: &str| {
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = l.as_bytes();
        edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is_good = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(label),
    };
    if host_is_good && port_is_good {
        return Ok(());
    }
    Err(format!(
        "`{}` is no registry: it has to be a host name or address, with `:PORT` if needed",
        registry.escape_debug()
    ))
}

fn check_path(path: &str) -> Result<(), String> {
    if path.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(format!(
            "the repository `{}` has upper-case letters, and repositories are lower-case. Write `{}`",
            path.escape_debug(),
            path.to_ascii_lowercase().escape_debug()
        ));
    }
    if path.len() == 64 && path.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err("64 hexadecimal digits are an image's local id, not a repository in a registry".into());
    }
    if path.split('/').all(is_component) {
        return Ok(());
    }
    Err(format!(
        "`{}` is no repository: lower-case letters and digits, in parts between `/`, with single `.` or `_`, `__` or `-` inside a part",
        path.escape_debug()
    ))
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let plain = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = part.as_bytes();
    if !bytes.first().is_some_and(plain) || !bytes.last().is_some_and(plain) {
        return false;
    }
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    separators.into_iter().all(|s| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        let r = Reference::parse(text).unwrap();
        format!("{} {} {} {}", r.registry, r.path, r.tag.as_deref().unwrap_or("-"), r.digest.as_deref().unwrap_or("-"))
    }

    #[test]
    fn references_are_completed_as_docker_does() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, want) in [
            ("nginx", "docker.io library/nginx latest -"),
            ("nginx:1.27", "docker.io library/nginx 1.27 -"),
            ("docker.io/nginx", "docker.io library/nginx latest -"),
            ("index.docker.io/acme/shop", "docker.io acme/shop latest -"),
            ("acme/shop:1", "docker.io acme/shop 1 -"),
            ("localhost/shop", "localhost shop latest -"),
            ("localhost:5000/a/b:c", "localhost:5000 a/b c -"),
            ("Upper/shop", "Upper shop latest -"),
            ("registry.example.com/shop:1.2", "registry.example.com shop 1.2 -"),
            ("r:1/shop", "r:1 shop latest -"),
            ("[::1]:5000/shop", "[::1]:5000 shop latest -"),
            ("[::1]/shop", "[::1] shop latest -"),
            ("r.io/a__b/c--d.e_f", "r.io a__b/c--d.e_f latest -"),
        ] {
            assert_eq!(read(text), want, "{text}");
        }
        assert_eq!(read(&format!("r.io/shop@{digest}")), format!("r.io shop - {digest}"));
        assert_eq!(read(&format!("r.io/shop:1@{digest}")), format!("r.io shop 1 {digest}"));
    }

    #[test]
    fn this_machine_is_told_from_others() {
        for (text, local) in [
            ("localhost:5000/a", true),
            ("localhost/a", true),
            ("127.0.0.1:5000/a", true),
            ("127.9.9.9/a", true),
            ("[::1]:5000/a", true),
            ("[::1]/a", true),
            ("127.example.com/a", false),
            ("localhost.example.com/a", false),
            ("128.0.0.1/a", false),
            ("[::2]:1/a", false),
            ("a", false),
        ] {
            assert_eq!(Reference::parse(text).unwrap().is_local(), local, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let long = format!("r.io/{}", "a".repeat(255));
        let id = "a".repeat(64);
        for (text, want) in [
            ("", "it is empty"),
            ("https://r.io/shop:1", "has no `https://`. Write `r.io/shop:1`"),
            ("r.io/Shop", "Write `shop`"),
            ("r.io/shop:", "no tag"),
            ("r.io/shop:-a", "no tag"),
            ("r.io/shop:a b", "no tag"),
            ("r.io/shop@sha256:12", "no digest"),
            ("r.io/shop@sha512:12", "no digest"),
            ("r.io/", "no repository"),
            ("r.io/a//b", "no repository"),
            ("r.io/a..b", "no repository"),
            ("r.io/a___b", "no repository"),
            ("r.io/../b", "no repository"),
            ("r.io/a%2fb", "no repository"),
            ("r.io/a?b", "no repository"),
            ("/shop", "no repository"),
            ("user:pw@r.io/shop", "no digest"),
            ("r.io:0/shop", "no registry"),
            ("r.io:99999/shop", "no registry"),
            ("r_.io/shop", "no registry"),
            ("r.io:/shop", "no registry"),
            ("[::g]/shop", "no re"),
            ("-r.io/shop", "no registry"),
            ("r.io/\u{1b}[31m", "no repository"),
            (&long, "longer than 255"),
            (&id, "local id"),
        ] {
            let error = Reference::parse(text).unwrap_err().to_string();
            assert!(error.contains(want), "{text}: {error}");
            assert!(!error.contains('\u{1b}'), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics_and_what_is_read_is_clean(text in "[a-zA-Z0-9:/@.\\[\\]_é-]{0,40}") {
            if let Ok(r) = Reference::parse(&text) {
                assert!(reqwest::Url::parse(&format!("https://{}/v2/{}/manifests/{}", r.host(), r.path, r.wanted())).is_ok_and(
                    |url| url.path() == format!("/v2/{}/manifests/{}", r.path, r.wanted())), "{text}");
            }
        }
    }
}
