//! Tests that users write for their rules.

use crate::support::program::Program;

const GOOD: &str = r#"
tests:
  - name: a tripled volume is one alert
    metric: binance:hottry:volume
    rule: {factor: 3, cooldown_minutes: 60}
    start: 2026-01-01T00:00:00Z
    samples: 100x60 301 100x10
    alerts:
      - {at: "2026-01-01T01:00:00Z", value: 301, ratio: 3.01}
  - name: exactly three times is none
    start: 2026-01-01T00:00:00Z
    samples: 0.1x60 0.3
  - name: too few samples say nothing
    start: 2026-01-01T00:00:00Z
    samples: 100x44 _x16 9000
    states:
      - {at: 2026-01-01T01:00:00Z, state: no_data}
  - name: it takes three minutes in a row
    rule: {factor: 2, for_minutes: 3}
    start: 2026-01-01T00:00:00Z
    samples: 100x60 300 300 100 300 _ 300 300
    alerts: [{at: 2026-01-01T01:06:00Z}]
    states:
      - {at: 2026-01-01T01:01:00Z, state: pending}
      - {at: 2026-01-01T01:02:00Z, state: ok}
      - {at: 2026-01-01T01:06:00Z, state: firing}
"#;

async fn test(text: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.yaml");
    std::fs::write(&file, text).unwrap();
    let said = Program::bare()
        .run(&["rules", "test", file.to_str().unwrap()])
        .await;
    (said.code, said.out, said.err)
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_do_what_is_expected_pass() {
    let (code, out, err) = test(GOOD).await;
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.ends_with("rules: 4 passed, 0 failed\n"), "{out}");
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_are_told_by_minute_value_and_reason() {
    let wrong = GOOD
        .replace("ratio: 3.01", "ratio: 3.1")
        .replace(
            "samples: 0.1x60 0.3\n",
            "samples: 0.1x60 0.3\n    alerts: [{at: 2026-01-01T01:00:00Z}]\n",
        )
        .replace("100x44 _x16 9000", "100x45 _x15 9000");
    let (code, out, _) = test(&wrong).await;
    assert_eq!(code, 1);
    for expected in [
        "FAILED  a tripled volume is one alert\n          expected the ratio 3.1 at \
         2026-01-01T01:00:00Z, it is 3.0",
        "FAILED  exactly three times is none\n          expected an alert at \
         2026-01-01T01:00:00Z, found none: the rule was ok",
        "expected no alert at 2026-01-01T01:00:00Z, found one: 9000 is 90.0000 times the mean 100 \
         of 45 samples",
        "expected the state no_data at 2026-01-01T01:00:00Z, it is firing: 90.00x the mean, \
         beyond 3x",
        "rules: 1 passed, 3 failed",
    ] {
        assert!(out.contains(expected), "{expected}\nis not in\n{out}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_used_is_named_with_the_field() {
    for (text, expected) in [
        ("tests: 3", "rules.yaml: "),
        (
            "tests: [{name: a, start: noon, samples: 1}]",
            "test \"a\": start: expected a time as RFC 3339",
        ),
        (
            "tests: [{name: a, start: 2026-01-01T00:00:00Z, samples: x}]",
            "test \"a\": samples: ",
        ),
        (
            "tests: [{name: a, start: 2026-01-01T00:00:00Z, samples: 1x9999999999}]",
            "test \"a\": samples: ",
        ),
        (
            "tests: [{name: a, start: 2026-01-01T00:00:00Z, samples: 1, rule: {factor: 0}}]",
            "test \"a\": rule.factor: expected a number above 1",
        ),
        (
            "tests: [{name: a, start: 2026-01-01T00:00:00Z, samples: 1, ruel: {}}]",
            "ruel",
        ),
    ] {
        let (code, out, err) = test(text).await;
        assert_eq!(code, 2, "{text}: {out}{err}");
        assert!(err.contains(expected), "{text}: {err}");
    }
    let said = Program::bare()
        .run(&["rules", "test", "/nowhere.yaml"])
        .await;
    assert_eq!(said.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_the_documentation_passes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/alerts.md");
    let page = std::fs::read_to_string(path).unwrap();
    let example = page
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let (code, out, err) = test(example).await;
    assert_eq!(
        (code, out.ends_with("1 passed, 0 failed\n")),
        (0, true),
        "{out}{err}"
    );
}
