//! Athena: its statements, the objects it sees, and its faults.

mod faults;
mod queries;
mod readers;
mod shell;

use std::sync::Arc;

use marketlake_lake::{AthenaEngine, Lake};
use marketlake_model::Sample;

use crate::lake::{compact_all, ingest};
use crate::support::athena::Standin;
use crate::support::base::Base;
use crate::support::samples::series;

/// A lake in S3 with two metrics, and its Athena.
struct Fixture {
    base: Base,
    lake: Arc<Lake>,
    standin: Standin,
    athena: AthenaEngine,
}

impl Fixture {
    /// With a number of workgroups.
    async fn new(workgroups: usize) -> Self {
        Self::with(workgroups, |_| ()).await
    }

    async fn with(workgroups: usize, change: impl FnOnce(&mut Standin)) -> Self {
        let base = Base::remote().await;
        let lake = base.lake().await;
        ingest(&lake, &samples()).await;
        compact_all(&lake).await;
        let mut standin = Standin::of(&base, workgroups).await;
        change(&mut standin);
        let athena = standin.connect(&lake).await;
        Self {
            base,
            lake,
            standin,
            athena,
        }
    }
}

fn samples() -> Vec<Sample> {
    let mut samples = series("a:one", 0, &["1.5", "2.5", "3.5"]);
    samples.extend(series("b:two", 0, &["7", "8"]));
    samples
}
