//! Exact numbers and times.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use marketlake_entities::{Exact, Millis, Minute, parse_time};

/// An exact decimal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal(pub Exact);

/// A decimal number as text, with exactly the digits that it has: "0.06076".
#[Scalar]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(InputValueError::expected_type(value)),
        };
        text.parse()
            .map(Self)
            .map_err(|error| InputValueError::custom(format!("{error}")))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A time, to the millisecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct DateTime(pub(super) Millis);

impl From<Millis> for DateTime {
    fn from(millis: Millis) -> Self {
        Self(millis)
    }
}

impl From<Minute> for DateTime {
    fn from(minute: Minute) -> Self {
        Self(minute.start())
    }
}

/// A time as RFC 3339, UTC: "2026-11-24T10:31:00Z". Any offset is understood in an argument.
#[Scalar(specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => parse_time(text).map(Self).map_err(InputValueError::custom),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}
