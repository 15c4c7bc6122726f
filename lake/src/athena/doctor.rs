//! Tries each workgroup with each table, once; nothing is read, and nothing is paid for.

use std::time::Instant;

use super::client::AthenaClient;
use super::error::AthenaError;
use super::query::{Failure, fatal};
use super::statement::Statement;
use crate::lake::Lake;
use crate::storage::diagnostic::{Finding, Health};

impl AthenaClient {
    async fn examine(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for workgroup in &self.options.workgroups {
            found.push(match self.try_workgroup(workgroup).await {
                Ok(()) => Finding::new(
                    "workgroup",
                    Health::Good,
                    format!("{workgroup} answers, and sees samples, rollups and prices"),
                ),
                Err(error) => {
                    Finding::new("workgroup", Health::Bad, format!("{workgroup}: {error}"))
                }
            });
        }
        found
    }

    async fn try_workgroup(&self, workgroup: &str) -> Result<(), AthenaError> {
        for statement in super::setup::probes()? {
            let tried = self.try_statement(workgroup, &statement).await;
            tried.map_err(|failure| match failure {
                Failure::Call(trouble) => fatal(trouble, self.options.patience),
                Failure::Retryable(error) | Failure::Final(error) => error,
            })?;
        }
        Ok(())
    }

    async fn try_statement(&self, workgroup: &str, statement: &Statement) -> Result<(), Failure> {
        let deadline = Instant::now() + self.options.patience;
        let outcome = self.terms.run(workgroup, statement, deadline).await?;
        self.fetch(outcome.ended?).await?;
        Ok(())
    }
}

impl Lake {
    /// Looks whether Athena can be asked, and sees what is committed; nothing where it is not connected.
    pub async fn examine_athena(&self) -> Vec<Finding> {
        let Some(athena) = self.athena() else {
            return Vec::new();
        };
        let mut found = athena.client().examine().await;
        found.push(match self.manifests().behind().await {
            Ok(0) => Finding::new("manifests", Health::Good, "list what is committed"),
            Ok(days) => Finding::new(
                "manifests",
                Health::Warning,
                format!("{days} days are behind what is committed, for others' SQL: does a scheduler run? `marketlake athena publish` writes them now"),
            ),
            Err(error) => Finding::new("manifests", Health::Bad, error.to_string()),
        });
        found
    }
}
