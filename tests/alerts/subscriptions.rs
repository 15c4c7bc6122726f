//! Validation of subscriptions.

use marketlake_alerts::SubscriptionSpec;
use marketlake_alerts::subscriptions::check_address;

fn new(metric: &str, factor: &str, address: &str) -> SubscriptionSpec {
    SubscriptionSpec {
        metric: metric.to_owned(),
        factor: Some(factor.to_owned()),
        address: address.to_owned(),
        ..SubscriptionSpec::default()
    }
}

#[test]
fn a_subscription_is_an_hour_with_three_quarters_of_its_samples_unless_said_otherwise() {
    let wanted = new("*USDT", "2.50", " a@example.com ").check().unwrap();
    assert_eq!(
        (wanted.pattern.to_string().as_str(), wanted.address.as_str()),
        ("*usdt", "a@example.com")
    );
    let (rule, jump) = (wanted.rule, wanted.rule.jump);
    assert_eq!(
        (
            jump.factor.to_string().as_str(),
            jump.window,
            jump.min_samples
        ),
        ("2.5", 60, 45)
    );
    assert_eq!(
        (rule.for_minutes, rule.cooldown, rule.max_per_day),
        (1, 60, None)
    );
    let longer = SubscriptionSpec {
        window_minutes: Some(90),
        ..new("*", "3", "a@example.com")
    };
    assert_eq!(longer.check().unwrap().rule.jump.min_samples, 68);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let bad = SubscriptionSpec {
        window_minutes: Some(0),
        min_samples: Some(61),
        direction: Some("sideways".to_owned()),
        for_minutes: Some(61),
        resolve_factor: Some("0.5".to_owned()),
        cooldown_minutes: Some(-1),
        max_per_day: Some(0),
        max_alerts: Some(0),
        time_zone: Some("Mars/Olympus".to_owned()),
        channel: Some("pigeon".to_owned()),
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
            "metric: expected a metric or a pattern like *usdt of at most 200 characters, or up \
             to 50 of them separated by commas, got \"a b\"",
            "factor: expected a number above 1 and at most 1000000 with at most 6 decimals, got 1",
            "window_minutes: expected a number from 1 to 1440, got 0",
            "min_samples: expected a number from 1 to 60, got 61",
            "direction: expected up or down, got \"sideways\"",
            "for_minutes: expected a number from 1 to 60, got 61",
            "resolve_factor: expected a number from 1 to the factor with at most 6 decimals, got \
             0.5",
            "cooldown_minutes: expected a number from 0 to 10080, got -1",
            "max_per_day: expected a number from 1 to 1440, got 0",
            "max_alerts: expected a number from 1 to 1000000, got 0",
            "address: expected a mail address like name@example.com, got \"nobody\"",
            "time_zone: expected a time zone like Europe/Istanbul, got \"Mars/Olympus\"",
            "channel: expected mail, webhook or slack, got \"pigeon\"",
        ]
    );
}

#[test]
fn factors_that_are_no_factors_are_refused_by_name() {
    for bad in [
        "0",
        "-1",
        "NaN",
        "1e308",
        "inf",
        "",
        "3,5",
        "1.0000001",
        "1000001",
    ] {
        let errors = new("*", bad, "a@b.cd").check().unwrap_err();
        assert_eq!(
            errors.iter().map(|e| e.field).collect::<Vec<_>>(),
            ["factor"],
            "{bad}"
        );
    }
}

/// Each is refused, and named; none is stored in another form.
#[test]
fn addresses_that_could_be_used_against_others_are_refused() {
    let long = format!("{}@example.com", "a".repeat(300));
    let long_local = format!("{}@example.com", "a".repeat(65));
    let long_domain = format!("a@{}.com", "b".repeat(260));
    let bad = [
        "a@localhost",
        "a@[127.0.0.1]",
        "a@[IPv6:::1]",
        "a@127.0.0.1",
        "a@b.c\r\nBcc: x@y.z",
        "a\r\n@b.cd",
        "a@b.cd\n",
        "\ra@b.c\rd",
        "a@b.cd\0",
        "a@b.c,x@y.z",
        "<a@b.cd>",
        "A <a@b.cd>",
        "@b.cd",
        "a@",
        "",
        "a",
        "a b@c.de",
        "\"a b\"@c.de",
        "\"a\"@c.de",
        "a@b..cd",
        ".a@b.cd",
        "a..b@c.de",
        "a@-b.cd",
        "a@b.cd> SIZE=1",
        "a@b.cd RCPT TO:<x@y.z>",
        "ü@b.cd",
        "a@b.cd\u{2028}x",
        "a@b_c.de",
        "a@b.cd;x@y.z",
        "a(comment)@b.cd",
        &long,
        &long_local,
        &long_domain,
    ];
    for text in bad {
        // A line break at the very end is trimmed, as a form does; anywhere else it is refused.
        if text.trim() == "a@b.cd" {
            continue;
        }
        let errors = new("*", "3", text).check().unwrap_err();
        assert_eq!(
            errors.iter().map(|e| e.field).collect::<Vec<_>>(),
            ["address"],
            "{text:?}"
        );
    }
    assert!(bad.len() >= 30);
}

#[test]
fn an_internationalised_domain_is_kept_in_its_ascii_form() {
    assert_eq!(
        check_address("Info@Bücher.example").unwrap(),
        "Info@xn--bcher-kva.example"
    );
    assert_eq!(check_address("a+b@EXAMPLE.com").unwrap(), "a+b@example.com");
}

#[test]
fn webhooks_go_to_https_addresses_of_the_web() {
    let of = |endpoint: Option<&str>| {
        let new = SubscriptionSpec {
            channel: Some("webhook".to_owned()),
            endpoint: endpoint.map(str::to_owned),
            ..new("*", "3", "a@b.cd")
        };
        new.check()
            .map(|wanted| wanted.endpoint.unwrap())
            .map_err(|errors| {
                errors
                    .into_iter()
                    .map(|error| error.field)
                    .collect::<Vec<_>>()
            })
    };
    assert_eq!(
        of(Some("https://example.com/hook")).unwrap(),
        "https://example.com/hook"
    );
    for bad in [
        None,
        Some(""),
        Some("http://example.com/"),
        Some("ftp://example.com/"),
        Some("https://user@example.com/"),
        Some("https://example.com:22/"),
        Some("file:///etc/passwd"),
        Some("https://"),
        Some("gopher://x"),
    ] {
        assert_eq!(of(bad).unwrap_err(), ["endpoint"], "{bad:?}");
    }
    let mail = SubscriptionSpec {
        endpoint: Some("https://example.com/".to_owned()),
        ..new("*", "3", "a@b.cd")
    };
    assert_eq!(mail.check().unwrap_err()[0].field, "endpoint");
}
