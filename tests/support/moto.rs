//! moto: AWS' services as others understand them, on loopback. Keys are not checked.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tokio::sync::OnceCell;
use uuid::Uuid;

/// It ends when its standard input does: with its holder, or with this process.
const SERVER: &str = "
import os, sys, threading
from moto.server import main
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
main(['-H', '127.0.0.1', '-p', '0'])
";

/// Ends with its holder.
pub struct Moto {
    child: Child,
    pub endpoint: String,
}

impl Moto {
    /// One with a bucket `lake`.
    pub async fn start() -> Self {
        let python = std::env::var("MARKETLAKE_TEST_PYTHON")
            .expect("MARKETLAKE_TEST_PYTHON: run scripts/test, which installs moto");
        let mut child = Command::new(python)
            .args(["-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let endpoint = tokio::task::spawn_blocking(move || {
            let mut lines = lines.map_while(Result::ok);
            let found = lines.find_map(|line| Some(line.split_once("Running on ")?.1.to_owned()));
            // Its further output is read and dropped.
            std::thread::spawn(move || lines.for_each(drop));
            found.expect("moto runs")
        });
        let moto = Self {
            child,
            endpoint: endpoint.await.unwrap().trim().to_owned(),
        };
        moto.put("lake", "").await;
        moto
    }

    /// A bucket of one's own on one that all share.
    pub async fn shared_bucket() -> (String, String) {
        static SHARED: OnceCell<Moto> = OnceCell::const_new();
        let moto = SHARED.get_or_init(Self::start).await;
        let bucket = format!("lake-{}", Uuid::new_v4().simple());
        moto.put(&bucket, "").await;
        (moto.endpoint.clone(), bucket)
    }

    /// Puts something: a bucket, or one of its parts.
    pub async fn put(&self, path: &str, body: &str) {
        let put = reqwest::Client::new().put(format!("{}/{path}", self.endpoint));
        let answer = put.body(body.to_owned()).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {answer:?}");
    }

    /// The settings that have the program use it.
    pub fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("MARKETLAKE_STORE__URL", "s3://lake/some/prefix".to_owned()),
            ("MARKETLAKE_STORE__ENDPOINT", self.endpoint.clone()),
            ("MARKETLAKE_STORE__REGION", "us-east-1".to_owned()),
            ("MARKETLAKE_STORE__ACCESS_KEY_ID", "testing1".to_owned()),
            ("MARKETLAKE_STORE__SECRET_ACCESS_KEY", "testing".to_owned()),
        ]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
