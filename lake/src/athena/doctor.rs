//! Diagnosis of Athena: tries each workgroup with each table once; scans nothing, costs nothing.

use std::time::Instant;

use super::client::AthenaClient;
use super::error::AthenaError;
use super::query::{Failure, fatal};
use super::statement::Statement;
use crate::lake::Lake;
use crate::storage::diagnostic::{Diagnostic, Severity};

impl AthenaClient {
    async fn diagnose(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        for workgroup in &self.options.workgroups {
            found.push(match self.try_workgroup(workgroup).await {
                Ok(()) => Diagnostic::new(
                    "workgroup",
                    Severity::Good,
                    format!("{workgroup} answers, and sees samples, rollups and prices"),
                ),
                Err(error) => {
                    Diagnostic::new("workgroup", Severity::Bad, format!("{workgroup}: {error}"))
                }
            });
        }
        found
    }

    async fn try_workgroup(&self, workgroup: &str) -> Result<(), AthenaError> {
        for statement in super::setup::probes()? {
            let tried = self.try_statement(workgroup, &statement).await;
            tried.map_err(|failure| match failure {
                Failure::Call(error) => fatal(error, self.options.timeout),
                Failure::Retryable(error) | Failure::Final(error) => error,
            })?;
        }
        Ok(())
    }

    async fn try_statement(&self, workgroup: &str, statement: &Statement) -> Result<(), Failure> {
        let deadline = Instant::now() + self.options.timeout;
        let outcome = self.context.run(workgroup, statement, deadline).await?;
        self.fetch(outcome.ended?).await?;
        Ok(())
    }
}

impl Lake {
    /// Diagnoses whether Athena answers and sees the committed data; empty where it is not
    /// connected.
    pub async fn diagnose_athena(&self) -> Vec<Diagnostic> {
        let Some(athena) = self.athena() else {
            return Vec::new();
        };
        let mut found = athena.client().diagnose().await;
        found.push(match self.manifests().behind().await {
            Ok(0) => Diagnostic::new("manifests", Severity::Good, "list what is committed"),
            Ok(days) => Diagnostic::new(
                "manifests",
                Severity::Warning,
                format!(
                    "the manifests of {days} days are older than the catalog: does a \
                    scheduler run? `marketlake athena publish` writes them now"
                ),
            ),
            Err(error) => Diagnostic::new("manifests", Severity::Bad, error.to_string()),
        });
        found
    }
}
