//! docs/lake.md's examples, run against a real lake.

use std::path::Path;
use std::process::Command;

use super::{compact_days, ingest};
use crate::support::base::Base;
use crate::support::program::Program;
use crate::support::samples::{sample, series};

const PAGE: &str = include_str!("../../docs/lake.md");
/// Expected result of each example: in the order of metrics, the newest value.
const NEWEST: &str = "assert [(m, round(v, 9)) for m, v in newest] == [('a:one', 0.06076), \
    ('b:two', 12.5), ('c:large', 123456.75)], newest\nprint(len(files), 'files')";

/// The page's Python blocks, each with the heading line before it.
fn blocks() -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("```python\n") {
        let (code, behind) = after.split_once("```").unwrap();
        let title = before.trim().lines().last().unwrap_or_default();
        blocks.push((title.to_owned(), code.to_owned()));
        rest = behind;
    }
    blocks
}

fn python(folder: &Path, code: &str) -> String {
    let python = std::env::var("MARKETLAKE_TEST_PYTHON").expect("run scripts/test, which makes it");
    let output = Command::new(python)
        .args(["-c", code])
        .current_dir(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}\n{code}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_page_reads_the_lake() {
    let base = Base::local().await;
    // The program's default path.
    let data = base.path().join("data");
    let program = Program::bare().with("MARKETLAKE_DATA", data.display());
    program.ok(&["migrate"]).await;
    let lake = base.lake_in(&data).await;
    let mut samples = series("a:one", 0, &["1", "2", "0.06076"]);
    samples.extend(series("b:two", 1, &["7", "12.50"]));
    ingest(&lake, &samples).await;
    compact_days(&lake).await;
    // A day's segment, and raw ones of the next day; retired ones lie beside them.
    ingest(
        &lake,
        &[
            sample("c:large", 1_440, "3"),
            sample("c:large", 1_441, "123456.75"),
        ],
    )
    .await;
    let blocks = blocks();
    let (_, live) = &blocks[0];
    assert_eq!(
        blocks.len(),
        5,
        "an example for each of DuckDB, Polars, pandas and DataFusion"
    );
    for (title, code) in &blocks[1..] {
        let said = python(base.path(), &format!("{live}\n{code}\n{NEWEST}"));
        eprintln!("{title} {said}");
        assert_eq!(said, "3 files\n");
    }
}
