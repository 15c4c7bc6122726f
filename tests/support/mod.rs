//! Test support: real databases, real stores, a mail server, exchanges, and the program itself.

pub mod alerting;
pub mod athena;
pub mod base;
pub mod client;
pub mod dump;
pub mod exchange;
pub mod faulty;
pub mod hook;
pub mod loopback;
pub mod mailbox;
pub mod moto;
pub mod nginx;
pub mod postgres;
pub mod program;
pub mod provider;
pub mod proxy;
pub mod recordings;
pub mod rest_exchange;
pub mod s3;
pub mod samples;
pub mod skew;
pub mod stream_exchange;
pub mod stream_server;
pub mod wire;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use marketlake_lake::CheckOptions;

/// Sizes and footers.
pub const SHALLOW: CheckOptions = CheckOptions {
    deep: false,
    repair: false,
};
/// Every row.
pub const DEEP: CheckOptions = CheckOptions {
    deep: true,
    repair: false,
};

/// Time limit of anything that should happen soon.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Polls until `probe` says how much is done that is all; fails the test when nothing more gets
/// done for as long as one thing may take.
pub async fn until_all<T: PartialEq + Debug>(
    what: &str,
    all: T,
    mut probe: impl AsyncFnMut() -> T,
) {
    let mut done = probe().await;
    while done != all {
        let waited_for = format!("{what}: more than {done:?} of {all:?}");
        done = eventually(&waited_for, async || {
            let now = probe().await;
            (now != done).then_some(now)
        })
        .await;
    }
}

/// Polls until `probe` gives something; fails the test, saying what for, when it never does.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "waited {} s in vain for {what}",
            TIMEOUT.as_secs()
        );
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
