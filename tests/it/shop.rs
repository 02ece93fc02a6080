//! The sample is what it says it is: without this, a failed deployment of it would prove nothing about Gantry.

use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection, SqliteConnection};

use super::support::postgres::Postgres;
use super::support::{Sandbox, http, shop_variant};

/// A running shop; killed when dropped.
struct Shop {
    port: u16,
    child: Child,
}

impl Shop {
    fn start(sandbox: &Sandbox, variant: &str, port_name: &str, database: &str) -> Self {
        let port = sandbox.port(port_name);
        let mut command = Command::new(shop_variant(variant));
        command.env_clear().env("PORT", port.to_string()).env("DATABASE_URL", database).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the shop is a program");
        let mut log = std::io::BufReader::new(child.stderr.take().expect("it was piped"));
        let mut line = String::new();
        // Its first line comes when it listens, or says why it does not.
        std::io::BufRead::read_line(&mut log, &mut line).expect("the log is text");
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        assert!(line.contains("listens"), "{line}");
        Self { port, child }
    }

    fn get(&self, path: &str) -> http::Answer {
        http::get(self.port, path).expect("the shop answers")
    }

    fn post(&self, path: &str, body: &str) -> http::Answer {
        http::post(self.port, path, body).expect("the shop answers")
    }

    fn order(&self, note: &str) -> String {
        let answer = self.post("/orders", &json!({ "sku": "A1", "quantity": 2, "note": note }).to_string());
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.json()["status"], "accepted");
        answer.json()["id"].as_str().expect("an order has an id").to_owned()
    }

    fn terminate(mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child has a pid");
        kill_process(pid, Signal::TERM).expect("the shop runs");
        self.child.wait().expect("it is our child")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The text of a migration, by its number and direction.
fn sql(number: &str, direction: &str) -> sqlx::AssertSqlSafe<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
    let entries = std::fs::read_dir(folder).expect("the sample has migrations");
    let mut paths = entries.map(|entry| entry.expect("the folder is readable").path());
    let wanted = |p: &std::path::PathBuf| {
        let name = p.file_name().expect("an entry has a name").to_string_lossy();
        name.starts_with(number) && name.ends_with(&format!(".{direction}.sql"))
    };
    let path = paths.find(wanted).unwrap_or_else(|| panic!("no migration {number} {direction}"));
    sqlx::AssertSqlSafe(std::fs::read_to_string(path).expect("SQL is text"))
}

/// Walks the schema up and down again below two releases that run all the time.
macro_rules! walk_the_schema {
    ($sandbox:expr, $url:expr, $connection:expr) => {{
        let (one, two) = (Shop::start($sandbox, "v1", "port_one", $url), Shop::start($sandbox, "v2", "port_two", $url));
        let healthy = |one_is: u16, two_is: u16| {
            assert_eq!((one.get("/health").status, two.get("/health").status), (one_is, two_is));
        };
        healthy(503, 503);
        $connection.execute(sql("0001", "up")).await.expect("0001 up");
        healthy(503, 503);
        $connection.execute(sql("0002", "up")).await.expect("0002 up");
        healthy(200, 503);
        let reason = two.get("/health").json()["reason"].as_str().expect("a reason").to_owned();
        assert_eq!(reason, "release 2 needs schema version 3 or newer, but the database has version 2");
        let early = one.order("not kept");
        $connection.execute(sql("0003", "up")).await.expect("0003 up");
        healthy(200, 200);
        let late = two.order("ring twice");
        assert_eq!(two.get(&format!("/orders/{late}")).json()["note"], "ring twice");
        assert_eq!(two.get(&format!("/orders/{early}")).json()["note"], json!(null));
        assert_eq!(one.get(&format!("/orders/{late}")).json().get("note"), None);
        $connection.execute(sql("0003", "down")).await.expect("0003 down");
        healthy(200, 503);
        assert!(one.terminate().success(), "SIGTERM is an orderly end");
        let again = Shop::start($sandbox, "v1", "port_one", $url);
        assert_eq!(again.get(&format!("/orders/{early}")).json()["quantity"], 2);
        $connection.execute(sql("0002", "down")).await.expect("0002 down");
        $connection.execute(sql("0001", "down")).await.expect("0001 down");
        assert_eq!(again.get("/health").status, 503);
    }};
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_and_releases_fit_on_sqlite() {
    let sandbox = Sandbox::new();
    let url = format!("sqlite://{}/shop.db", sandbox.project().display());
    let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.expect("SQLite makes the file");
    walk_the_schema!(&sandbox, &url, connection);
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_and_releases_fit_on_postgres() {
    let sandbox = Sandbox::new();
    let url = Postgres::shared().database().await;
    let mut connection = PgConnection::connect(&url).await.expect("the server is up");
    walk_the_schema!(&sandbox, &url, connection);
}

async fn migrated(sandbox: &Sandbox) -> String {
    let url = format!("sqlite://{}/shop.db", sandbox.project().display());
    let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.expect("SQLite makes the file");
    for number in ["0001", "0002", "0003"] {
        connection.execute(sql(number, "up")).await.expect("the migration applies");
    }
    connection.close().await.expect("it closes");
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_differ_in_what_they_answer() {
    let sandbox = Sandbox::new();
    let url = migrated(&sandbox).await;
    for (variant, version, currency) in [("v1", "1", json!(null)), ("v2", "2", json!(null)), ("v3", "3", json!("EUR"))]
    {
        let shop = Shop::start(&sandbox, variant, variant, &url);
        let products = shop.get("/products");
        assert_eq!(products.header("shop-version"), Some(version));
        assert_eq!(products.json()[0]["sku"], "A1");
        assert_eq!(products.json()[0]["currency"], currency);
        assert_eq!(shop.get("/health").json()["release"].to_string(), version);
        assert_eq!(shop.get("/nowhere").header("shop-version"), Some(version));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_that_make_no_sense_are_refused() {
    let sandbox = Sandbox::new();
    let shop = Shop::start(&sandbox, "v1", "port", &migrated(&sandbox).await);
    for body in
        [r#"{"sku":"ZZ","quantity":1}"#, r#"{"sku":"A1","quantity":0}"#, r#"{"sku":"A1","quantity":1001}"#, "{", ""]
    {
        let answer = shop.post("/orders", body);
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        assert!(answer.json()["error"].is_string());
    }
    assert_eq!(shop.get("/orders/none").status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_as_they_are_called() {
    let sandbox = Sandbox::new();
    let url = migrated(&sandbox).await;
    let health = Shop::start(&sandbox, "v2-health", "port_health", &url);
    assert_eq!((health.get("/health").status, health.get("/products").status), (503, 200));
    let orders = Shop::start(&sandbox, "v2-orders", "port_orders", &url);
    assert_eq!(
        (orders.get("/health").status, orders.post("/orders", r#"{"sku":"A1","quantity":1}"#).status),
        (200, 500)
    );
    let mut crash = Shop::start(&sandbox, "v2-crash", "port_crash", &url);
    assert!(http::post(crash.port, "/crash", "").is_err());
    assert_eq!(crash.child.wait().expect("it is our child").code(), Some(3));
    let start = Command::new(shop_variant("v2-start")).env_clear().output().expect("the shop is a program");
    assert_eq!(start.status.code(), Some(3));
    assert_eq!(orders.post("/crash", "").status, 404, "only the variant that is for it can be crashed");
}
