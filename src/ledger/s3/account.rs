//! Whose requests these are: region, endpoint and credentials, found as every AWS tool finds them.
//!
//! `aws-config` looks (environment, profiles, SSO, assumed roles, web identity, a process, containers, instances); the
//! calls that this takes go through the one HTTP client that everything else here uses.

use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::ServiceConfigKey;
use tokio::sync::Mutex;

use super::S3Settings;
use super::failed::{Failed, Why};
use crate::ports::clock::{Clock as _, SystemClock};

/// Credentials that run out sooner than this are fetched anew.
const AHEAD: Duration = Duration::from_secs(120);

/// How long to wait for them, with all that is asked on the way.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a bucket is reached with.
pub(super) struct Account {
    pub(super) region: String,
    pub(super) endpoint: Option<String>,
    provider: Option<SharedCredentialsProvider>,
    known: Mutex<Option<Credentials>>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// Looks where everything is. Asks nobody for credentials yet.
    pub(super) async fn find(
        settings: &S3Settings,
        given: Option<Credentials>,
        http: &reqwest::Client,
    ) -> Result<Self, Failed> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(Http(http.clone()));
        if let Some(profile) = &settings.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &settings.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(given) = given {
            loader = loader.credentials_provider(given);
        }
        let found = tokio::time::timeout(PATIENCE, loader.load()).await;
        let Ok(found) = found else { return Err(Failed::new(Why::Credentials, "looking for them took too long")) };
        let endpoint = settings.endpoint.clone().or_else(|| endpoint(&found));
        let region = match (found.region(), &endpoint) {
            (Some(region), _) => region.to_string(),
            // A server of one's own has no regions, and takes the name of the first one.
            (None, Some(_)) => "us-east-1".to_owned(),
            (None, None) => return Err(Failed::new(Why::NoRegion, "no region is set")),
        };
        Ok(Self { region, endpoint, provider: found.credentials_provider(), known: Mutex::new(None) })
    }

    /// Credentials that hold for a while.
    pub(super) async fn credentials(&self) -> Result<Credentials, Failed> {
        let mut known = self.known.lock().await;
        let soon = SystemTime::from(SystemClock.now()) + AHEAD;
        if let Some(credentials) = known.as_ref().filter(|c| c.expiry().is_none_or(|end| end > soon)) {
            return Ok(credentials.clone());
        }
        let Some(provider) = &self.provider else { return Err(Failed::new(Why::NoCredentials, "there are none")) };
        match tokio::time::timeout(PATIENCE, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => {
                *known = Some(credentials.clone());
                Ok(credentials)
            }
            Ok(Err(e @ CredentialsError::CredentialsNotLoaded(_))) => Err(Failed::new(Why::NoCredentials, &chain(&e))),
            // The machine's own service is the last that is asked, after everything else had none.
            Ok(Err(e)) if chain(&e).contains("IMDS") => Err(Failed::new(Why::NoCredentials, &chain(&e))),
            Ok(Err(e)) => Err(Failed::new(Why::Credentials, &chain(&e))),
            Err(_) => Err(Failed::new(Why::Credentials, "looking for them took too long")),
        }
    }

    /// Forgets credentials that a store did not accept any more, so that the next call fetches new ones.
    pub(super) async fn forget(&self) {
        *self.known.lock().await = None;
    }
}

/// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` or the profile's.
fn endpoint(found: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("s3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = found.service_config().zip(key.ok()).and_then(|(config, key)| config.load_config(key));
    own.or_else(|| found.endpoint_url().map(str::to_owned)).filter(|text| !text.is_empty())
}

/// An error with its causes. None of them holds a secret: the SDK keeps what a process or a server answered to itself.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// The one HTTP client, as the SDK wants to see it.
#[derive(Debug, Clone)]
struct Http(reqwest::Client);

impl HttpClient for Http {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let timeout = settings.connect_timeout().unwrap_or_default() + settings.read_timeout().unwrap_or_default();
        let timeout = if timeout.is_zero() { Duration::from_secs(10) } else { timeout };
        SharedHttpConnector::new(Connector { http: self.0.clone(), timeout })
    }
}

#[derive(Debug)]
struct Connector {
    http: reqwest::Client,
    timeout: Duration,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (http, timeout) = (self.http.clone(), self.timeout);
        HttpConnectorFuture::new(async move { forward(&http, timeout, request).await })
    }
}

async fn forward(
    http: &reqwest::Client,
    timeout: Duration,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let user = |e: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(e);
    let method = reqwest::Method::from_bytes(request.method().as_bytes()).map_err(|e| user(e.into()))?;
    let body = request.body().bytes().map(<[u8]>::to_vec);
    let body = body.ok_or_else(|| user("a streamed body is not for credentials".into()))?;
    let mut sent = http.request(method, request.uri()).timeout(timeout).body(body);
    for (name, value) in request.headers() {
        sent = sent.header(name, value);
    }
    let answer = sent.send().await.map_err(connector_error)?;
    let status = answer.status().as_u16().try_into().map_err(|e| ConnectorError::other(Box::new(e), None))?;
    let headers = answer.headers().clone();
    let bytes = answer.bytes().await.map_err(connector_error)?;
    let mut response = HttpResponse::new(status, SdkBody::from(bytes));
    for (name, value) in &headers {
        if let Ok(value) = value.to_str() {
            response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
        }
    }
    Ok(response)
}

fn connector_error(e: reqwest::Error) -> ConnectorError {
    let (timeout, io) = (e.is_timeout(), e.is_connect() || e.is_body());
    // The address may hold a token (web identity) in its query.
    let e = Box::new(e.without_url());
    match (timeout, io) {
        (true, _) => ConnectorError::timeout(e),
        (_, true) => ConnectorError::io(e),
        _ => ConnectorError::other(e, None),
    }
}
