//! Migrations on real databases: SQLite files and a private PostgreSQL server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::support::postgres::{Postgres, query};
use gantry::migrate::{
    Database, DatabaseErrorKind, FailureClass, Found, Migration, Missing, Progress, Reverted, RunContext, State, apply,
    find, parse, pending, read, revert,
};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

fn ctx() -> RunContext {
    RunContext {
        run: "run-1".into(),
        statement_timeout: Duration::from_secs(20),
        lock_timeout: Duration::from_secs(10),
    }
}

fn migrations(files: &[(&str, &str)]) -> Vec<Migration> {
    parse(&files.iter().map(|(n, t)| ((*n).to_owned(), t.as_bytes().to_vec())).collect::<Vec<_>>()).unwrap()
}

fn one(text: &str) -> Migration {
    migrations(&[("0001_a.sql", text)]).remove(0)
}

/// A directory for a SQLite file.
struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn database(&self) -> Database {
        Database::parse("sqlite://test.db", self.0.path()).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("test.db")
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    async fn sql(&self, sql: &str) -> Vec<String> {
        let url = format!("sqlite://{}?mode=rwc", self.file().display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        rows.iter().map(|r| r.try_get_unchecked::<Option<String>, _>(0).unwrap().unwrap_or_default()).collect()
    }
}

fn pg(url: &str) -> Database {
    Database::parse(url, Path::new("/")).unwrap()
}

async fn walk_up_and_down(database: &Database) {
    let all = migrations(&[
        ("0001_a.up.sql", "CREATE TABLE a (x int);\nINSERT INTO a VALUES (1);"),
        ("0001_a.down.sql", "DROP TABLE a;"),
        ("0002_b.up.sql", "ALTER TABLE a ADD COLUMN y int;"),
        ("0002_b.down.sql", "ALTER TABLE a DROP COLUMN y;"),
        ("0003_c.sql", "UPDATE a SET y = 2;"),
    ]);
    let journal = read(database).await.unwrap();
    assert_eq!(journal.applied, vec![]);
    for next in pending(&all, &journal, Missing::Refuse).unwrap() {
        let done = apply(database, next.migration, &ctx()).await.unwrap();
        assert!(!done.already);
        assert!(apply(database, next.migration, &ctx()).await.unwrap().already);
    }
    let journal = read(database).await.unwrap();
    assert_eq!(journal.version(), Some(3));
    assert_eq!(pending(&all, &journal, Missing::Refuse).unwrap(), vec![]);
    let first = journal.get(1).unwrap();
    assert_eq!(
        (first.down.as_deref(), first.run.as_str(), first.statements.len()),
        (Some("DROP TABLE a;"), "run-1", 2)
    );

    let no_way = revert(database, 3, &ctx()).await.unwrap_err();
    assert_eq!(
        (no_way.class, no_way.to_string().as_str()),
        (FailureClass::Rejected, "0003_c.sql was applied without a way back")
    );
    let order = revert(database, 2, &ctx()).await.unwrap_err();
    assert_eq!(order.to_string(), "0002_b.up.sql cannot be taken back before 0003_c.sql, which came after it");
}

async fn take_back(database: &Database) {
    let all = migrations(&[
        ("0001_a.up.sql", "CREATE TABLE a (x int);"),
        ("0001_a.down.sql", "DROP TABLE a;"),
        ("0002_b.up.sql", "CREATE TABLE b (x int);"),
        ("0002_b.down.sql", "DROP TABLE b;"),
    ]);
    for migration in &all {
        apply(database, migration, &ctx()).await.unwrap();
    }
    for migration in all.iter().rev() {
        assert!(matches!(revert(database, migration.version, &ctx()).await.unwrap(), Reverted::Done(_)));
        assert_eq!(revert(database, migration.version, &ctx()).await.unwrap(), Reverted::NotApplied);
    }
    assert_eq!(read(database).await.unwrap().applied, vec![]);
    for migration in &all {
        assert!(!apply(database, migration, &ctx()).await.unwrap().already);
    }
}

#[tokio::test]
async fn up_and_down_on_sqlite() {
    let dir = Dir::new();
    walk_up_and_down(&dir.database()).await;
    assert_eq!(dir.sql("SELECT CAST(y AS TEXT) FROM a").await, vec!["2"]);
    take_back(&Dir::new().database()).await;
}

#[tokio::test]
async fn up_and_down_on_postgres() {
    let url = Postgres::shared().database().await;
    walk_up_and_down(&pg(&url)).await;
    assert_eq!(query(&url, "SELECT y::text FROM a").await, vec!["2"]);
    take_back(&pg(&Postgres::shared().database().await)).await;
}

async fn a_failure_leaves_nothing(database: &Database) {
    let bad = one("CREATE TABLE a (x int);\n\nINSERT INTO a\n  (y)\nVALUES (1);");
    let error = apply(database, &bad, &ctx()).await.unwrap_err();
    assert_eq!((error.class, error.transient), (FailureClass::Rejected, false));
    let statement = error.statement.clone().unwrap();
    assert_eq!(
        (statement.file.as_str(), statement.excerpt.as_str()),
        ("0001_a.sql", "INSERT INTO a\n  (y)\nVALUES (1)")
    );
    assert_eq!(read(database).await.unwrap().applied, vec![]);
    assert!(!apply(database, &one("CREATE TABLE a (x int)"), &ctx()).await.unwrap().already);
}

#[tokio::test]
async fn a_failed_statement_is_named_and_nothing_of_the_file_stays() {
    a_failure_leaves_nothing(&Dir::new().database()).await;
    let url = Postgres::shared().database().await;
    a_failure_leaves_nothing(&pg(&url)).await;

    let database = pg(&Postgres::shared().database().await);
    let bad = one("SELECT 1;\nSELECT 'é',\n  FORM x y;\n");
    let error = apply(&database, &bad, &ctx()).await.unwrap_err();
    assert_eq!(error.to_string(), "0001_a.sql:3: syntax error at or near \"y\"");
    let bad = one("CREATE TABLE a (x int);\nINSERT INTO a\n VALUES\n (1, 2);");
    let error = apply(&Dir::new().database(), &bad, &ctx()).await.unwrap_err();
    assert_eq!(error.to_string(), "0001_a.sql:2: table a has 1 columns but 2 values were supplied");
    let error = apply(&Dir::new().database(), &one("CREATE TABLE a\n (x int)\n WITHIN;"), &ctx()).await.unwrap_err();
    assert_eq!(error.to_string(), "0001_a.sql:3: unknown table option: WITHIN");
    let error = apply(&Dir::new().database(), &one("SELECT 1\n FORM x y;"), &ctx()).await.unwrap_err();
    assert_eq!(error.to_string(), "0001_a.sql:2: near \"x\": syntax error");
}

#[tokio::test]
async fn a_constraint_at_the_commit_is_a_rejection() {
    let url = Postgres::shared().database().await;
    let text = "CREATE TABLE a (x int PRIMARY KEY);\nCREATE TABLE b (x int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n\
                INSERT INTO b VALUES (1);";
    let error = apply(&pg(&url), &one(text), &ctx()).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Rejected);
    assert!(error.message.contains("violates foreign key"), "{error}");
    assert_eq!(find(&pg(&url), 1, &one(text).checksum, &ctx()).await.unwrap(), Found::NotApplied);

    // SQLite: the references are checked before the commit, and a rebuilt parent deletes no child.
    let dir = Dir::new();
    dir.sql("CREATE TABLE a (x int PRIMARY KEY); CREATE TABLE b (x int REFERENCES a (x) ON DELETE CASCADE); INSERT INTO a VALUES (1); \
             INSERT INTO b VALUES (1);")
        .await;
    let rebuild = "CREATE TABLE n (x int PRIMARY KEY, y int); INSERT INTO n SELECT x, 0 FROM a; DROP TABLE a; \
                   ALTER TABLE n RENAME TO a;";
    apply(&dir.database(), &one(rebuild), &ctx()).await.unwrap();
    assert_eq!(dir.sql("SELECT CAST(count(*) AS TEXT) FROM b").await, vec!["1"]);
    let second = migrations(&[("0002_b.sql", "DELETE FROM a")]).remove(0);
    let error = apply(&dir.database(), &second, &ctx()).await.unwrap_err();
    assert_eq!(error.message, "0002_b.sql leaves 1 references without their row: row 1 of b refers to a");
    assert_eq!(dir.sql("SELECT CAST(count(*) AS TEXT) FROM a").await, vec!["1"]);
}

