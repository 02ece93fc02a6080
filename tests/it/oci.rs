//! Image references resolved by a scripted registry of this process, for every path, and by the real one of Debian.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/registry.rs"]
pub(crate) mod registry;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use gantry::provider::oci::{Options, ResolveError, Resolved, resolve};
use registry::{DebianRegistry, Fake, Reply, Seen, sha256};

const MANIFEST: &[u8] = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}"#;
const OCI_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const SECRET: &str = "hunter2-of-gantry";
/// `Basic ann:hunter2-of-gantry`
const BASIC: &str = "Basic YW5uOmh1bnRlcjItb2YtZ2FudHJ5";

fn quick() -> Options {
    Options { first_wait: Duration::from_millis(1), request_timeout: Duration::from_secs(20), ..Options::default() }
}

fn manifest() -> Reply {
    Reply::new(200, MANIFEST).with("content-type", OCI_TYPE).with("docker-content-digest", &sha256(MANIFEST))
}

fn unauthorized(challenge: &str) -> Reply {
    Reply::new(401, br#"{"errors":[{"code":"UNAUTHORIZED"}]}"#).with("www-authenticate", challenge)
}

async fn ask(fake: &Fake, image: &str) -> Result<Resolved, ResolveError> {
    resolve(&format!("{}/{image}", fake.host), &quick()).await
}

/// An error's whole text, with its chain and what `Debug` shows of it; none of it may hold the secret.
fn text(error: &ResolveError) -> String {
    let mut all = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(e) = source {
        all += &format!("\n{e}");
        source = e.source();
    }
    let shown = format!("{all}\n{error:?}");
    assert!(!shown.contains(SECRET) && !shown.contains("YW5uO"), "{shown}");
    error.to_string()
}

async fn fails(fake: &Fake, image: &str) -> String {
    text(&ask(fake, image).await.unwrap_err())
}

fn login(config: &str) -> (tempfile::TempDir, Options) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let options = Options { docker_config: Some(folder.path().to_owned()), ..quick() };
    (folder, options)
}

fn ann_at(host: &str) -> (tempfile::TempDir, Options) {
    login(&format!(r#"{{"auths":{{"{host}":{{"auth":"{}"}}}}}}"#, BASIC.trim_start_matches("Basic ")))
}

#[tokio::test]
async fn a_tag_is_one_head_request() {
    let fake = Fake::start(|_| manifest()).await;
    let got = ask(&fake, "shop/api:1.2").await.unwrap();
    let repository = format!("{}/shop/api", fake.host);
    assert_eq!(got.image(), format!("{repository}@{}", sha256(MANIFEST)));
    assert_eq!(got, Resolved { repository, tag: Some("1.2".into()), digest: sha256(MANIFEST) });
    let seen = fake.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].method.as_str(), seen[0].target.as_str()), ("HEAD", "/v2/shop/api/manifests/1.2"));
    for kind in ["oci.image.index.v1", "oci.image.manifest.v1", "manifest.list.v2", "distribution.manifest.v2"] {
        assert!(seen[0].accept.contains(kind), "{}", seen[0].accept);
    }
    assert_eq!(seen[0].authorization, None);
}

#[tokio::test]
async fn without_a_digest_in_the_header_the_body_is_hashed() {
    for first in [200, 405, 400] {
        let fake = Fake::start(move |seen| match seen.method.as_str() {
            "HEAD" => Reply::new(first, b"").with("content-type", OCI_TYPE),
            _ => Reply::new(200, MANIFEST).with("content-type", OCI_TYPE),
        })
        .await;
        assert_eq!(ask(&fake, "shop").await.unwrap().digest, sha256(MANIFEST), "{first}");
        assert_eq!(fake.seen().len(), 2);
    }
}

#[tokio::test]
async fn a_header_that_the_body_belies_is_refused() {
    let announced = format!("sha256:{}", "0".repeat(64));
    let header = announced.clone();
    // The content type is odd, so the header alone is not believed.
    let fake = Fake::start(move |_| Reply::new(200, MANIFEST).with("docker-content-digest", &header)).await;
    let error = fails(&fake, "shop:1").await;
    assert!(error.contains(&announced) && error.contains(&sha256(MANIFEST)), "{error}");
    assert!(error.contains("Nothing is deployed from it"), "{error}");
}

