//! What is said when a store cannot be used, and what to do about it.

use super::server::{Fault, Server};
use super::*;

async fn said(settings: S3Settings, given: Option<Credentials>) -> (String, String) {
    let cache = tempfile::tempdir().unwrap();
    let backend = S3Backend::with(settings, BlobCache::new(cache.path()), QUICK, PART, given);
    let error = backend.read(1).await.unwrap_err();
    let text = format!("{error} {error:?} {} {backend:?}", error.hint());
    assert!(!text.contains(server::SECRET_KEY) && !text.contains("canary"), "{text}");
    (error.to_string(), error.hint())
}

#[tokio::test]
async fn each_way_to_be_refused_says_what_to_do() {
    let server = Server::start().await;
    let good = settings(&server.endpoint, "p");
    let at = format!("the ledger in s3://ledgers/p at {} cannot be read: ", server.endpoint);
    let elsewhere = S3Settings { region: Some("us-east-2".to_owned()), ..good.clone() };
    let (error, hint) = said(elsewhere, Some(keys())).await;
    assert_eq!(error, format!("{at}the bucket is in the region eu-test-1"));
    assert_eq!(hint, "set `region = \"eu-test-1\"` in the block `state`");
    let (error, hint) = said(S3Settings { bucket: "nobodys".to_owned(), ..good.clone() }, Some(keys())).await;
    assert!(error.ends_with("there is no such bucket"), "{error}");
    assert!(hint.contains("`bucket`, `region` and the account"), "{hint}");
    let wrong = Credentials::new(server::ACCESS_KEY, "canary-wrong", None, None, "test");
    let (error, _) = said(good.clone(), Some(wrong)).await;
    assert!(
        error.starts_with(&format!("{at}the store does not accept the AWS credentials (403 SignatureDoesNotMatch"))
    );
    server.state().denied = vec!["GET"];
    let (error, hint) = said(good.clone(), Some(keys())).await;
    assert!(error.contains("the AWS credentials do not allow s3:"), "{error}");
    assert!(hint.contains("docs/state-s3.md"), "{hint}");
    server.state().denied.clear();
    for (status, code, says) in [
        (400, "ExpiredToken", "the AWS credentials have expired"),
        (403, "RequestTimeTooSkewed", "the clock of this machine and the store's differ"),
        (503, "SlowDown", "the store answered 503 SlowDown said by the test's store to s3:"),
        (400, "MalformedXML", "the store answered 400 MalformedXML"),
    ] {
        server.state().refuses = Some((status, code));
        let (error, hint) = said(good.clone(), Some(keys())).await;
        assert!(error.starts_with(&format!("{at}{says}")) && !hint.is_empty(), "{error}");
    }
    server.state().refuses = None;
    // Credentials that ran out meanwhile are fetched anew, once.
    server.next("GET", "marker.json", Fault::Answer(400, "ExpiredToken"));
    let cache = tempfile::tempdir().unwrap();
    let backend = S3Backend::with(good.clone(), BlobCache::new(cache.path()), QUICK, PART, Some(keys()));
    assert!(backend.read(1).await.unwrap().is_none());
    let endpoint = server.endpoint.clone();
    drop(server);
    let (error, hint) = said(settings(&endpoint, "p"), Some(keys())).await;
    assert!(error.starts_with(&format!("{at}the store cannot be reached (")), "{error}");
    assert!(hint.contains("endpoint"), "{hint}");
}

#[test]
fn settings_that_cannot_be_right_are_told_before_anything_is_asked() {
    let good = settings("http://127.0.0.1:1", "a/b");
    assert_eq!(good.wrong(), None);
    assert_eq!(good.place(), "s3://ledgers/a/b at http://127.0.0.1:1");
    assert_eq!(S3Settings { endpoint: None, ..good.clone() }.wrong(), None);
    for (argument, bad) in [
        ("bucket", S3Settings { bucket: "a".to_owned(), ..good.clone() }),
        ("bucket", S3Settings { bucket: "a/b/c".to_owned(), ..good.clone() }),
        ("bucket", S3Settings { bucket: "a b c".to_owned(), ..good.clone() }),
        ("prefix", S3Settings { prefix: "a//b".to_owned(), ..good.clone() }),
        ("prefix", S3Settings { prefix: "../b".to_owned(), ..good.clone() }),
        ("prefix", S3Settings { prefix: "a\nb".to_owned(), ..good.clone() }),
        ("endpoint", S3Settings { endpoint: Some("http://u:canary@h".to_owned()), ..good.clone() }),
        ("endpoint", S3Settings { endpoint: Some("h:9000".to_owned()), ..good.clone() }),
    ] {
        let (named, text) = bad.wrong().unwrap();
        assert_eq!(named, argument, "{text}");
        assert!(!text.contains("canary") && !bad.place().contains("canary"), "{text}");
    }
}