/// What a process leaves that is killed within a transaction which has reached the file: pages of it, and the journal that takes
/// them back.
#[tokio::test]
async fn a_database_whose_writer_was_killed_is_read_as_it_was_before() {
    let (dir, left) = (Dir::new(), Dir::new());
    let migration = one("CREATE TABLE a (n INTEGER, t TEXT);");
    apply(&dir.database(), &migration, &ctx()).await.unwrap();
    let url = format!("sqlite://{}", dir.0.path().join("test.db").display());
    let mut writer = sqlx::SqliteConnection::connect(&url).await.unwrap();
    for sql in [
        "PRAGMA cache_size = 1",
        "BEGIN IMMEDIATE",
        "DELETE FROM gantry_migrations",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000) INSERT INTO a SELECT n, hex(zeroblob(200)) FROM c",
    ] {
        sqlx::query(sql).execute(&mut writer).await.unwrap();
    }
    for name in ["test.db", "test.db-journal"] {
        std::fs::copy(dir.0.path().join(name), left.0.path().join(name)).unwrap();
    }
    drop(writer);
    assert!(std::fs::metadata(left.0.path().join("test.db-journal")).unwrap().len() > 0, "the journal is hot");
    let versions: Vec<u64> = read(&left.database()).await.unwrap().applied.iter().map(|a| a.version).collect();
    assert_eq!(versions, [1]);
    assert!(matches!(find(&left.database(), 1, &migration.checksum, &ctx()).await.unwrap(), Found::Applied(_)));
    assert_eq!(left.sql("SELECT CAST(count(*) AS TEXT) FROM a").await, vec!["0"]);
}

