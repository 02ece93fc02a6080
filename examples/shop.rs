//! The sample that Gantry deploys: a small web shop over SQLite or PostgreSQL.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /health` | 200 when the database has the schema that this release needs, else 503 with the reason |
//! | `GET /products` | what is for sale |
//! | `POST /orders` `{sku, quantity}` | 201 with the order, `status` being `accepted` |
//! | `GET /orders/ID` | the order, also after a restart: orders live in the database |
//!
//! It reads two variables: `PORT`, on which it listens at 127.0.0.1, and `DATABASE_URL` (`sqlite://FILE`,
//! `postgres://…`). SIGTERM ends it after the requests that run. Every answer carries the header `Shop-Version`.
//!
//! Releases differ in *code*: `cargo rustc --example shop -- --cfg 'shop_release="2"'` builds another one. Release 2
//! keeps a note with an order and so needs migration 3; release 3 names the currency of a price and needs no more
//! schema than release 2. A build with `--cfg 'shop_fault="…"'` is broken on purpose, so that a deployment of it can be
//! seen to fail: `health` (never healthy), `orders` (healthy, but every order fails), `start` (exits at once) and
//! `crash` (exits when asked with `POST /crash`).

#![expect(clippy::print_stderr, reason = "a service's log is its standard error")]
#![expect(clippy::disallowed_methods, reason = "the shop is a program of its own: its settings are its environment")]

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use tokio::signal::unix::{SignalKind, signal};

/// Which release this is; set when it is built, never when it is started.
const RELEASE: u32 = if cfg!(shop_release = "3") {
    3
} else if cfg!(shop_release = "2") {
    2
} else {
    1
};

/// The schema version that this release needs; a newer one is fine, since migrations here only add.
const SCHEMA_NEEDED: usize = if RELEASE >= 2 { 3 } else { 2 };

/// What tells each schema version: a statement that the database understands from that version on. The shop looks for
/// the columns it uses rather than into the journal of whoever migrated.
const SCHEMA_PROBES: [&str; 3] = [
    "SELECT sku, name, price_cents FROM products WHERE 1 = 0",
    "SELECT id, sku, quantity, status FROM orders WHERE 1 = 0",
    "SELECT note FROM orders WHERE 1 = 0",
];

const SELECT_PRODUCTS: &str = "SELECT sku, name, price_cents FROM products ORDER BY sku";

const SELECT_ORDER: &str = if RELEASE >= 2 {
    "SELECT id, sku, quantity, status, note FROM orders WHERE id = $1"
} else {
    "SELECT id, sku, quantity, status, CAST(NULL AS TEXT) FROM orders WHERE id = $1"
};

// One statement finds the product and places the order, so that no transaction has to be held open between the two.
const INSERT_ORDER: &str = if RELEASE >= 2 {
    "INSERT INTO orders (id, sku, quantity, status, note)
     SELECT $1, sku, $2, 'accepted', $4 FROM products WHERE sku = $3"
} else {
    "INSERT INTO orders (id, sku, quantity, status) SELECT $1, sku, $2, 'accepted' FROM products WHERE sku = $3"
};

/// More of one product than anybody orders by intent.
const MAX_QUANTITY: i64 = 1_000;

/// A shop this small needs few connections; SQLite has one writer at a time anyway.
const MAX_CONNECTIONS: u32 = 4;

/// How long a request waits for the database before it says so: shorter than any probe's patience.
const DATABASE_PATIENCE: Duration = Duration::from_secs(3);

/// The exit code of a shop that is broken on purpose, to be told from a panic (101) and a signal.
const FAULT_EXIT: u8 = 3;

/// The database, by kind. Every statement above is understood by both.
#[derive(Debug)]
enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs one expression on the pool of whichever kind it is.
macro_rules! with_pool {
    ($database:expr, $pool:ident => $work:expr) => {
        match $database {
            Database::Sqlite($pool) => $work,
            Database::Postgres($pool) => $work,
        }
    };
}

