//! Tests of files: parsed samples, and the errors of lines.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{FileOptions, read};

fn lines(name: &str, content: &str, options: &FileOptions) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path: PathBuf = folder.path().join(name);
    if name.ends_with(".gz") {
        let file = std::fs::File::create(&path).expect("a file");
        let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gz.write_all(content.as_bytes()).expect("written");
        gz.finish().expect("finished");
    } else {
        std::fs::write(&path, content).expect("written");
    }
    what_is_read(&path, options)
}

fn market(market: &str) -> FileOptions {
    FileOptions {
        market: Some(market.to_owned()),
        ..FileOptions::default()
    }
}

#[test]
fn csv_takes_ids_or_pairs_and_both_forms_of_time() {
    let content = "metric,ts,value\n\
        binance:hottry,2026-11-24T10:31:00Z,0.060760\n\
        hottry,1795516260000,1e-7\n\
        hottry:volume,2026-11-24T11:31:30+01:00,5\n";
    let expected = [
        "binance:hottry 2026-11-24T10:31:00Z 0.06076",
        "gateio:hottry 2026-11-24T10:31:00Z 0.0000001",
        "gateio:hottry:volume 2026-11-24T10:31:00Z 5",
    ];
    assert_eq!(
        lines(
            "a.csv",
            &content.replace("binance:hottry", "binance:hottry:price"),
            &market("gateio")
        )[1..],
        expected[1..]
    );
    assert_eq!(
        lines(
            "a.csv.gz",
            &content[..content.find("hottry,17").expect("there")],
            &FileOptions::default()
        ),
        expected[..1]
    );
}

#[test]
fn each_bad_line_is_named_and_the_others_are_kept() {
    let content = "a:b,2026-11-24T10:31:00Z,NaN\n\
        a:b,yesterday,1\n\
        b,1795516260000,1\n\
        a:b,1795516260,1\n\
        a:b,1795516260000\n\
        a:b,1795516260000,-1\n\
        a:b,1795516260000,2\n";
    assert_eq!(
        lines("bad.csv", content, &FileOptions::default()),
        [
            "bad.csv:1: value: expected a decimal number, got \"NaN\"",
            "bad.csv:2: ts: expected RFC 3339 (2026-11-24T10:31:00Z) or epoch milliseconds, got \
             \"yesterday\"",
            "bad.csv:3: metric: \"b\" has no market, expected an id like binance:hottry, or \
             --market",
            "bad.csv:4: ts 1795516260 is before 2009: expected RFC 3339 or epoch milliseconds",
            "bad.csv:5: expected 3 fields metric,ts,value, got 2",
            "bad.csv:6: value: expected a price of zero or more, got -1",
            "a:b 2026-11-24T10:31:00Z 2",
        ]
    );
}

#[test]
fn candles_become_a_price_and_a_volume_under_the_name_of_the_file() {
    let content = "[[1795516260000, 1, 2, 0.5, 9.818e-05, 3539.49175676], \
        [1795516320000,1,1,1,1], [1795516380000,1,1,1,\"x\",1]]";
    assert_eq!(
        lines("POWR_BTC-1m.json", content, &market("bittrex")),
        [
            "bittrex:powrbtc 2026-11-24T10:31:00Z 0.00009818",
            "bittrex:powrbtc:volume 2026-11-24T10:31:00Z 3539.49175676",
            "POWR_BTC-1m.json:2: expected 6 numbers [ms,o,h,l,c,v], got 5",
            "POWR_BTC-1m.json:3: close: expected a decimal number, got \"x\"",
        ]
    );
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let none = FileOptions::default();
    assert_eq!(
        lines("a.json", "[]", &none),
        ["cannot import a.json: candles do not name their market: expected --market"]
    );
    assert_eq!(
        lines("a.txt", "", &none),
        [
            "cannot import a.txt: expected a name that ends in .csv, .csv.gz, .json, .json.gz or \
             .parquet"
        ]
    );
    let truncated = lines("a.json", "[[1795516260000,1,1", &market("x"));
    assert!(
        truncated[0]
            .starts_with("cannot import a.json: expected JSON candles [[ms,o,h,l,c,v],..]: EOF"),
        "{truncated:?}"
    );
}

