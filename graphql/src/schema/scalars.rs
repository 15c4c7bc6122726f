//! Exact numbers.

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use marketlake_entities::Exact;

/// A decimal number as text, with exactly the digits that it has: "0.06076".
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal(pub Exact);

#[Scalar]
impl ScalarType for Decimal {
    fn parse(value: Value) -> InputValueResult<Self> {
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(InputValueError::expected_type(value)),
        };
        text.parse().map(Self).map_err(|error| InputValueError::custom(format!("{error}")))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}
