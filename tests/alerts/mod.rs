//! Alerts: detection, sign-up, and deliveries while a server misbehaves.

mod backtest;
mod bounces;
mod clock_steps;
mod detector;
mod digests;
mod expiry;
mod hostile;
mod identity;
mod lane_health;
mod lanes;
mod lifecycle;
mod mails;
mod operators;
mod oracle;
mod outbox;
mod outliers;
mod replay;
mod rule_tests;
mod signup;
mod subscriptions;
mod tokens;
mod watchdog;
mod webhooks;