#[tokio::test]
async fn a_digest_is_looked_for_and_has_to_be_the_one() {
    let fake =
        Fake::start(|seen| if seen.target.ends_with(&sha256(MANIFEST)) { manifest() } else { Reply::new(404, b"") })
            .await;
    let there = sha256(MANIFEST);
    let got = ask(&fake, &format!("shop:1.2@{there}")).await.unwrap();
    assert_eq!((got.tag.as_deref(), got.digest.as_str()), (Some("1.2"), there.as_str()));
    assert_eq!(ask(&fake, &format!("shop@{there}")).await.unwrap().tag, None);
    let gone = format!("sha256:{}", "1".repeat(64));
    let error = fails(&fake, &format!("shop@{gone}")).await;
    assert_eq!(
        error,
        format!("{} has no image `shop` with the digest `{gone}`: push it first, or correct the reference", fake.host)
    );
    let liar = Fake::start(|_| manifest()).await;
    assert!(matches!(ask(&liar, &format!("shop@{gone}")).await, Err(ResolveError::Mismatch { .. })));
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let fake = Fake::start(|seen| {
        let code = if seen.target.contains("/nowhere/") { "NAME_UNKNOWN" } else { "MANIFEST_UNKNOWN" };
        Reply::new(404, format!(r#"{{"errors":[{{"code":"{code}","message":"x"}}]}}"#).as_bytes())
    })
    .await;
    let host = &fake.host;
    assert_eq!(
        fails(&fake, "shop:1.3").await,
        format!("{host} has no image `shop` with the tag `1.3`: push it first, or correct the reference")
    );
    assert_eq!(
        fails(&fake, "nowhere:1").await,
        format!(
            "{host} has no image `nowhere` with the tag `1` (it knows no such repository): push it first, or correct the reference"
        )
    );
}

/// A registry and its token server in one, which gives a token to whoever `allows` lets through.
async fn with_tokens(allows: fn(&Seen) -> bool) -> Fake {
    Fake::start(move |seen| {
        if seen.target.starts_with("/token") {
            if !allows(seen) {
                return Reply::new(401, b"{}");
            }
            return Reply::new(200, format!(r#"{{"access_token":"t-{SECRET}","expires_in":60}}"#).as_bytes());
        }
        if seen.authorization.as_deref() == Some(&format!("Bearer t-{SECRET}")) {
            return manifest();
        }
        let realm = format!("http://{}/token", seen.host);
        unauthorized(&format!(r#"Bearer realm="{realm}",service="the registry",scope="repository:shop:pull""#))
    })
    .await
}

#[tokio::test]
async fn a_token_is_fetched_without_a_login() {
    let fake = with_tokens(|seen| seen.authorization.is_none()).await;
    assert_eq!(ask(&fake, "shop:1").await.unwrap().digest, sha256(MANIFEST));
    let token = &fake.seen()[1];
    assert_eq!((token.method.as_str(), token.authorization.as_deref()), ("GET", None));
    assert_eq!(token.target, "/token?service=the+registry&scope=repository%3Ashop%3Apull");
}

#[tokio::test]
async fn a_token_is_fetched_with_a_login() {
    let fake = with_tokens(|seen| seen.authorization.as_deref() == Some(BASIC)).await;
    let (_folder, options) = ann_at(&fake.host);
    assert_eq!(resolve(&format!("{}/shop:1", fake.host), &options).await.unwrap().digest, sha256(MANIFEST));
    // The first question goes out without it.
    assert_eq!(fake.seen()[0].authorization, None);
    let error = fails(&fake, "shop:1").await;
    let host = &fake.host;
    assert_eq!(
        error,
        format!(
            "{host} does not show `shop`: it wants a login (401), and there are no credentials, since neither \
             DOCKER_CONFIG nor HOME is set. Log in with `docker login {host}`, and check that the repository exists \
             and that the account may pull from it"
        )
    );
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let fake = with_tokens(|seen| {
        seen.method == "POST"
            && seen.body.contains("grant_type=refresh_token")
            && seen.body.contains("service=the+registry")
            && seen.body.contains(&format!("refresh_token={SECRET}%2B%26"))
    })
    .await;
    let (_folder, options) = login(&format!(r#"{{"auths":{{"{}":{{"identitytoken":"{SECRET}+&"}}}}}}"#, fake.host));
    assert_eq!(resolve(&format!("{}/shop:1", fake.host), &options).await.unwrap().digest, sha256(MANIFEST));
    assert!(!fake.seen()[1].target.contains(SECRET));
}

#[tokio::test]
async fn basic_logins_work_and_wrong_ones_are_told() {
    let fake = Fake::start(|seen| match seen.authorization.as_deref() {
        Some(BASIC) if seen.target.contains("/shop/") => manifest(),
        // A server that repeats what it got: nothing of it may come out.
        Some(got) => Reply::new(403, format!(r#"{{"errors":[{{"code":"{got}","message":"{got}"}}]}}"#).as_bytes()),
        None => unauthorized("Basic realm=\"r\""),
    })
    .await;
    let (folder, options) = ann_at(&fake.host);
    assert_eq!(resolve(&format!("{}/shop:1", fake.host), &options).await.unwrap().digest, sha256(MANIFEST));
    let error = text(&resolve(&format!("{}/other:1", fake.host), &options).await.unwrap_err());
    let path = folder.path().join("config.json");
    assert!(error.contains(&format!("it refused the login from {} (403). Log in with", path.display())), "{error}");
    let error = fails(&fake, "shop:1").await;
    assert!(error.contains("it wants a login (401)"), "{error}");
}

#[tokio::test]
async fn a_credential_helper_is_asked() {
    let fake = Fake::start(|seen| {
        if seen.authorization.as_deref() == Some(BASIC) { manifest() } else { unauthorized("Basic realm=r") }
    })
    .await;
    let image = format!("{}/shop:1", fake.host);
    let (folder, options) = login(r#"{"credsStore":"gantry-test"}"#);
    let options = Options { helpers: Some(folder.path().to_owned()), ..options };
    let helper = |script: &str| {
        // Written beside and renamed: a program that is still open for writing cannot be started.
        write_program(folder.path(), "docker-credential-gantry-test", script);
    };
    let missing = text(&resolve(&image, &options).await.unwrap_err());
    assert!(missing.contains("`docker-credential-gantry-test`, which cannot be started"), "{missing}");
    helper(&format!(
        "[ \"$1\" = get ] && [ \"$(cat)\" = {} ] && echo '{{\"Username\":\"ann\",\"Secret\":\"{SECRET}\"}}'",
        fake.host
    ));
    assert_eq!(resolve(&image, &options).await.unwrap().digest, sha256(MANIFEST));
    for (script, want) in [
        ("echo 'credentials not found in native keychain'; exit 1", "has no credentials for it"),
        (&*format!("echo {SECRET}; exit 3"), "failed with exit code 3"),
        (&*format!("echo {SECRET}"), "holds no Username and Secret"),
    ] {
        helper(script);
        let error = text(&resolve(&image, &options).await.unwrap_err());
        assert!(error.contains(want), "{error}");
    }
    let (_folder, options) = login(r#"{"credsStore":"../../bin/sh"}"#);
    let error = text(&resolve(&image, &options).await.unwrap_err());
    assert!(error.contains("no program's name"), "{error}");
}

fn write_program(folder: &Path, name: &str, script: &str) {
    let path = folder.join(name);
    let status = std::process::Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2.new\" && mv \"$2.new\" \"$2\"", "sh", script])
        .arg(&path)
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_broken_docker_configuration_is_placed_and_not_quoted() {
    let fake = Fake::start(|_| unauthorized("Basic realm=r")).await;
    for (config, want) in [
        (format!("{{\"auths\":\n {SECRET}"), "config.json:2:2 is not JSON"),
        (format!(r#"{{"auths":{{"{}":{{"auth":"{SECRET}"}}}}}}"#, fake.host), "is no base64 of USER:PASSWORD"),
    ] {
        let (_folder, options) = login(&config);
        let error = text(&resolve(&format!("{}/shop", fake.host), &options).await.unwrap_err());
        assert!(error.contains(want), "{error}");
    }
    // Who needs no login is not bothered.
    let open = Fake::start(|_| manifest()).await;
    let (_folder, options) = login("{");
    assert!(resolve(&format!("{}/shop", open.host), &options).await.is_ok());
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_origin() {
    let storage = Fake::start(|_| manifest()).await;
    let target = format!("http://{}/blob?sig={SECRET}", storage.host);
    let fake = Fake::start(move |seen| match seen.authorization.as_deref() {
        Some(BASIC) if seen.target == "/here" => Reply::new(307, b"").with("location", &target),
        Some(BASIC) => Reply::new(302, b"").with("location", "/here"),
        _ => unauthorized("Basic realm=r"),
    })
    .await;
    let (_folder, options) = ann_at(&fake.host);
    assert_eq!(resolve(&format!("{}/shop:1", fake.host), &options).await.unwrap().digest, sha256(MANIFEST));
    let seen = storage.seen();
    assert_eq!((seen.len(), seen[0].authorization.as_deref()), (1, None));
}

#[tokio::test]
async fn another_origins_challenge_gets_no_login() {
    let thief = Fake::start(|seen| unauthorized(&format!(r#"Bearer realm="http://{}/token""#, seen.host))).await;
    let target = format!("http://{}/v2/", thief.host);
    let fake = Fake::start(move |_| Reply::new(307, b"").with("location", &target)).await;
    let (_folder, options) = ann_at(&fake.host);
    let error = text(&resolve(&format!("{}/shop:1", fake.host), &options).await.unwrap_err());
    assert!(error.contains("redirects to another server, which answered 401"), "{error}");
    assert!(thief.seen().iter().all(|seen| seen.authorization.is_none() && !seen.target.starts_with("/token")));
}

#[tokio::test]
async fn logins_and_redirects_without_tls_are_refused() {
    let fake = Fake::start(|_| unauthorized(r#"Bearer realm="http://tokens.example.com/t""#)).await;
    let (_folder, options) = ann_at(&fake.host);
    let error = text(&resolve(&format!("{}/shop:1", fake.host), &options).await.unwrap_err());
    assert!(error.contains("tokens.example.com is reached without TLS, so no login is sent there"), "{error}");
    let fake =
        Fake::start(|_| Reply::new(301, b"").with("location", "http://example.com/?sig=hunter2-of-gantry")).await;
    let error = fails(&fake, "shop").await;
    assert!(error.contains("redirects to example.com, which is not followed: that way is without TLS"), "{error}");
    let fake = Fake::start(|_| Reply::new(301, b"").with("location", "/again")).await;
    let error = fails(&fake, "shop").await;
    assert!(error.contains("redirected too often"), "{error}");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for status in [429, 500, 502, 503, 504] {
        let fake = Fake::start(move |seen| match seen.number {
            0 => Reply::new(status, b"").with("retry-after", "0"),
            1 => Reply::new(status, b""),
            _ => manifest(),
        })
        .await;
        assert_eq!(ask(&fake, "shop").await.unwrap().digest, sha256(MANIFEST), "{status}");
        assert_eq!(fake.seen().len(), 3);
    }
}

#[tokio::test]
async fn what_does_not_pass_is_given_up() {
    let fake = Fake::start(|_| Reply::new(503, b"")).await;
    let host = fake.host.clone();
    assert_eq!(
        fails(&fake, "shop").await,
        format!("{host} answered 503 4 times: it is overloaded or broken. Look at it, or try again later")
    );
    assert_eq!(fake.seen().len(), 4);
    let fake = Fake::start(|_| Reply::new(429, b"").with("retry-after", "3600")).await;
    let host = fake.host.clone();
    assert_eq!(
        fails(&fake, "shop").await,
        format!(
            "{host} answered 429 once: it limits how often it may be asked. Log in, which often raises the limit, or \
             try again in 3600 seconds, as it asks"
        )
    );
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn what_is_no_registry_is_told() {
    let large = vec![b' '; 4 * 1024 * 1024 + 1];
    let cases: [(Reply, &str); 7] = [
        (Reply::new(200, b"<html>Welcome</html>").with("content-type", "text/html"), "is no image manifest"),
        (Reply::new(404, b"<html>").with("content-type", "text/html; charset=utf-8"), "with a web page"),
        (Reply::new(200, br#"{"schemaVersion":1}"#), "Docker's first format"),
        (Reply::new(200, MANIFEST).with("docker-content-digest", "md5:x"), "is malformed"),
        (Reply::new(200, &large), "larger than 4 MiB"),
        (Reply::new(418, b""), "answered 418"),
        (unauthorized("Negotiate"), "no way to log in that Gantry knows"),
    ];
    for (reply, want) in cases {
        let fake = Fake::start(move |_| reply.clone()).await;
        let error = fails(&fake, "shop").await;
        assert!(error.contains(want) && error.contains("Check the registry's name and port"), "{error}");
    }
    let fake = Fake::start(|seen| match seen.target.starts_with("/token") {
        true => Reply::new(200, format!(r#"{{"token":{{"{SECRET}":1}}}}"#).as_bytes()),
        false => unauthorized(&format!(r#"Bearer realm="http://{}/token""#, seen.host)),
    })
    .await;
    let error = fails(&fake, "shop").await;
    assert!(error.contains("answered without a usable token"), "{error}");
}

#[tokio::test]
async fn nobody_there_nobody_answering_and_endless_answers_end() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let image = format!("{host}/shop:1");
    // It is accepted by the kernel, and nobody ever reads.
    let short = Options { request_timeout: Duration::from_millis(50), attempts: 2, ..quick() };
    let error = text(&resolve(&image, &short).await.unwrap_err());
    assert!(error.starts_with(&format!("cannot reach {host}: it did not answer within 0.05 seconds")), "{error}");
    let short = Options { deadline: Duration::from_millis(50), ..quick() };
    let error = text(&resolve(&image, &short).await.unwrap_err());
    assert!(error.contains("did not get `shop` resolved within 0.05 seconds"), "{error}");
    drop(listener);
    let error = text(&resolve(&image, &quick()).await.unwrap_err());
    assert_eq!(
        error,
        format!(
            "cannot reach {host}: the connection is refused. Start the registry, or correct its name and port in the reference"
        )
    );
    let error = text(&resolve("registry.invalid/shop:1", &quick()).await.unwrap_err());
    assert!(error.starts_with("cannot reach registry.invalid: its name cannot be looked up"), "{error}");
}

#[tokio::test]
async fn a_registry_elsewhere_is_spoken_to_by_tls_only() {
    // This machine under a name that is not one of its own by Docker's rule: the first bytes have to be TLS's.
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let first = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut start = [0_u8; 3];
        socket.read_exact(&mut start).await.unwrap();
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        start
    });
    let error = text(&resolve(&format!("0.0.0.0:{port}/shop:1"), &quick()).await.unwrap_err());
    assert!(error.contains("it does not speak TLS on this port"), "{error}");
    assert_eq!(first.await.unwrap()[..2], [0x16, 0x03]);
}

#[tokio::test]
async fn debians_registry_resolves_what_was_pushed() {
    let Some(registry) = DebianRegistry::start(None) else { return };
    let digest = registry.push("team/shop", "1.2", None).await;
    let host = &registry.host;
    let ask = async |image: &str| resolve(&format!("{host}/{image}"), &quick()).await;
    let got = ask("team/shop:1.2").await.unwrap();
    assert_eq!(
        got,
        Resolved { repository: format!("{host}/team/shop"), tag: Some("1.2".into()), digest: digest.clone() }
    );
    assert_eq!(ask(&format!("team/shop@{digest}")).await.unwrap().digest, digest);
    let error = text(&ask("team/shop:1.3").await.unwrap_err());
    assert!(error.contains("no image `team/shop` with the tag `1.3`"), "{error}");
    assert!(matches!(ask(&format!("team/shop@sha256:{}", "0".repeat(64))).await, Err(ResolveError::NotFound { .. })));
    assert!(matches!(ask("nobody/shop:1").await, Err(ResolveError::NotFound { .. })));
}

#[tokio::test]
async fn debians_registry_with_a_login() {
    // htpasswd's line for ann and the secret, by bcrypt.
    let line = "ann:$2b$04$abcdefghijklmnopqrstuudVnSpGDO726pMuDRwfEXZU8ORWWx0IK";
    let Some(registry) = DebianRegistry::start(Some(line)) else { return };
    let digest = registry.push("shop", "1", Some(BASIC)).await;
    let image = format!("{}/shop:1", registry.host);
    let (_folder, options) = ann_at(&registry.host);
    assert_eq!(resolve(&image, &options).await.unwrap().digest, digest);
    let (_folder, options) = login(&format!(r#"{{"auths":{{"{}":{{"auth":"YW5uOndyb25n"}}}}}}"#, registry.host));
    let error = text(&resolve(&image, &options).await.unwrap_err());
    assert!(error.contains("it refused the login from"), "{error}");
    let error = text(&resolve(&image, &quick()).await.unwrap_err());
    assert!(error.contains(&format!("Log in with `docker login {}`", registry.host)), "{error}");
}
