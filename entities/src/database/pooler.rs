//! Connection poolers between this process and Postgres, like `PgBouncer`.
//!
//! Statements are prepared by name, once a connection. A pooler in session mode keeps a server
//! connection for each of ours. In transaction mode it hands another one out for each transaction:
//! names then meet those of other clients, unless the pooler keeps them apart (`PgBouncer` from
//! version 1.21 on, with `max_prepared_statements`).

use std::time::Duration;

use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row};
use sea_orm::{DatabaseConnection, DbBackend};
use tokio::time::timeout;

/// Timeout of the whole check.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A pooler may happen to hand out what hides its mode.
const ROUNDS: usize = 4;
/// `SQLSTATE` of a prepared statement that is there already, and of one that is not.
const OTHERS_STATEMENT: [&str; 2] = ["42P05", "26000"];

/// Messages of `PgBouncer` while its server is down, has no room, or was down a moment ago: all
/// have the one `SQLSTATE` 08P01.
const WAITING_FOR_SERVER: [&str; 7] = [
    "server_login_retry",
    "server down",
    "server conn crashed",
    "query_wait_timeout",
    "no more connections allowed",
    "cannot connect",
    "server login failed: FATAL the database system is",
];

/// Whether a pooler's message is about a server that may be back soon.
pub(super) fn waits_for_server(message: &str) -> bool {
    WAITING_FOR_SERVER.iter().any(|text| message.contains(text))
}

/// Checks that prepared statements last as long as their connection.
///
/// # Errors
/// A sentence that names the setting that helps, where they do not.
pub async fn check_pooler(database: &DatabaseConnection) -> Result<(), String> {
    if database.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let connect = database.get_postgres_connection_pool().connect_options();
    let checked = timeout(TIMEOUT, async {
        let mut first = connect.connect().await?;
        let mut second = connect.connect().await?;
        let checked = keeps_apart(&mut first, &mut second).await;
        let _ = first.close().await;
        let _ = second.close().await;
        checked
    })
    .await;
    match checked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if is_others_statement(&error) => Err(format!(
            "a connection pooler in transaction mode loses prepared statements \
             ({error}): set pool_mode = session for this database in PgBouncer, or use PgBouncer \
             1.21 or later with max_prepared_statements = 200, or connect to Postgres directly"
        )),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!(
            "two connections at once do not answer within {} s: a connection pooler between, with \
             fewer server connections (default_pool_size) than this process needs, makes them wait",
            TIMEOUT.as_secs()
        )),
    }
}

/// Has two clients prepare different statements under the same name, on the server connection
/// that a pooler would hand out to both.
async fn keeps_apart(first: &mut PgConnection, second: &mut PgConnection) -> sqlx::Result<()> {
    for round in 0..ROUNDS {
        let ours = format!("select $1::int8 + {round}");
        let theirs = format!("select $1::int8 - {round}");
        number(first, &ours).await?;
        second.execute("begin").await?;
        number(second, &theirs).await?;
        number(first, &ours).await?;
        second.execute("rollback").await?;
    }
    Ok(())
}

async fn number(connection: &mut PgConnection, sql: &str) -> sqlx::Result<i64> {
    let query = sqlx::query(AssertSqlSafe(sql.to_owned())).bind(1_i64);
    query.fetch_one(connection).await?.try_get(0)
}

fn is_others_statement(error: &sqlx::Error) -> bool {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| OTHERS_STATEMENT.contains(&code.as_ref()))
}
