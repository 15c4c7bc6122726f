//! Plan of an expression: its operators over the samples that were read for it.

use std::sync::Arc;

use promql_parser::parser::token::TokenType;
use promql_parser::parser::{BinModifier, LabelModifier};

use super::function::Function;
use super::labels::Labels;
use super::value::Series;

/// Lookback of instant selectors, in milliseconds.
pub(super) const LOOKBACK: i64 = 5 * 60_000;

/// Offset and `@` of a selector.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    pub(super) offset: i64,
    pub(super) at: Option<i64>,
}

/// An expression that can be computed.
#[derive(Debug)]
pub(super) enum Plan {
    Number(f64),
    Text(String),
    Select {
        series: Arc<Vec<Series>>,
        when: When,
    },
    Range {
        series: Arc<Vec<Series>>,
        when: When,
        range: i64,
    },
    Subquery {
        inner: Box<Plan>,
        when: When,
        range: i64,
        step: i64,
    },
    Call {
        function: Function,
        arguments: Vec<Plan>,
        /// Labels that `absent` returns where there is no element.
        absent: Labels,
    },
    Negative(Box<Plan>),
    Binary {
        operator: TokenType,
        left: Box<Plan>,
        right: Box<Plan>,
        modifier: Option<BinModifier>,
    },
    Aggregate {
        operator: TokenType,
        inner: Box<Plan>,
        parameter: Option<Box<Plan>>,
        by: Option<LabelModifier>,
    },
}

/// First and last instant of an evaluation, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) from: i64,
    pub(super) to: i64,
}
