//! The `WWW-Authenticate` header: who has to be asked for a token.
//!
//! The grammar is RFC 9110, section 11.6.1; the parameters are those of the token authentication specification.

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A user's name and password.
    Basic,
    /// A token from `realm`.
    Bearer {
        /// The token server's address.
        realm: String,
        /// The name under which it knows the registry.
        service: Option<String>,
        /// What the token has to allow.
        scope: Option<String>,
    },
}

/// The challenge to answer: the first bearer one, else a basic one. Unknown schemes and broken parts are passed over.
pub(super) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for header in headers {
        for (scheme, parameters) in challenges(header) {
            let value = |name: &str| {
                parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
            };
            if scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = value("realm")
            {
                let filled = |text: &String| !text.is_empty();
                return Some(Challenge::Bearer {
                    realm,
                    service: value("service").filter(filled),
                    scope: value("scope").filter(filled),
                });
            }
            if scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Challenge::Basic);
            }
        }
    }
    basic
}

type Parameters = Vec<(String, String)>;

/// All challenges of one header: a list in which a word that no `=` follows opens the next one.
fn challenges(header: &str) -> Vec<(String, Parameters)> {
    let mut found: Vec<(String, Parameters)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return found;
        }
        let trimmed = after.trim_start_matches([' ', '\t']);
        match trimmed.strip_prefix('=') {
            Some(value) => {
                let (value, after) = parameter_value(value.trim_start_matches([' ', '\t']));
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.push((word.to_owned(), value));
                }
                rest = after;
            }
            None => {
                found.push((word.to_owned(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// A quoted string, with its escapes undone, or a bare word; and what follows.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// `token` of RFC 9110, section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) })
    }

    #[test]
    fn challenges_are_read() {
        let scope = "repository:a:pull,push";
        for (headers, want) in [
            (
                vec![r#"Bearer realm="https://t",service="s",scope="repository:a:pull,push""#],
                bearer("https://t", Some("s"), Some(scope)),
            ),
            (vec![r#"bearer  Realm = "https://t" , service=s"#], bearer("https://t", Some("s"), None)),
            (vec![r#"Basic realm="a, Bearer realm=b", Bearer realm="https://t""#], bearer("https://t", None, None)),
            (vec!["Basic realm=x", r#"Bearer realm="https://t",scope="""#], bearer("https://t", None, None)),
            (vec![r#"Bearer realm="a\"b\\c""#], bearer("a\"b\\c", None, None)),
            (vec!["Negotiate, Basic"], Some(Challenge::Basic)),
            (vec!["Negotiate YWJj"], None),
            (vec!["Bearer service=x"], None),
            (vec![r#"Bearer realm="open"#], bearer("open", None, None)),
            (vec!["=,=", ""], None),
            (vec![], None),
        ] {
            assert_eq!(choose(headers.iter().copied()), want, "{headers:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(text in ".{0,60}", list in "[Bb =\",\\\\realm]{0,40}") {
            let _ = choose([text.as_str(), list.as_str()].into_iter());
        }
    }
}