#[tokio::test]
async fn reading_changes_nothing() {
    let dir = Dir::new();
    assert_eq!(read(&dir.database()).await.unwrap().applied, vec![]);
    assert_eq!(find(&dir.database(), 1, "x", &ctx()).await.unwrap(), Found::NotApplied);
    assert_eq!(revert(&dir.database(), 1, &ctx()).await.unwrap(), Reverted::NotApplied);
    assert_eq!(dir.names(), Vec::<String>::new());

    dir.sql("PRAGMA journal_mode = WAL; CREATE TABLE a (x int)").await;
    apply(&dir.database(), &one("CREATE TABLE b (x int)"), &ctx()).await.unwrap();
    let before = (std::fs::read(dir.file()).unwrap(), dir.names());
    assert_eq!(read(&dir.database()).await.unwrap().version(), Some(1));
    assert_eq!((std::fs::read(dir.file()).unwrap(), dir.names()), before);
    assert_eq!(before.1, vec!["test.db"]);

    let url = Postgres::shared().database().await;
    assert_eq!(read(&pg(&url)).await.unwrap().applied, vec![]);
    assert_eq!(
        query(&url, "SELECT relname::text FROM pg_class WHERE relname LIKE 'gantry%'").await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn a_writer_that_is_at_work_does_not_keep_readers_out() {
    let dir = Dir::new();
    apply(&dir.database(), &one("CREATE TABLE a (x int)"), &ctx()).await.unwrap();
    dir.sql("PRAGMA journal_mode = WAL").await;
    let url = format!("sqlite://{}", dir.file().display());
    let mut writer = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE; INSERT INTO a VALUES (1)").execute(&mut writer).await.unwrap();
    assert_eq!(read(&dir.database()).await.unwrap().version(), Some(1));
    let impatient = RunContext { lock_timeout: Duration::from_millis(50), ..ctx() };
    let second = migrations(&[("0002_b.sql", "SELECT 1")]).remove(0);
    let error = apply(&dir.database(), &second, &impatient).await.unwrap_err();
    assert_eq!((error.class, error.transient), (FailureClass::NotSent, true), "{error}");
}

#[tokio::test]
async fn many_at_once_apply_it_once() {
    let dir = Dir::new();
    let url = Postgres::shared().database().await;
    for database in [dir.database(), pg(&url)] {
        let mut at_work = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let database = database.clone();
            at_work
                .spawn(async move { apply(&database, &one("CREATE TABLE a (x int)"), &ctx()).await.unwrap().already });
        }
        let already = at_work.join_all().await;
        assert_eq!(already.iter().filter(|a| !**a).count(), 1, "{database}");
    }
}

#[tokio::test]
async fn a_slow_statement_is_stopped() {
    let hasty = RunContext { statement_timeout: Duration::from_millis(200), ..ctx() };
    let url = Postgres::shared().database().await;
    let error = apply(&pg(&url), &one("SELECT 1;\nSELECT pg_sleep(60);"), &hasty).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Rejected);
    assert!(error.to_string().starts_with("0001_a.sql:2: the statement was stopped after 0.2 s"), "{error}");
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n;";
    let error = apply(&Dir::new().database(), &one(endless), &hasty).await.unwrap_err();
    assert!(error.to_string().starts_with("0001_a.sql:1: the statement was stopped after 0.2 s"), "{error}");
}

