//! Asking one registry for one repository's manifests, with whatever login it wants.
//!
//! The token part is the distribution project's "Token Authentication Specification" and, for identity tokens, its
//! "Oauth2 Token Authentication".

use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::challenge::{self, Challenge};
use super::credentials::{self, Found, Login};
use super::error::shown;
use super::secret::Secret;
use super::transport::{Answer, Ask, Transport, is_safe, origin};
use super::{Options, Reference, ResolveError};

/// What a tag may name: an index of many platforms or the manifest of one, in the words of OCI and of Docker.
pub(super) const MANIFEST_TYPES: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";
/// The name under which Gantry asks for tokens.
const CLIENT_ID: &str = "gantry";

/// A registry that is being asked.
pub(super) struct Registry<'a> {
    image: &'a Reference,
    options: &'a Options,
    transport: Transport<'a>,
    authorization: Option<Secret>,
    /// What was found of a login, once it was looked for.
    found: Option<Found>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'a> Registry<'a> {
    pub(super) fn new(image: &'a Reference, options: &'a Options) -> Self {
        Self { image, options, transport: Transport::new(options), authorization: None, found: None }
    }

    /// Asks for the manifest, logging in when the registry wants it. A refusal is an error; every other status is the
    /// caller's.
    pub(super) async fn manifest(&mut self, method: Method) -> Result<Answer, ResolveError> {
        let scheme = if self.image.is_local() { "http" } else { "https" };
        let (host, path, wanted) = (self.image.host(), &self.image.path, self.image.wanted());
        let url = self.url(&format!("{scheme}://{host}/v2/{path}/manifests/{wanted}"))?;
        let mut answer = self.ask(&method, &url).await?;
        if answer.status.as_u16() == 401 && self.authorization.is_none() && !answer.foreign {
            self.authorization = self.log_in(&answer).await?;
            if self.authorization.is_some() {
                answer = self.ask(&method, &url).await?;
            }
        }
        if matches!(answer.status.as_u16(), 401 | 403) {
            return Err(self.refused(&answer));
        }
        Ok(answer)
    }

    async fn ask(&self, method: &Method, url: &Url) -> Result<Answer, ResolveError> {
        let authorization = self.authorization.as_ref();
        let (method, url) = (method.clone(), url.clone());
        self.transport.send(&Ask { method, url, accept: MANIFEST_TYPES, authorization, form: None }).await
    }

    /// The header that answers the registry's challenge, if there is one to give.
    async fn log_in(&mut self, answer: &Answer) -> Result<Option<Secret>, ResolveError> {
        let found = credentials::look(self.image, self.options).await;
        let login = found.login.clone();
        self.found = Some(found);
        let headers = answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let Some(challenge) = challenge::choose(headers) else {
            return Err(self.odd("it wants a login, but names no way to log in that Gantry knows (Bearer, Basic)"));
        };
        match (challenge, login) {
            (_, Some(Login::Registry(token))) => Ok(Some(bearer(&token))),
            (Challenge::Basic, Some(Login::Basic(header))) => Ok(Some(header)),
            (Challenge::Basic, _) => Ok(None),
            (Challenge::Bearer { realm, service, scope }, login) => {
                let realm = self.realm(&realm)?;
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.image.path));
                self.token(realm, service.as_deref(), &scope, login).await.map(Some)
            }
        }
    }

    /// The token server's address, if credentials may go there.
    fn realm(&self, text: &str) -> Result<Url, ResolveError> {
        let Ok(realm) = Url::parse(text) else {
            return Err(self.odd(&format!("it names `{}` as its token server, which is no address", shown(text))));
        };
        let keeps_tls = realm.scheme() == "https" || self.image.is_local();
        let has_login = !realm.username().is_empty() || realm.password().is_some();
        if is_safe(&realm) && keeps_tls && !has_login {
            return Ok(realm);
        }
        let reason = if has_login { "holds a user name or password" } else { "is reached without TLS" };
        Err(self.odd(&format!("its token server {} {reason}, so no login is sent there", origin(&realm))))
    }

    async fn token(
        &self,
        mut realm: Url,
        service: Option<&str>,
        scope: &str,
        login: Option<Login>,
    ) -> Result<Secret, ResolveError> {
        let mut pairs = Vec::from_iter(service.map(|service| ("service", service)));
        pairs.push(("scope", scope));
        let (authorization, form) = match &login {
            Some(Login::Identity(token)) => {
                pairs.extend([("grant_type", "refresh_token"), ("client_id", CLIENT_ID)]);
                pairs.push(("refresh_token", token.expose()));
                let mut encoder = Url::parse("form:?").map_err(|_| self.odd("its token server cannot be asked"))?;
                encoder.query_pairs_mut().extend_pairs(&pairs);
                (None, Some(Secret::new(encoder.query().unwrap_or_default())))
            }
            Some(Login::Basic(header)) => (Some(header), None),
            Some(Login::Registry(_)) | None => (None, None),
        };
        if form.is_none() {
            realm.query_pairs_mut().extend_pairs(&pairs);
        }
        let method = if form.is_some() { Method::POST } else { Method::GET };
        let server = origin(&realm);
        let ask = Ask { method, url: realm, accept: "application/json", authorization, form };
        let answer = self.transport.send(&ask).await?;
        let odd = |reason: String| ResolveError::Answer { registry: server.clone(), reason };
        match answer.status.as_u16() {
            200 => {}
            400 | 401 | 403 => return Err(self.refused(&answer)),
            status => return Err(odd(format!("as a token server it answered {status}"))),
        }
        // What it cannot read may hold the token, so the reader's own message is not repeated.
        let token: Option<Token> = serde_json::from_slice(&answer.body).ok();
        let token = token.and_then(|t| t.token.filter(|t| !t.is_empty()).or(t.access_token));
        match token.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic())) {
            Some(token) => Ok(bearer(&Secret::new(token))),
            None => Err(odd("as a token server it answered without a usable token".to_owned())),
        }
    }

    fn refused(&self, answer: &Answer) -> ResolveError {
        let status = answer.status.as_u16();
        let reason = match &self.found {
            _ if answer.foreign => format!("it redirects to another server, which answered {status}"),
            Some(Found { login: Some(_), words }) => format!("it refused the login from {words} ({status})"),
            Some(Found { login: None, words }) => format!("it wants a login ({status}), and {words}"),
            None => format!("it answered {status} without asking for a login"),
        };
        ResolveError::Unauthorized {
            registry: self.image.registry.clone(),
            repository: self.image.path.clone(),
            reason,
            login: self.image.login(),
        }
    }

    fn url(&self, text: &str) -> Result<Url, ResolveError> {
        Url::parse(text).map_err(|e| ResolveError::Reference {
            reference: self.image.repository(),
            reason: format!("its registry is no host: {e}"),
        })
    }

    fn odd(&self, reason: &str) -> ResolveError {
        ResolveError::Answer { registry: self.image.registry.clone(), reason: reason.to_owned() }
    }
}

fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.expose()))
}
