//! `marketlake rules`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use marketlake_alerts::detection::rule_spec;

use super::Usage;
use crate::output;

/// Tests rules.
#[derive(Args)]
pub(super) struct Rules {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Subcommand)]
enum RulesCommand {
    /// Runs rule tests: samples and the alerts that are expected. Fails if one does not pass.
    ///
    /// Example: marketlake rules test my-rules.yaml
    Test {
        /// YAML files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

impl Rules {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let RulesCommand::Test { files } = self.command;
        let (mut passed, mut failed) = (0, 0);
        for file in files {
            let shown = file.display();
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Usage(format!("{shown}: {error}")))?;
            let tested =
                rule_spec::run(&text).map_err(|error| Usage(format!("{shown}: {error}")))?;
            for test in tested {
                if test.differences.is_empty() {
                    passed += 1;
                    output::line(&format!("ok      {}", test.name))?;
                    continue;
                }
                failed += 1;
                output::line(&format!("FAILED  {}", test.name))?;
                for difference in test.differences {
                    output::line(&format!("          {difference}"))?;
                }
            }
        }
        output::line(&format!("rules: {passed} passed, {failed} failed"))?;
        Ok(ExitCode::from(u8::from(failed > 0)))
    }
}