#[tokio::test]
async fn find_waits_for_a_transaction_whose_client_died() {
    let url = Postgres::shared().database().await;
    let slow = one("CREATE TABLE a (x int); SELECT pg_sleep(1);");
    let database = pg(&url);
    let task = tokio::spawn({
        let (database, slow) = (database.clone(), slow.clone());
        async move { apply(&database, &slow, &ctx()).await }
    });
    // The server is at work as soon as it sleeps; then the client goes away without a word.
    let sleeping =
        "SELECT 'x' FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()";
    while query(&url, sleeping).await.is_empty() {
        tokio::task::yield_now().await;
    }
    task.abort();
    let _ = task.await;
    let impatient = RunContext { lock_timeout: Duration::from_millis(100), ..ctx() };
    let early = find(&database, 1, &slow.checksum, &impatient).await.unwrap_err();
    assert_eq!((early.class, early.transient), (FailureClass::NotSent, true));
    assert_eq!(find(&database, 1, &slow.checksum, &ctx()).await.unwrap(), Found::NotApplied);
    assert!(!apply(&database, &slow, &ctx()).await.unwrap().already);
    assert!(matches!(find(&database, 1, &slow.checksum, &ctx()).await.unwrap(), Found::Applied(_)));
    assert!(matches!(find(&database, 1, "other", &ctx()).await.unwrap(), Found::Differs(_)));
}

const HEADER: &str = "-- gantry:no-transaction\n";

