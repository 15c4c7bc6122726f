//! Files that would fill the memory of their reader, or end its process.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::support::base::Base;
use crate::support::program::Program;

/// Reading ends where a bound is reached, not at the file's end.
const SOON: Duration = Duration::from_secs(30);

/// A footer whose schema has a number of nested groups.
fn deep_parquet(levels: usize) -> Vec<u8> {
    // Thrift's compact protocol: version 1, then the schema, a list of structs.
    let mut footer = vec![0x15, 0x02, 0x19, 0xfc];
    let mut count = levels + 2;
    while count >= 0x80 {
        footer.push(u8::try_from(count & 0x7f).unwrap() | 0x80);
        count >>= 7;
    }
    footer.push(u8::try_from(count).unwrap());
    // The root: its name, and one child.
    footer.extend([0x48, 1, b'r', 0x15, 0x02, 0]);
    for _ in 0..levels {
        footer.extend([0x35, 0, 0x18, 1, b'a', 0x15, 0x02, 0]);
    }
    // A column of whole numbers; no rows, no row groups.
    footer.extend([0x15, 0x04, 0x25, 0, 0x18, 1, b'a', 0]);
    footer.extend([0x16, 0, 0x19, 0x0c, 0]);
    let length = u32::try_from(footer.len()).unwrap();
    [b"PAR1", &footer[..], &length.to_le_bytes(), b"PAR1"].concat()
}

async fn refused(program: &Program, file: &PathBuf, message: &str) {
    let begun = Instant::now();
    let said = program
        .run(&["import", "--market", "m", file.to_str().unwrap()])
        .await;
    assert!(begun.elapsed() < SOON, "{file:?}: {:?}", begun.elapsed());
    assert!(matches!(said.code, 1 | 2), "{file:?}: {said:?}");
    assert!(said.err.contains(message), "{file:?}: {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_schemas_are_as_deep_as_they_may_be() {
    let base = Base::local().await;
    let program = Program::on(&base);
    for (levels, message) in [
        (40, "at most 32 levels"),
        (9_000, "at most 32 levels"),
        (100_000, "at most 10000 fields"),
    ] {
        let file = base.path().join(format!("deep-{levels}.parquet"));
        std::fs::write(&file, deep_parquet(levels)).unwrap();
        refused(&program, &file, message).await;
    }
    let file = base.path().join("huge.parquet");
    let footer = [b"PAR1", &[0xff, 0xff, 0xff, 0x7f][..], b"PAR1"].concat();
    std::fs::write(&file, footer).unwrap();
    refused(&program, &file, "a footer of at most").await;
    let file = base.path().join("wide.parquet");
    let mut wide = vec![0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07];
    wide.extend([0x48, 1, b'r', 0x15, 0x02, 0]);
    let length = u32::try_from(wide.len()).unwrap();
    let whole = [b"PAR1", &wide[..], &length.to_le_bytes(), b"PAR1"].concat();
    std::fs::write(&file, whole).unwrap();
    refused(&program, &file, "at most 10000 fields").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_value_is_not_repeated() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let file = base.path().join("text.json");
    std::fs::write(&file, format!("\"{}\"", "x".repeat(1 << 20))).unwrap();
    refused(&program, &file, "more characters").await;
    let said = program
        .run(&["import", "--market", "m", file.to_str().unwrap()])
        .await;
    assert!(said.err.len() < 2_000, "{} bytes", said.err.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_and_lists_without_an_end_are_given_up() {
    let base = Base::local().await;
    let program = Program::on(&base);
    for (name, part) in [("line.csv.gz", "a"), ("quoted.csv.gz", "\"\n")] {
        let file = base.path().join(name);
        let mut packed = GzEncoder::new(File::create(&file).unwrap(), Compression::fast());
        packed.write_all(b"\"").unwrap();
        let block = part.replace('"', "").repeat(1 << 16);
        for _ in 0..64 {
            packed.write_all(block.as_bytes()).unwrap();
        }
        packed.finish().unwrap();
        refused(&program, &file, "bytes per line or JSON file").await;
    }
    let file = base.path().join("many.json");
    std::fs::write(&file, format!("[{}0]", "0,".repeat(4_000_001))).unwrap();
    refused(&program, &file, "at most 4000000 candles").await;
    let file = base.path().join("large.json");
    // Sparse: zeros that are not there.
    File::create(&file).unwrap().set_len(600 << 20).unwrap();
    refused(&program, &file, "bytes per line or JSON file").await;
    let file = base.path().join("nested.json");
    std::fs::write(&file, "[".repeat(1_000_000)).unwrap();
    refused(&program, &file, "expected JSON candles").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_settings_nest_only_so_deep() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let mut laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for n in 1..12 {
        let last = format!("*a{}", n - 1);
        laughs += &format!("a{n}: &a{n} [{}]\n", vec![last; 10].join(","));
    }
    for (name, text) in [
        ("laughs", format!("{laughs}tests: *a11\n")),
        (
            "deep",
            format!("tests: {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        (
            "maps",
            format!("tests: {}{}", "{a: ".repeat(50_000), "}".repeat(50_000)),
        ),
        (
            "indented",
            (0..3_000)
                .map(|n| format!("{}a:\n", " ".repeat(n)))
                .collect(),
        ),
        ("dashes", format!("tests: \n{}", "- ".repeat(100_000))),
        (
            "anchors",
            (0..50_000).map(|n| format!("- &a{n} x\n")).collect(),
        ),
    ] {
        let file = base.path().join(format!("{name}.yaml"));
        std::fs::write(&file, text).unwrap();
        let begun = Instant::now();
        let said = program
            .run(&["rules", "test", file.to_str().unwrap()])
            .await;
        assert!(begun.elapsed() < SOON, "{name}: {:?}", begun.elapsed());
        assert_eq!(said.code, 2, "{name}: {said:?}");
        assert!(said.err.len() < 5_000, "{name}: {} bytes", said.err.len());
    }
    for (name, text) in [
        (
            "arrays",
            format!("data = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        (
            "tables",
            format!("data = {}1{}", "{a=".repeat(50_000), "}".repeat(50_000)),
        ),
        ("dotted", format!("{}a = 1", "a.".repeat(50_000))),
        ("header", format!("[{}a]", "a.".repeat(50_000))),
    ] {
        let file = base.path().join(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        let said = program
            .run(&["--config", file.to_str().unwrap(), "config"])
            .await;
        assert_eq!(
            said.code,
            2,
            "{name}: {}",
            &said.err[..said.err.len().min(500)]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_pages_unpack_to_as_much_as_they_may() {
    let base = Base::local().await;
    let program = Program::on(&base);
    let file = base.path().join("packed.parquet");
    let script = "import sys, pyarrow as pa, pyarrow.parquet as pq\n\
        rows = {'metric': ['m:' + 'a' * 100_000_000], 'ts': [1764000000000], 'value': ['1']}\n\
        pq.write_table(pa.table(rows), sys.argv[1], compression='zstd')\n";
    let python = std::env::var_os("MARKETLAKE_TEST_PYTHON").unwrap();
    let written = std::process::Command::new(python)
        .args(["-c", script, file.to_str().unwrap()])
        .status();
    assert!(written.unwrap().success());
    assert!(file.metadata().unwrap().len() < 1 << 20);
    refused(&program, &file, "pages of at most 67108864 bytes").await;
}
