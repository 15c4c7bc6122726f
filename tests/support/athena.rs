//! Athena on loopback: one stand-in for all tests, in which each lake has a database and workgroups
//! of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use marketlake_entities::database;
use marketlake_lake::{AthenaEngine, AthenaOptions, AthenaPolicy, Lake};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::base::Base;
use super::s3;

/// It ends when this process does, which closes its standard input.
static STANDIN: OnceCell<(Child, String)> = OnceCell::const_new();

/// Its address.
pub async fn endpoint() -> &'static str {
    let begin = || async { tokio::task::spawn_blocking(begin).await.unwrap() };
    &STANDIN.get_or_init(begin).await.1
}

fn begin() -> (Child, String) {
    let python = std::env::var("MARKETLAKE_TEST_PYTHON")
        .expect("MARKETLAKE_TEST_PYTHON: run scripts/test, which installs duckdb and sqlglot");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/athena.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line.trim().to_owned())
}

/// Tells it something.
pub async fn control(what: &str, body: &Value) -> Value {
    let url = format!("{}/control/{what}", endpoint().await);
    let sent = reqwest::Client::new()
        .post(url)
        .body(body.to_string())
        .send();
    let answer = sent.await.unwrap().text().await.unwrap();
    serde_json::from_str(&answer).unwrap()
}

/// A lake's Athena.
pub struct Standin {
    pub options: AthenaOptions,
}

impl Standin {
    /// Stand-in with a number of workgroups that read a base's bucket.
    pub async fn of(base: &Base, workgroups: usize) -> Self {
        let name = Uuid::new_v4().simple().to_string();
        let names: Vec<String> = (0..workgroups).map(|at| format!("{name}-{at}")).collect();
        for workgroup in &names {
            let settings = json!({
                "name": workgroup,
                "endpoint": base.store.endpoint,
                "key": s3::ACCESS_KEY,
                "secret": s3::SECRET_KEY,
            });
            control("workgroup", &settings).await;
        }
        Self {
            options: AthenaOptions {
                workgroups: names,
                database: format!("lake_{name}"),
                endpoint: Some(endpoint().await.to_owned()),
                timeout: Duration::from_secs(30),
                ..AthenaOptions::default()
            },
        }
    }

    /// Has a lake use it, with its tables made.
    pub async fn connect(&self, lake: &Arc<Lake>) -> AthenaEngine {
        lake.connect_athena(self.options.clone(), AthenaPolicy::default())
            .unwrap();
        lake.set_up_athena().await.unwrap();
        lake.athena().unwrap()
    }

    /// Sets a workgroup's limits.
    pub async fn set(&self, workgroup: usize, name: &str, value: impl Into<Value>) {
        let workgroup = &self.options.workgroups[workgroup];
        control("workgroup", &json!({"name": workgroup, name: value.into()})).await;
    }

    /// Has a workgroup fail.
    pub async fn fault(&self, workgroup: usize, mut fault: Value) {
        fault["workgroup"] = json!(self.options.workgroups[workgroup]);
        control("fault", &fault).await;
    }

    /// The queries that a workgroup was told to run.
    pub async fn seen(&self, workgroup: usize) -> Vec<Value> {
        let of = json!({"workgroup": self.options.workgroups[workgroup]});
        let mut answer = control("seen", &of).await;
        serde_json::from_value(answer["queries"].take()).unwrap()
    }

    /// Result of external SQL, without the catalog.
    pub async fn query(&self, sql: &str) -> Value {
        let question = json!({
            "workgroup": self.options.workgroups[0],
            "QueryString": sql,
            "QueryExecutionContext": {"Database": self.options.database},
        });
        control("ask", &question).await
    }

    /// The settings that have the program use it.
    pub fn settings(&self) -> Vec<(String, String)> {
        let options = &self.options;
        vec![
            (
                "MARKETLAKE_ATHENA__WORKGROUPS".to_owned(),
                format!("{:?}", options.workgroups),
            ),
            (
                "MARKETLAKE_ATHENA__DATABASE".to_owned(),
                options.database.clone(),
            ),
            (
                "MARKETLAKE_ATHENA__ENDPOINT".to_owned(),
                options.endpoint.clone().unwrap_or_default(),
            ),
        ]
    }
}

/// Brings the manifests up to date.
pub async fn publish(lake: &Lake) -> usize {
    let now = database::clock(lake.database()).await.unwrap();
    lake.publish_manifests(now, false).await.unwrap()
}