impl Database {
    /// Opens by URL; connects when first asked, so that a database that is down shows in `/health`, not in a crash.
    fn open(url: &str) -> Result<Self, String> {
        let unusable = |e: sqlx::Error| format!("DATABASE_URL cannot be used: {e}");
        match url.split(':').next() {
            Some("sqlite") => {
                let options: SqliteConnectOptions = url.parse().map_err(unusable)?;
                let pool = SqlitePoolOptions::new()
                    .max_connections(MAX_CONNECTIONS)
                    .acquire_timeout(DATABASE_PATIENCE)
                    .connect_lazy_with(options.busy_timeout(DATABASE_PATIENCE));
                Ok(Self::Sqlite(pool))
            }
            Some("postgres" | "postgresql") => {
                let options: PgConnectOptions = url.parse().map_err(unusable)?;
                let pool = PgPoolOptions::new()
                    .max_connections(MAX_CONNECTIONS)
                    .acquire_timeout(DATABASE_PATIENCE)
                    .connect_lazy_with(options);
                Ok(Self::Postgres(pool))
            }
            // The URL may hold a password: it is not repeated.
            _ => Err("DATABASE_URL has to start with sqlite:// or postgres://".to_owned()),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// The newest schema version whose columns are there; 0 for an empty database.
    async fn schema(&self) -> Result<usize, sqlx::Error> {
        let mut found = 0;
        for probe in SCHEMA_PROBES {
            match with_pool!(self, pool => sqlx::query(probe).execute(pool).await.map(|_| ())) {
                Ok(()) => found += 1,
                // The database answered, and does not know the table or column.
                Err(sqlx::Error::Database(e)) if is_about_schema(e.code().as_deref()) => break,
                Err(e) => return Err(e),
            }
        }
        Ok(found)
    }

    async fn close(&self) {
        with_pool!(self, pool => pool.close().await);
    }
}

/// Whether an error code says that a table or column is missing: 1 is SQLite's SQLITE_ERROR, the others are
/// PostgreSQL's undefined_table and undefined_column.
fn is_about_schema(code: Option<&str>) -> bool {
    matches!(code, Some("1" | "42P01" | "42703"))
}

/// What every handler needs.
type Shop = State<Arc<Database>>;

/// A request that could not be served: an answer with a status and a sentence.
struct Refusal(StatusCode, String);

impl Refusal {
    fn new(status: StatusCode, reason: impl Display) -> Self {
        Self(status, reason.to_string())
    }

    /// The database failed; the details go to the log, not to the customer.
    fn database(error: &sqlx::Error) -> Self {
        eprintln!("shop: the database failed: {error}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the database could not serve this request; try again")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

async fn health(State(database): Shop) -> Response {
    let (status, body) = match judge(&database).await {
        Ok(schema) => (StatusCode::OK, json!({ "status": "ok", "release": RELEASE, "schema": schema })),
        Err(reason) => {
            eprintln!("shop: not healthy: {reason}");
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "failing", "release": RELEASE, "reason": reason }))
        }
    };
    (status, Json(body)).into_response()
}

/// The schema version found, or the sentence that says why this release cannot serve with it.
async fn judge(database: &Database) -> Result<usize, String> {
    if cfg!(shop_fault = "health") {
        return Err(format!("release {RELEASE} was built with the fault \"health\": it never becomes healthy"));
    }
    match database.schema().await {
        Ok(found) if found >= SCHEMA_NEEDED => Ok(found),
        Ok(found) => Err(format!(
            "release {RELEASE} needs schema version {SCHEMA_NEEDED} or newer, but the database has version {found}"
        )),
        Err(error) => Err(format!("the {} database cannot be asked: {error}", database.kind())),
    }
}

async fn products(State(database): Shop) -> Result<Json<Value>, Refusal> {
    let rows: Vec<(String, String, i64)> =
        with_pool!(&*database, pool => sqlx::query_as(SELECT_PRODUCTS).fetch_all(pool).await)
            .map_err(|e| Refusal::database(&e))?;
    Ok(Json(rows.into_iter().map(|(sku, name, price_cents)| product(&sku, &name, price_cents)).collect()))
}

fn product(sku: &str, name: &str, price_cents: i64) -> Value {
    let mut product = json!({ "sku": sku, "name": name, "price_cents": price_cents });
    if RELEASE >= 3 {
        product["currency"] = json!("EUR");
    }
    product
}

#[derive(Deserialize)]
struct NewOrder {
    sku: String,
    quantity: i64,
    /// Kept from release 2 on; earlier releases do not know it and leave it out.
    note: Option<String>,
}

// Takes the body as it comes: a customer who forgets to say that it is JSON still gets an order.
async fn place_order(State(database): Shop, body: Bytes) -> Result<Response, Refusal> {
    let new: NewOrder = serde_json::from_slice(&body)
        .map_err(|e| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, format!("that is no order: {e}")))?;
    if cfg!(shop_fault = "orders") {
        eprintln!("shop: the order for {} was lost: built with the fault \"orders\"", new.sku);
        let reason = format!("release {RELEASE} was built with the fault \"orders\": it takes none");
        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, reason));
    }
    if !(1..=MAX_QUANTITY).contains(&new.quantity) {
        let reason = format!("quantity has to be from 1 to {MAX_QUANTITY}, not {}", new.quantity);
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, reason));
    }
    let id = new_id().map_err(|e| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, e))?;
    let placed = with_pool!(&*database, pool => {
        let mut insert = sqlx::query(INSERT_ORDER).bind(&id).bind(new.quantity).bind(&new.sku);
        if RELEASE >= 2 {
            insert = insert.bind(&new.note);
        }
        insert.execute(pool).await.map(|done| done.rows_affected())
    })
    .map_err(|e| Refusal::database(&e))?;
    if placed == 0 {
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, format!("there is no product {:?}", new.sku)));
    }
    let order = order((id, new.sku, new.quantity, "accepted".to_owned(), new.note));
    Ok((StatusCode::CREATED, Json(order)).into_response())
}

