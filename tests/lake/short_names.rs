//! Short names: the market that owns each.

use marketlake_lake::Directory;

use crate::support::samples::metric;

#[test]
fn a_name_is_the_pair_alone_on_the_first_market_in_order_that_has_it() {
    let metrics = [
        "binance:hottry",
        "gateio:hottry",
        "gateio:hottry:volume",
        "kraken:btcusd",
    ]
    .map(metric);
    let of = |order: &[&str]| {
        let order: Vec<String> = order.iter().map(ToString::to_string).collect();
        Directory::new(metrics.iter().cloned().collect(), &order)
    };
    let configured = of(&["gateio", "binance"]);
    assert_eq!(configured.resolve("hottry"), Some(metric("gateio:hottry")));
    assert_eq!(configured.name(&metric("gateio:hottry")), "hottry");
    assert_eq!(configured.name(&metric("binance:hottry")), "binance:hottry");
    assert_eq!(
        configured.resolve("binance:hottry"),
        Some(metric("binance:hottry"))
    );
    assert_eq!(
        configured.resolve("BINANCE:HOTTRY"),
        Some(metric("binance:hottry"))
    );
    assert_eq!(
        configured.resolve("hottry:volume"),
        Some(metric("gateio:hottry:volume"))
    );
    assert_eq!(
        configured.resolve("hottry:price"),
        Some(metric("gateio:hottry"))
    );
    assert_eq!(configured.resolve("nope"), None);
    assert_eq!(of(&[]).resolve("hottry"), Some(metric("binance:hottry")));
}