#[tokio::test]
async fn statements_of_their_own_resume_behind_what_took_effect() {
    let dir = Dir::new();
    let url = Postgres::shared().database().await;
    for database in [dir.database(), pg(&url)] {
        let text = |third: &str| {
            one(&format!(
                "{HEADER}CREATE TABLE a (x int);\nBEGIN; INSERT INTO a VALUES (1); INSERT INTO a VALUES (2); COMMIT;\n{third};"
            ))
        };
        let error = apply(&database, &text("INSERT INTO b VALUES (3)"), &ctx()).await.unwrap_err();
        assert_eq!(error.progress, Some(Progress { committed: 5, total: 6 }), "{error}");
        assert_eq!(error.statement.unwrap().line, 4);
        let journal = read(&database).await.unwrap();
        assert_eq!(journal.get(1).unwrap().state, State::InProgress { started: 5, committed: 5 });
        assert_eq!(journal.version(), None);
        let mended = text("INSERT INTO a VALUES (3)");
        let all = [mended.clone()];
        assert_eq!(pending(&all, &journal, Missing::Refuse).unwrap()[0].resumes_after, Some(5));
        assert!(matches!(find(&database, 1, &mended.checksum, &ctx()).await.unwrap(), Found::Differs(_)));
        assert!(!apply(&database, &mended, &ctx()).await.unwrap().already);
        assert!(apply(&database, &mended, &ctx()).await.unwrap().already);
        assert!(matches!(find(&database, 1, &mended.checksum, &ctx()).await.unwrap(), Found::Applied(_)));
    }
    assert_eq!(dir.sql("SELECT CAST(sum(x) AS TEXT) FROM a").await, vec!["6"]);
    assert_eq!(query(&url, "SELECT sum(x)::text FROM a").await, vec!["6"]);
}

#[tokio::test]
async fn an_index_that_was_cut_off_is_built_again() {
    let url = Postgres::shared().database().await;
    query(&url, "CREATE TABLE a (x int); INSERT INTO a VALUES (1), (1)").await;
    let index = one(&format!("{HEADER}CREATE UNIQUE INDEX CONCURRENTLY a_x ON a (x);\nALTER TYPE mood ADD VALUE 'b';"));
    query(&url, "CREATE TYPE mood AS ENUM ('a')").await;
    let error = apply(&pg(&url), &index, &ctx()).await.unwrap_err();
    assert_eq!(error.progress, Some(Progress { committed: 0, total: 2 }), "{error}");
    assert_eq!(read(&pg(&url)).await.unwrap().get(1).unwrap().state, State::InProgress { started: 1, committed: 0 });
    let valid = "SELECT indisvalid::text FROM pg_index WHERE indexrelid = 'a_x'::regclass";
    assert_eq!(query(&url, valid).await, vec!["false"]);
    query(&url, "DELETE FROM a").await;
    apply(&pg(&url), &index, &ctx()).await.unwrap();
    assert_eq!(query(&url, valid).await, vec!["true"]);
}

#[tokio::test]
async fn what_nothing_tells_about_is_left_to_a_person() {
    let dir = Dir::new();
    let database = dir.database();
    let text = |detach: &str| one(&format!("{HEADER}ATTACH ':memory:' AS other;\n{detach};\nCREATE TABLE a (x int);"));
    apply(&database, &text("DETACH nothing"), &ctx()).await.unwrap_err();
    let error = apply(&database, &text("DETACH nothing"), &ctx()).await.unwrap_err();
    assert_eq!((error.class, error.statement.unwrap().line), (FailureClass::Unknown, 3));
    apply(&database, &text("DETACH other"), &ctx()).await.unwrap();
}