async fn show_order(State(database): Shop, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    let found: Option<OrderRow> =
        with_pool!(&*database, pool => sqlx::query_as(SELECT_ORDER).bind(&id).fetch_optional(pool).await)
            .map_err(|e| Refusal::database(&e))?;
    let row = found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, format!("there is no order {id:?}")))?;
    Ok(Json(order(row)))
}

/// Identity, product, quantity, status, note.
type OrderRow = (String, String, i64, String, Option<String>);

fn order((id, sku, quantity, status, note): OrderRow) -> Value {
    let mut order = json!({ "id": id, "sku": sku, "quantity": quantity, "status": status });
    if RELEASE >= 2 {
        order["note"] = json!(note);
    }
    order
}

/// A random identity: one that nobody guesses, and that needs no sequence, which the two databases spell differently.
fn new_id() -> Result<String, getrandom::Error> {
    Ok(format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?))
}

fn router(database: Arc<Database>) -> Router {
    let mut router = Router::new()
        .route("/health", get(health))
        .route("/products", get(products))
        .route("/orders", post(place_order))
        .route("/orders/{id}", get(show_order));
    if cfg!(shop_fault = "crash") {
        router = router.route("/crash", post(crash));
    }
    router
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "there is nothing here") })
        .layer(axum::middleware::map_response(stamp))
        .with_state(database)
}

/// Ends the process in the middle of a request, as a bug would.
async fn crash() {
    eprintln!("shop: crashing: built with the fault \"crash\" and asked to");
    std::process::exit(i32::from(FAULT_EXIT));
}

async fn stamp(mut response: Response) -> Response {
    response.headers_mut().insert(HeaderName::from_static("shop-version"), HeaderValue::from(RELEASE));
    response
}

async fn serve() -> Result<(), String> {
    let port = setting("PORT")?;
    let port: u16 = port.parse().map_err(|e| format!("PORT is {port:?}, which is no port: {e}"))?;
    let database = Arc::new(Database::open(&setting("DATABASE_URL")?)?);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|e| format!("cannot listen on 127.0.0.1:{port}: {e}"))?;
    // Caught before the first request is taken: from then on a request in flight is always answered.
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| format!("cannot listen for SIGTERM: {e}"))?;
    let stopped = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        eprintln!("shop: stopping after the requests that run");
    };
    let address = listener.local_addr().map_err(|e| format!("cannot tell the port: {e}"))?;
    eprintln!("shop: release {RELEASE} listens on {address}, orders in {}", database.kind());
    axum::serve(listener, router(Arc::clone(&database)))
        .with_graceful_shutdown(stopped)
        .await
        .map_err(|e| format!("serving failed: {e}"))?;
    database.close().await;
    Ok(())
}

fn setting(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("the environment variable {name} is not set"))
}

#[tokio::main]
async fn main() -> ExitCode {
    if cfg!(shop_fault = "start") {
        eprintln!("shop: release {RELEASE} was built with the fault \"start\": it does not start");
        return ExitCode::from(FAULT_EXIT);
    }
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("shop: {reason}");
            ExitCode::FAILURE
        }
    }
}
