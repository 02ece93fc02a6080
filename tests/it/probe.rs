//! Probes against real servers and real commands.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use gantry::ports::clock::SystemClock;
use gantry::probe::{
    Attempt, CommandProbe, Context, Expect, HttpProbe, Judge, MAX_EXCERPT, Probe, Secrets, Verdict, judge,
};
use serde_json::json;
use tokio::net::TcpListener;

const MS: Duration = Duration::from_millis(1);

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// An address that nobody listens at: it was free a moment ago, and is kept from others by not being handed out again soon.
async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

fn context() -> Context {
    Context { address: "health_check.shop".into(), phase: "prove".into(), run: "r1".into(), ..Context::default() }
}

async fn ask(probe: &Probe, how: &Judge) -> Verdict {
    judge(probe, how, &context(), &SystemClock, &mut |_| {}).await
}

async fn once(probe: &Probe) -> Verdict {
    ask(probe, &Judge::smoke_test()).await
}

fn quick() -> Judge {
    Judge {
        interval: Some(20 * MS),
        timeout: 400 * MS,
        attempt_timeout: Duration::from_secs(5),
        ..Judge::health_check()
    }
}

#[tokio::test]
async fn an_answer_is_compared_with_what_was_expected() {
    let router =
        Router::new().route("/health", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "migrating") })).route(
            "/orders",
            any(|method: axum::http::Method, headers: HeaderMap, body: String| async move {
                let order: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
                let mark = headers["gantry-check"].to_str().unwrap().to_owned();
                let kind = headers["content-type"].to_str().unwrap().to_owned();
                let said = json!({"method": method.as_str(), "sku": order["sku"], "mark": mark, "type": kind});
                (StatusCode::CREATED, [("x-version", "2")], said.to_string())
            }),
        );
    let address = serve(router).await;
    let bad = once(&Probe::Http(HttpProbe::get(format!("http://{address}/health")))).await;
    assert_eq!(
        (bad.passed, bad.sentence),
        (false, format!("GET http://{address}/health answered 503 instead of 200 (body: \"migrating\")"))
    );
    assert_eq!((bad.count, bad.attempts[0].status, bad.attempts[0].body.as_deref()), (1, Some(503), Some("migrating")));

    let order = |version: &str| {
        Probe::Http(HttpProbe {
            method: "post".into(),
            body: Some(json!({"sku": "A1"}).to_string()),
            expect: Expect {
                status: BTreeSet::from([201]),
                headers: vec![("X-Version".into(), version.into())],
                json: vec![
                    ("$.method".into(), json!("POST")),
                    ("$.sku".into(), json!("A1")),
                    ("$.mark".into(), json!("health_check.shop prove r1")),
                    ("$.type".into(), json!("application/json")),
                ],
                latency: Some(Duration::from_secs(10)),
                ..Expect::default()
            },
            ..HttpProbe::get(format!("http://{address}/orders"))
        })
    };
    let good = once(&order("2")).await;
    assert!(good.passed, "{}", good.sentence);
    assert!(good.sentence.starts_with(&format!("POST http://{address}/orders answered 201 in ")), "{}", good.sentence);
    let old = once(&order("3")).await;
    assert_eq!(old.sentence, format!("POST http://{address}/orders has the header X-Version \"2\" instead of \"3\""));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let hits = Arc::new(AtomicU32::new(0));
    let router = Router::new()
        .route("/", get(|| async { axum::response::Redirect::temporary("/login") }))
        .route(
            "/login",
            get(|State(hits): State<Arc<AtomicU32>>| async move { hits.fetch_add(1, Ordering::SeqCst).to_string() }),
        )
        .with_state(Arc::clone(&hits));
    let address = serve(router).await;
    let verdict = once(&Probe::Http(HttpProbe::get(format!("http://{address}/")))).await;
    assert_eq!(verdict.sentence, format!("GET http://{address}/ answered 307 to /login instead of 200 (no body)"));
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nobody_there_and_nobody_answering_are_told_apart() {
    let closed = nobody().await;
    let refused = once(&Probe::Http(HttpProbe::get(format!("http://{closed}/x")))).await;
    assert_eq!(refused.sentence, format!("GET http://{closed}/x: connection refused by {closed}"));
    let refused = once(&Probe::Tcp { address: closed.clone() }).await;
    assert_eq!(refused.sentence, format!("connection refused by {closed}"));

    // One that takes connections and says nothing, and one that hangs up.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let taken = once(&Probe::Tcp { address: address.clone() }).await;
    assert_eq!((taken.passed, taken.sentence), (true, format!("{address} takes connections")));
    let hasty = Judge { timeout: 150 * MS, ..Judge::smoke_test() };
    for (probe, subject) in [
        (Probe::Http(HttpProbe::get(format!("http://{address}/"))), format!("GET http://{address}/")),
        (Probe::Grpc { address: address.clone(), service: String::new() }, format!("the gRPC server {address}")),
    ] {
        let verdict = ask(&probe, &hasty).await;
        assert!(!verdict.passed);
        assert!(verdict.sentence.starts_with(&format!("{subject} gave no answer within 1")), "{}", verdict.sentence);
    }
    tokio::spawn(async move {
        loop {
            drop(silent.accept().await);
        }
    });
    let verdict = once(&Probe::Http(HttpProbe::get(format!("http://{address}/")))).await;
    let ends = ["closed the connection without a whole answer", "connection reset by"];
    assert!(ends.iter().any(|e| verdict.sentence.contains(e)), "{}", verdict.sentence);
    let lost = once(&Probe::Http(HttpProbe::get("http://no-such-host.invalid/"))).await;
    assert!(lost.sentence.contains("the name of no-such-host.invalid:80 cannot be resolved"), "{}", lost.sentence);
}