/// Samples and errors, a line each; without the folder's name.
fn what_is_read(path: &Path, options: &FileOptions) -> Vec<String> {
    let folder = format!("{}/", path.parent().expect("a folder").display());
    let shown = |text: String| text.replace(&folder, "");
    match read(path, options) {
        Err(error) => vec![shown(error.to_string())],
        Ok(samples) => samples
            .map(|sample| match sample {
                Ok(sample) => format!("{} {} {}", sample.metric, sample.ts, sample.value),
                Err(error) => shown(error.to_string()),
            })
            .collect(),
    }
}

fn parquet(columns: Vec<(&str, arrow::array::ArrayRef)>, options: &FileOptions) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("h.parquet");
    let batch = arrow::array::RecordBatch::try_from_iter(columns).expect("a batch");
    let file = std::fs::File::create(&path).expect("a file");
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    what_is_read(&path, options)
}

#[test]
fn parquet_has_its_values_as_decimals_text_or_doubles() {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };
    let metric = || -> ArrayRef { Arc::new(StringArray::from(vec!["a:b", "hot", "a:b"])) };
    let minute = 1_767_225_600_000_i64;
    let ts: ArrayRef = Arc::new(Int64Array::from(vec![minute, minute, minute + 60_000]));
    let micros = TimestampMicrosecondArray::from(vec![minute * 1_000; 3]).with_timezone("UTC");
    let options = FileOptions {
        market: Some("m".to_owned()),
        ..FileOptions::default()
    };
    let values: [(ArrayRef, ArrayRef); 3] = [
        (
            Arc::new(StringArray::from(vec!["0.06076", "1e-16", "12.50"])),
            Arc::clone(&ts),
        ),
        (
            Arc::new(Float64Array::from(vec![0.06076, 1e-16, 12.5])),
            Arc::new(micros),
        ),
        (
            Arc::new(
                Decimal128Array::from(vec![60_760_000_000_000, 0, 12_500_000_000_000_000])
                    .with_precision_and_scale(38, 15)
                    .expect("fits"),
            ),
            ts,
        ),
    ];
    for (values, ts) in values {
        let lines = parquet(
            vec![("metric", metric()), ("ts", ts), ("value", values)],
            &options,
        );
        assert_eq!(lines[0], "m:a:b 2026-01-01T00:00:00Z 0.06076");
        assert!(
            lines[1].starts_with("m:hot 2026-01-01T00:00:00Z 0"),
            "{lines:?}"
        );
        assert!(lines[2].ends_with(" 12.5"), "{lines:?}");
    }
}

#[test]
fn a_list_is_no_metrics_name() {
    use arrow::array::{Float64Array, ListArray, TimestampMillisecondArray};
    let names =
        ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>([Some([Some(1)])]);
    let columns: Vec<(&str, arrow::array::ArrayRef)> = vec![
        ("metric", std::sync::Arc::new(names)),
        (
            "ts",
            std::sync::Arc::new(TimestampMillisecondArray::from(vec![1_795_516_260_000])),
        ),
        ("value", std::sync::Arc::new(Float64Array::from(vec![1.0]))),
    ];
    let read = parquet(columns, &market("m"));
    assert!(
        read[0].contains("metric: expected text, got List"),
        "{read:?}"
    );
}

#[test]
fn a_parquet_file_of_another_shape_says_what_was_expected() {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
    let metric: ArrayRef = Arc::new(StringArray::from(vec![Some("a:b"), None]));
    let ts: ArrayRef = Arc::new(Int64Array::from(vec![1_767_225_600_000_i64; 2]));
    let wrong: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    let named = |value| {
        vec![
            ("metric", Arc::clone(&metric)),
            ("ts", Arc::clone(&ts)),
            ("value", value),
        ]
    };
    let options = FileOptions::default();
    assert_eq!(
        parquet(named(wrong), &options),
        ["cannot import h.parquet: value: expected DECIMAL, text or DOUBLE, got Boolean"]
    );
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 1.0]));
    assert_eq!(
        parquet(named(numbers), &options),
        [
            "h.parquet:1: value: expected a decimal number that fits, got NaN",
            "h.parquet:2: metric: expected a value, got null"
        ]
    );
    assert_eq!(
        lines("x.parquet", "no parquet", &options).len(),
        1,
        "a foreign file is one error"
    );
}
