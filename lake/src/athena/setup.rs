//! Setup of Athena's tables by statements that change nothing where they exist.

use marketlake_model::Minute;
use object_store::path::Path;

use super::client::AthenaClient;
use super::error::AthenaError;
use super::statement::{Statement, Values, without_comments};
use crate::storage::paths;

const SETUP: &str = include_str!("setup.sql");

/// The table of samples.
pub(crate) const SAMPLES: &str = "samples";
/// The table of rollups.
pub(crate) const ROLLUPS: &str = "rollups";

/// Statements of data definition, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ddl(Vec<String>);

impl Ddl {
    /// The database, its two tables and the view, for a lake whose store's address is
    /// `s3://bucket/prefix`.
    #[must_use]
    pub fn new(database: &str, store: &str) -> Self {
        let folder = |table| {
            format!(
                "{}/{}/",
                store.trim_end_matches('/'),
                paths::athena_table(table)
            )
        };
        let text: String = without_comments(SETUP)
            .flat_map(|line| [line, "\n"])
            .collect();
        let text = text
            .replace("$database", database)
            .replace("$samples", &folder(SAMPLES))
            .replace("$rollups", &folder(ROLLUPS));
        let statements = text.split("\n;\n").map(|part| part.trim().to_owned());
        Self(statements.collect())
    }

    /// Each statement.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl std::fmt::Display for Ddl {
    /// As a script.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for statement in self.statements() {
            writeln!(f, "{statement};\n")?;
        }
        Ok(())
    }
}

/// One question to each table, to which nothing is read: none has so old a sample.
pub(super) fn probes() -> Result<Vec<Statement>, AthenaError> {
    let day = Values::default().text("day", &Minute::from_number(0).date());
    let probes = [SAMPLES, ROLLUPS, "prices"].map(|table| {
        let sql = format!("select count(*) as n from {table} where dt = $day");
        Statement::new(&sql, &day).map_err(AthenaError::Unexpected)
    });
    probes.into_iter().collect()
}

impl AthenaClient {
    /// Makes the database, its tables and the view where they are missing, and queries each once.
    pub(crate) async fn set_up(&self) -> Result<(), AthenaError> {
        let store = self.bucket.uri(&Path::default());
        for sql in Ddl::new(&self.options.database, &store).0 {
            let parameters = Vec::new();
            self.execute(&Statement { sql, parameters }).await?;
        }
        for statement in probes()? {
            self.query(&statement).await?;
        }
        Ok(())
    }
}