/// A server that answers by a script, one status per request, the last one for ever; it counts its connections.
async fn scripted(script: &'static [u16]) -> (String, Arc<AtomicU32>) {
    let connections = Arc::new(AtomicU32::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let count = Arc::clone(&connections);
    let asked = Arc::new(AtomicU32::new(0));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let asked = Arc::clone(&asked);
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |_| {
                    let at = asked.fetch_add(1, Ordering::SeqCst) as usize;
                    let status = StatusCode::from_u16(*script.get(at).or(script.last()).unwrap()).unwrap();
                    async move { Ok::<_, std::convert::Infallible>((status, format!("answer {at}")).into_response()) }
                });
                let io = hyper_util::rt::TokioIo::new(stream);
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn successes_count_in_a_row_and_each_attempt_connects_anew() {
    let (address, connections) = scripted(&[503, 200, 503, 200, 200]).await;
    let probe = Probe::Http(HttpProbe::get(format!("http://{address}/")));
    let mut heard = Vec::new();
    let how = Judge { success_threshold: 2, timeout: Duration::from_secs(20), ..quick() };
    let verdict = judge(&probe, &how, &context(), &SystemClock, &mut |a: &Attempt| heard.push(a.ok)).await;
    assert!(verdict.passed);
    assert_eq!(heard, vec![false, true, false, true, true]);
    assert_eq!((verdict.count, connections.load(Ordering::SeqCst)), (5, 5));
    assert!(verdict.sentence.starts_with("passed after 5 attempts in "), "{}", verdict.sentence);
}

#[tokio::test]
async fn a_deadline_ends_it_with_the_last_reason() {
    let (address, _) = scripted(&[503]).await;
    let probe = Probe::Http(HttpProbe::get(format!("http://{address}/")));
    let verdict = ask(&probe, &quick()).await;
    assert!(!verdict.passed);
    assert!(verdict.count >= 2, "{}", verdict.count);
    let expected =
        format!("did not pass within 400 ms ({} attempts), last: GET http://{address}/ answered 503 ", verdict.count);
    assert!(verdict.sentence.starts_with(&expected), "{}", verdict.sentence);
    assert!(verdict.elapsed >= 400 * MS && verdict.elapsed < Duration::from_secs(20));

    let twice = Judge { failure_threshold: Some(2), ..quick() };
    let verdict = ask(&probe, &twice).await;
    assert_eq!((verdict.passed, verdict.count), (false, 2));
    assert!(verdict.sentence.starts_with("failed after 2 attempts in "), "{}", verdict.sentence);
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let router = Router::new().route("/", get(|| async { (StatusCode::BAD_GATEWAY, "é".repeat(3 << 20)) }));
    let address = serve(router).await;
    let probe = Probe::Http(HttpProbe::get(format!("http://{address}/")));
    let how = Judge {
        interval: Some(MS),
        failure_threshold: Some(30),
        timeout: Duration::from_secs(60),
        ..Judge::health_check()
    };
    let verdict = ask(&probe, &how).await;
    assert_eq!((verdict.count, verdict.attempts.len()), (30, 20));
    assert!(verdict.attempts.windows(2).all(|w| w[0].at_offset < w[1].at_offset));
    assert!(verdict.attempts.iter().all(|a| a.body.as_ref().unwrap().len() <= MAX_EXCERPT));
    assert!(verdict.sentence.len() < 2000, "{}", verdict.sentence.len());
}

#[tokio::test]
async fn a_secret_is_in_nothing_that_is_said() {
    let router = Router::new().route(
        "/",
        any(|headers: HeaderMap, uri: axum::http::Uri| async move {
            let seen = format!("{uri} {:?}", headers.get("authorization"));
            (StatusCode::UNAUTHORIZED, [("x-echo", seen.clone()), ("set-cookie", "sid=42".into())], seen)
        }),
    );
    let address = serve(router).await;
    let secret = "hunter2/&word";
    let probe = Probe::Http(HttpProbe {
        headers: vec![("authorization".into(), format!("Bearer {secret}"))],
        ..HttpProbe::get(format!("http://user:hunter2%2F&word@{address}/?token=hunter2%2F%26word"))
    });
    let context = Context { secrets: Secrets::new([secret]), ..context() };
    let verdict = judge(&probe, &Judge::smoke_test(), &context, &SystemClock, &mut |_| {}).await;
    let text = format!("{verdict:?} {probe:?} {context:?}");
    assert!(text.contains("(sensitive)") && text.contains("401"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("sid=42"), "{text}");
}

fn command(script: &str) -> Probe {
    Probe::Command(CommandProbe {
        argv: ["sh", "-c", script].map(str::to_owned).into(),
        working_directory: None,
        environment: vec![("TOKEN".into(), "hunter2-word".into())],
        timeout: None,
    })
}

#[tokio::test]
async fn a_command_is_judged_by_its_exit() {
    let good = once(&command("test \"$GANTRY_CHECK\" = 'health_check.shop prove r1'")).await;
    assert_eq!((good.passed, good.sentence.as_str()), (true, "the command sh exited with 0"));
    let bad = once(&command("echo fine; echo 'no orders' >&2; exit 4")).await;
    assert_eq!(bad.sentence, "the command sh exited with 4 instead of 0 (stderr: \"no orders\")");
    let attempt = &bad.attempts[0];
    assert_eq!(
        (attempt.status, attempt.body.as_deref(), attempt.stderr.as_deref()),
        (Some(4), Some("fine\n"), Some("no orders\n"))
    );
    let killed = once(&command("kill -9 $$")).await;
    assert_eq!(killed.sentence, "the command sh was ended by signal 9");

    let hasty = Judge { timeout: 200 * MS, ..Judge::smoke_test() };
    let slow = ask(&command("echo begun; sleep 1000"), &hasty).await;
    assert!(slow.sentence.contains("was killed (stdout: \"begun\")"), "{}", slow.sentence);

    let lost = Probe::Command(CommandProbe {
        argv: vec!["no-such-program-of-gantry".into()],
        working_directory: None,
        environment: vec![],
        timeout: None,
    });
    assert_eq!(
        once(&lost).await.sentence,
        "the command no-such-program-of-gantry cannot be run: there is no program no-such-program-of-gantry on the PATH"
    );
    let context = Context { secrets: Secrets::new(["hunter2-word"]), ..context() };
    let loud = command("echo $TOKEN; echo x$TOKEN >&2; false");
    let loud = judge(&loud, &Judge::smoke_test(), &context, &SystemClock, &mut |_| {}).await;
    assert!(!format!("{loud:?}").contains("hunter2"), "{loud:?}");
    assert_eq!(loud.sentence, "the command sh exited with 1 instead of 0 (stderr: \"x(sensitive)\")");
}

#[tokio::test]
async fn grpc_health_is_asked_by_service() {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("shop", tonic_health::ServingStatus::NotServing).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    let probe = |service: &str| Probe::Grpc { address: address.clone(), service: service.into() };

    let good = once(&probe("")).await;
    assert_eq!((good.passed, good.sentence), (true, format!("the gRPC server {address} is SERVING")));
    let bad = once(&probe("shop")).await;
    assert_eq!(bad.sentence, format!("the gRPC service shop of {address} is NOT_SERVING instead of SERVING"));
    let unknown = once(&probe("other")).await;
    assert_eq!(unknown.sentence, format!("the gRPC service other of {address} is not known there"));
    let nobody = nobody().await;
    let refused = once(&Probe::Grpc { address: nobody.clone(), service: String::new() }).await;
    assert_eq!(refused.sentence, format!("the gRPC server {nobody}: connection refused by {nobody}"));
    reporter.set_service_status("shop", tonic_health::ServingStatus::Serving).await;
    assert!(once(&probe("shop")).await.passed);
}

#[test]
fn what_cannot_work_is_said_before_it_is_asked() {
    let http = Probe::Http(HttpProbe {
        method: "GE T".into(),
        headers: vec![("a b".into(), "x".into()), ("c".into(), "y\n".into())],
        expect: Expect {
            status: BTreeSet::from([99]),
            body_matches: Some("(".into()),
            json: vec![("status".into(), json!(1))],
            ..Expect::default()
        },
        ..HttpProbe::get("ftp://x/")
    });
    let wrong = http.check();
    assert_eq!(
        wrong[..5],
        [
            "\"GE T\" is no HTTP method",
            "its URL starts with \"ftp\" instead of http:// or https://",
            "\"a b\" is no name of a header",
            "the header c has a value that cannot be sent",
            "99 is no HTTP status",
        ]
    );
    assert_eq!(wrong.len(), 7, "{wrong:?}");
    for (probe, wrong) in [
        (Probe::Tcp { address: "localhost".into() }, "\"localhost\" is no address of the form host:port"),
        (
            Probe::Grpc { address: "ftp://h:1".into(), service: String::new() },
            "\"ftp://h:1\" starts with neither http:// nor https://",
        ),
    ] {
        assert_eq!(probe.check(), vec![wrong]);
    }
    assert_eq!(Probe::Http(HttpProbe::get("https://shop.example/health")).check(), Vec::<String>::new());
}
