//! Exact numbers and times.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, InputValueError, InputValueResult, OutputType, Positioned, Scalar,
    ScalarType, ServerResult, Value,
};
use marketlake_model::{Exact, Millis, Minute, parse_time};

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

/// Many scalars: a `Vec` in the schema. That one resolves each of its items as a field of its own,
/// which takes longer than all else that a day's samples take.
pub(super) struct Column<T>(pub(super) Vec<T>);

impl<T: ScalarType + OutputType> OutputType for Column<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        _context: &ContextSelectionSet<'_>,
        _field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        Ok(Value::List(
            self.0.iter().map(ScalarType::to_value).collect(),
        ))
    }
}

impl<T> FromIterator<T> for Column<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}
