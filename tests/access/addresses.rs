//! Client addresses: behind trusted proxies a client cannot choose its own.

use marketlake_entities::records::subscriptions;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use super::operators_only;
use crate::rest::{HISTORY, serve, serve_with};
use crate::support::base::Base;
use crate::support::client::Client;
use crate::support::program::Program;

/// By one trusted proxy: the lines of X-Forwarded-For, and the source that counts.
const X_FORWARDED_FOR: [(&[&str], &str); 17] = [
    (&["203.0.113.7"], "203.0.113.7"),
    (&["203.0.113.7:5678"], "203.0.113.7"),
    (&["[2001:db8:1:2::3]:443"], "2001:db8:1:2::/64"),
    (&["[2001:db8:1:2::3]"], "2001:db8:1:2::/64"),
    (&["2001:db8:1:2::3"], "2001:db8:1:2::/64"),
    (&["::ffff:203.0.113.7"], "203.0.113.7"),
    // The client's own entry is left of the one that the proxy appended.
    (&["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
    (&["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
    (&["6.6.6.6,,  , 203.0.113.7 , "], "203.0.113.7"),
    (&["203.0.113.7", ""], "203.0.113.7"),
    (&["127.0.0.1, 203.0.113.7:1"], "203.0.113.7"),
    // An entry that the proxy could not fill is no address, and the one left of it is not used.
    (&["6.6.6.6, unknown"], "unknown"),
    (&["6.6.6.6, _hidden"], "unknown"),
    (&["6.6.6.6, [::1"], "unknown"),
    (&["6.6.6.6, 203.0.113.7:port"], "unknown"),
    (&["6.6.6.6, 203.0.113.7:99999"], "unknown"),
    (&[], "127.0.0.1"),
];

/// The same of Forwarded.
const FORWARDED: [(&[&str], &str); 12] = [
    (&["for=203.0.113.7"], "203.0.113.7"),
    (
        &["For=\"203.0.113.7:5678\";proto=https;by=10.0.0.1"],
        "203.0.113.7",
    ),
    (
        &["by=10.0.0.1;FOR=\"[2001:db8:1:2::3]:443\""],
        "2001:db8:1:2::/64",
    ),
    (
        &["for=6.6.6.6, for=203.0.113.7;host=\"a,b;for=c\""],
        "203.0.113.7",
    ),
    (&["for=6.6.6.6", "for=203.0.113.7"], "203.0.113.7"),
    (&["for=6.6.6.6, for=unknown"], "unknown"),
    (&["for=6.6.6.6, for=_hidden"], "unknown"),
    (&["for=6.6.6.6, proto=https"], "unknown"),
    (&["for=6.6.6.6;for=203.0.113.7"], "unknown"),
    // An open quotation mark hides nothing that stands behind it.
    (&["for=6.6.6.6, for=\", for=203.0.113.7"], "unknown"),
    (&["for=6.6.6.6, for=\"\\\", for=\"203.0.113.7\""], "unknown"),
    (&[], "127.0.0.1"),
];

/// The address that a subscription is noted for, which the limits of a day go by.
async fn noted(base: &Base, client: &Client, number: usize) -> String {
    let address = format!("a{number}@example.com");
    let made = client
        .graphql(&format!(
            r#"mutation {{ createSubscription(input: {{metric: "tie", address: "{address}"}}) {{ userErrors {{ code }} }} }}"#
        ))
        .await;
    assert_eq!(
        made["data"]["createSubscription"]["userErrors"],
        json!([]),
        "{made}"
    );
    let rows = subscriptions::Entity::find();
    let row = rows.filter(subscriptions::Column::Address.eq(address));
    let row = row.one(&base.database().await).await.unwrap();
    row.unwrap().source.unwrap()
}

fn behind(base: &Base, proxies: usize, header: &str) -> Program {
    Program::on(base)
        .with("MARKETLAKE_AUTH__MODE", "keys")
        .with("MARKETLAKE_SERVER__TRUSTED_PROXIES", proxies)
        .with("MARKETLAKE_SERVER__FORWARDED_HEADER", header)
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_a_client_cannot_choose_its_address() {
    let tables = [
        ("x-forwarded-for", "forwarded", &X_FORWARDED_FOR[..]),
        ("forwarded", "x-forwarded-for", &FORWARDED[..]),
    ];
    for (header, other, cases) in tables {
        let base = Base::local().await;
        let server = serve_with(&behind(&base, 1, header), &base, HISTORY).await;
        for (number, (lines, expected)) in cases.iter().enumerate() {
            // The header that the proxy does not write is the client's own.
            let client = Client::of(&server)
                .with(other, "for=6.6.6.6")
                .with("x-real-ip", "6.6.6.6");
            let with_lines = |client: Client, line: &&str| client.with(header, line);
            let client = lines.iter().fold(client, with_lines);
            assert_eq!(
                noted(&base, &client, number).await,
                *expected,
                "{header} {lines:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_chain_that_is_short_no_entry_of_a_client_counts() {
    let base = Base::local().await;
    let server = serve_with(&behind(&base, 2, "x-forwarded-for"), &base, HISTORY).await;
    for (number, (line, expected)) in [
        ("6.6.6.6, 203.0.113.7, 10.0.0.1", "203.0.113.7"),
        ("203.0.113.7, 10.0.0.1", "203.0.113.7"),
        // Past the outer proxy, straight to the inner one.
        ("198.51.100.9", "198.51.100.9"),
    ]
    .into_iter()
    .enumerate()
    {
        let client = Client::of(&server).with("x-forwarded-for", line);
        assert_eq!(noted(&base, &client, number).await, expected, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_trusted_proxies_no_header_is_read_and_none_makes_an_operator() {
    let base = Base::local().await;
    let server = serve(&base, HISTORY).await;
    let nobody = Client::of(&server);
    for (number, (name, value)) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "127.0.0.1:1234"),
        ("x-forwarded-for", "[::1]:1234"),
        ("x-forwarded-for", "unknown"),
        ("x-forwarded-for", ""),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 localhost"),
        ("x-real-ip", "127.0.0.1"),
        ("x-client", "none"),
    ]
    .into_iter()
    .enumerate()
    {
        let client = nobody.with(name, value);
        assert_eq!(
            operators_only(&client).await,
            "UNAUTHENTICATED",
            "{name}: {value}"
        );
        assert_eq!(
            noted(&base, &client, number).await,
            "127.0.0.1",
            "{name}: {value}"
        );
    }
    assert_eq!(operators_only(&server.operator()).await, Value::Null);
}