#[tokio::test]
async fn the_password_is_in_no_error() {
    let url = Postgres::shared().database().await;
    let secret = "s3cret-word";
    let bad = one(&format!("SELECT 1 FROM \"{secret}\";"));
    let mut texts = vec![format!("{:?}", apply(&pg(&url), &bad, &ctx()).await.unwrap_err())];
    let missing = pg(&Postgres::shared().url("nowhere"));
    let error = read(&missing).await.unwrap_err();
    assert_eq!(error.kind, DatabaseErrorKind::Missing);
    assert!(error.hint.contains("createdb"));
    texts.push(format!("{error:?} {missing:?}"));
    texts.push(format!("{:?}", apply(&missing, &bad, &ctx()).await.unwrap_err()));
    let down = Database::parse(&format!("postgres://me:{secret}@127.0.0.1:1/x"), Path::new("/")).unwrap();
    let error = apply(&down, &bad, &ctx()).await.unwrap_err();
    assert_eq!((error.class, error.transient), (FailureClass::NotSent, true));
    texts.push(format!("{error:?} {error}"));
    for text in texts {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_an_error_with_the_next_step() {
    let dir = Dir::new();
    let lost = Database::parse("sqlite://no/such/test.db", dir.0.path()).unwrap();
    let error = apply(&lost, &one("SELECT 1"), &ctx()).await.unwrap_err();
    assert_eq!(error.class, FailureClass::NotSent);
    assert!(error.hint.starts_with("Create it: mkdir -p "), "{error:?}");
    std::fs::write(
        dir.file(),
        "this is no database, but it is long enough to be taken for the header of one: ".repeat(9),
    )
    .unwrap();
    let error = read(&dir.database()).await.unwrap_err();
    assert_eq!(error.kind, DatabaseErrorKind::Failed);
    assert!(error.hint.contains("no SQLite database"), "{error:?}");
}

#[tokio::test]
async fn a_migration_may_change_the_search_path() {
    let url = Postgres::shared().database().await;
    let text = "CREATE SCHEMA s; SELECT pg_catalog.set_config('search_path', '', false); CREATE TABLE s.a (x int);";
    apply(&pg(&url), &one(text), &ctx()).await.unwrap();
    assert_eq!(read(&pg(&url)).await.unwrap().version(), Some(1));
}

#[tokio::test]
async fn a_server_that_dies_leaves_nothing_half_done() {
    let server = Postgres::start();
    let url = server.database().await;
    let database = pg(&url);
    let slow = one("CREATE TABLE a (x int); SELECT pg_sleep(60);");
    let task = tokio::spawn(async move { apply(&database, &slow, &ctx()).await });
    while query(&url, "SELECT 'x' FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'").await.is_empty() {
        tokio::task::yield_now().await;
    }
    server.kill();
    let error = task.await.unwrap().unwrap_err();
    assert_eq!((error.class, error.transient), (FailureClass::Rejected, true), "{error:?}");
}

/// Stands between a client and the server, and hangs up as soon as the client says `COMMIT`, before or after passing it on.
async fn cutting_proxy(url: &str, pass_on: bool) -> (tempfile::TempDir, Database) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (socket, name) = url.rsplit_once('@').unwrap().1.split_once('/').unwrap();
    let real = format!("{}/.s.PGSQL.5432", socket.replace("%2F", "/"));
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = tokio::net::UnixStream::connect(real).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut answers = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        let mut buffer = vec![0; 65536];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            let commit = buffer[..read].windows(7).any(|w| w == b"COMMIT\0");
            if commit {
                answers.abort();
                let _ = (&mut answers).await;
            }
            if !commit || pass_on {
                to_server.write_all(&buffer[..read]).await.unwrap();
            }
            if commit {
                break;
            }
        }
    });
    let url = format!("postgres://tester@{}/{name}", dir.path().display().to_string().replace('/', "%2F"));
    let database = pg(&url);
    (dir, database)
}

#[tokio::test]
async fn a_commit_without_an_answer_is_unknown_and_can_be_found_out() {
    for pass_on in [true, false] {
        let url = Postgres::shared().database().await;
        let (_dir, cut) = cutting_proxy(&url, pass_on).await;
        let migration = one("CREATE TABLE a (x int)");
        let error = apply(&cut, &migration, &ctx()).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Unknown, "{error}");
        let found = find(&pg(&url), 1, &migration.checksum, &ctx()).await.unwrap();
        assert_eq!(matches!(found, Found::Applied(_)), pass_on, "{found:?}");
        assert_eq!(apply(&pg(&url), &migration, &ctx()).await.unwrap().already, pass_on);
    }
}

#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_password_is_in_no_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("the log works");
    let url = Postgres::shared().database().await;
    for url in [url.clone(), format!("{url}?application_name=s3cret-word"), format!("{url}?odd=s3cret-word")] {
        if let Ok(database) = Database::parse(&url, Path::new("/")) {
            let _ = apply(&database, &one("SELECT 1; SELECT nonsense;"), &ctx()).await;
            let _ = read(&database).await;
        }
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("the log works"));
    assert!(!log.contains("s3cret-word"), "{log}");
}
