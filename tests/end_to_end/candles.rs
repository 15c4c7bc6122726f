//! Real candles of January 2018, imported, against plain loops over the files.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use marketlake_model::{Exact, Millis, Minute};
use serde_json::value::RawValue;

use crate::support::base::{Base, on_both};
use crate::support::program::Program;
use crate::support::recordings;
use crate::support::samples::minute;

type Series = BTreeMap<Minute, Exact>;

/// Price and volume of a file, by plain reading.
fn read(path: &Path) -> [Series; 2] {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let rows: Vec<Vec<Box<RawValue>>> = serde_json::from_str(&text).unwrap();
    let column = |index: usize| {
        let value = |row: &Vec<Box<RawValue>>| {
            (
                Millis(row[0].get().parse().unwrap()).minute(),
                row[index].get().parse().unwrap(),
            )
        };
        rows.iter().map(value).collect()
    };
    [column(4), column(5)]
}

/// `bittrex:ethbtc` and its volume from `ETH_BTC-1m.json.gz`.
fn name(path: &Path) -> String {
    let stem = path
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .split('-')
        .next()
        .unwrap()
        .to_lowercase();
    stem.replace('_', "")
}

fn last_day(series: &Series, to: Minute) -> Vec<(Minute, Exact)> {
    series
        .range(to.plus(-1_439)..=to)
        .map(|(ts, value)| (*ts, *value))
        .collect()
}

fn stddev(day: &[(Minute, Exact)]) -> Option<f64> {
    let values: Vec<f64> = day
        .iter()
        .map(|(_, v)| v.to_string().parse().unwrap())
        .collect();
    let count = f64::from(u32::try_from(values.len()).unwrap());
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    (values.len() >= 2).then(|| (squares / (count - 1.0)).sqrt())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_series_and_ranks_of_real_candles_equal_plain_loops() {
    let Some(folder) = recordings::folder() else {
        return;
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder.join("freqtrade/1m_201801"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 11);
    let mut all: BTreeMap<String, Series> = BTreeMap::new();
    for path in &files {
        let [price, volume] = read(path);
        all.insert(name(path), price);
        all.insert(format!("{}:volume", name(path)), volume);
    }
    // The same series under another name: a tie.
    let twin = files.iter().find(|path| name(path) == "ltcbtc").unwrap();
    let [price, volume] = read(twin);
    all.insert("twin".to_owned(), price);
    all.insert("twin:volume".to_owned(), volume);
    let samples: usize = all.values().map(Series::len).sum();

    on_both(async |base: Base| {
        let program = Program::on(&base);
        let mut import = vec!["import", "--market", "bittrex"];
        import.extend(files.iter().map(|path| path.to_str().unwrap()));
        let said = program.ok(&import).await;
        assert!(
            said.contains("of 22 metrics from 11 files, 0 lines refused"),
            "{said}"
        );
        program
            .ok(&[
                "import",
                "--market",
                "bittrex",
                "--pair",
                "twin",
                twin.to_str().unwrap(),
            ])
            .await;
        let checked = program.ok(&["check"]).await;
        assert!(
            checked.contains(&format!(" {samples} rows, ")),
            "{checked}, expected {samples} rows"
        );
        for engine in ["datafusion", "memory"] {
            compare(&program, engine, &all).await;
        }
    })
    .await;
}

async fn compare(program: &Program, engine: &str, all: &BTreeMap<String, Series>) {
    let newest = all
        .values()
        .filter_map(|series| series.keys().last())
        .max()
        .unwrap();
    let days: BTreeMap<&String, Vec<(Minute, Exact)>> = all
        .iter()
        .map(|(name, series)| (name, last_day(series, *newest)))
        .filter(|(_, day)| !day.is_empty())
        .collect();
    // UNITTEST is of 2017: it is in the lake, and not in the day.
    assert_eq!(days.len(), 22);
    let listed = program.json(&["metrics", "--engine", engine]).await;
    let listed: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["metric"].as_str().unwrap())
        .collect();
    assert_eq!(
        listed,
        days.keys().map(|name| name.as_str()).collect::<Vec<_>>()
    );

    for name in ["ethbtc", "powrbtc:volume", "twin"] {
        let out = program
            .ok(&["timeseries", name, "--engine", engine, "--format", "csv"])
            .await;
        let day: String = days[&name.to_owned()]
            .iter()
            .map(|(ts, value)| format!("{name},{ts},{value}\n"))
            .collect();
        let expected = format!("metric,timestamp,value\n{day}");
        let different = out.lines().zip(expected.lines()).find(|(a, b)| a != b);
        assert!(
            out == expected,
            "{name} by {engine}: {different:?}, {} lines, expected {}",
            out.len(),
            expected.len()
        );
    }
    let old = program
        .ok(&[
            "timeseries",
            "unittestbtc",
            "--to",
            "2017-11-05T00:00:00Z",
            "--engine",
            engine,
            "--format",
            "csv",
        ])
        .await;
    let to = minute("2017-11-05T00:00:00Z");
    assert_eq!(
        old.lines().count() - 1,
        all["unittestbtc"].range(to.plus(-1_439)..=to).count()
    );

    for measure in ["price", "volume"] {
        let is_volume = measure == "volume";
        let spreads: BTreeMap<&str, f64> = days
            .iter()
            .filter(|(name, _)| name.ends_with(":volume") == is_volume)
            .filter_map(|(name, day)| Some((name.as_str(), stddev(day)?)))
            .collect();
        let ranks = program
            .json(&["rank", "--measure", measure, "--engine", engine])
            .await;
        let ranks = ranks.as_array().unwrap();
        assert_eq!(ranks.len(), spreads.len());
        for row in ranks {
            let name = row["metric"].as_str().unwrap();
            let spread = spreads[name];
            // The twin's float may differ in its last digit from a plain loop's; a real difference
            // is larger.
            let above = spreads
                .values()
                .filter(|other| **other > spread * (1.0 + 1e-9))
                .count();
            assert_eq!(
                row["rank"].as_u64().unwrap(),
                above as u64 + 1,
                "{name} by {engine}: {row}"
            );
            assert_eq!(row["of"].as_u64().unwrap(), spreads.len() as u64);
            let answered = row["value"].as_f64().unwrap();
            assert!(
                (answered - spread).abs() <= 1e-9 * spread,
                "{name} by {engine}: {answered}, expected {spread}"
            );
        }
        let place =
            |name: &str| ranks.iter().find(|row| row["metric"] == name).unwrap()["rank"].clone();
        let suffix = if is_volume { ":volume" } else { "" };
        assert_eq!(
            place(&format!("twin{suffix}")),
            place(&format!("ltcbtc{suffix}"))
        );
    }
}
