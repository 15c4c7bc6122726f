//! One picture.

use std::time::Instant;

use marketlake_alerts::delivery::mail::draw;
use marketlake_alerts::{Evidence, Rule};
use marketlake_lake::Point;
use marketlake_model::{JumpRule, Minute};

use crate::market;
use crate::measure::{figure, millis};

const PICTURES: i64 = 200;

pub fn run() -> anyhow::Result<()> {
    let rule = Rule::new(JumpRule::default());
    let mut times = Vec::new();
    let mut bytes = 0;
    for number in 0..PICTURES {
        let ts = Minute::from_number(30_000_000 + number * 77);
        let mut points = Vec::new();
        for back in (0..=60).rev() {
            let minute = market::minute(ts.plus(-back), 1, usize::from(back == 0))?;
            points.extend(minute.iter().map(|s| Point {
                ts: s.ts,
                value: s.value,
            }));
        }
        let evidence = Evidence {
            metric: market::metric(0)?,
            ts,
            window: 60,
            points,
            segments: Vec::new(),
        };
        let begun = Instant::now();
        bytes = draw(&evidence, 101.0, &rule, chrono_tz::Tz::Europe__Istanbul)?.len();
        times.push(millis(begun));
    }
    times.sort_unstable_by(f64::total_cmp);
    figure(
        "a chart, drawn and encoded: median",
        times[times.len() / 2],
        "ms",
    );
    figure("  99 of 100 within", times[times.len() * 99 / 100], "ms");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    figure("  its size", bytes as f64 / 1e3, "kB");
    Ok(())
}
