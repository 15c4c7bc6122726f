//! What can be subscribed to.

use marketlake_alerts::NewSubscription;

fn new(metric: &str, factor: &str, address: &str) -> NewSubscription {
    NewSubscription {
        metric: metric.to_owned(),
        factor: Some(factor.to_owned()),
        window_minutes: None,
        min_samples: None,
        address: address.to_owned(),
    }
}

#[test]
fn a_subscription_is_an_hour_with_three_quarters_of_its_samples_unless_said_otherwise() {
    let (pattern, rule, address) = new("*USDT", "2.50", " a@example.com ").check().unwrap();
    assert_eq!(
        (pattern.to_string().as_str(), address.as_str()),
        ("*usdt", "a@example.com")
    );
    assert_eq!(
        (
            rule.factor.to_string().as_str(),
            rule.window,
            rule.min_samples
        ),
        ("2.5", 60, 45)
    );
    let longer = NewSubscription {
        window_minutes: Some(90),
        ..new("*", "3", "a@example.com")
    };
    assert_eq!(longer.check().unwrap().1.min_samples, 68);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let bad = NewSubscription {
        window_minutes: Some(0),
        min_samples: Some(61),
        ..new("a b", "1", "nobody")
    };
    let errors: Vec<String> = bad
        .check()
        .unwrap_err()
        .into_iter()
        .map(|e| format!("{}: {}", e.field, e.message))
        .collect();
    assert_eq!(
        errors,
        [
            "metric: expected a metric or a pattern like *usdt of at most 200 characters, got \"a b\"",
            "factor: expected a number above 1 and at most 1000000 with at most 6 decimals, got 1",
            "windowMinutes: expected a number from 1 to 1440, got 0",
            "minSamples: expected a number from 1 to 60, got 61",
            "address: expected a mail address like name@example.com, got \"nobody\"",
        ]
    );
}

#[test]
fn addresses_that_could_be_used_against_others_are_refused() {
    for bad in [
        "a@localhost",
        "a@[127.0.0.1]",
        "a@b.c\r\nBcc: x@y.z",
        "a@b.c,x@y.z",
        "<a@b.c>",
        "@b.c",
        "",
    ] {
        let errors = new("*", "3", bad).check().unwrap_err();
        assert_eq!(
            errors.iter().map(|e| e.field).collect::<Vec<_>>(),
            ["address"],
            "{bad:?}"
        );
    }
}
