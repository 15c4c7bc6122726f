//! Rows of a table as JSON objects, to be carried to another database.

use sea_orm::sea_query::{Alias, Expr, OnConflict, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, ColumnType, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait, IdenStatic,
    Iterable, JsonValue, PrimaryKeyToColumn, Value,
};
use serde_json::Map;

use marketlake_common::excerpt;

/// A row, by the names of its columns.
pub type Row = Map<String, JsonValue>;

/// Longest text of a field.
const MAX_TEXT_BYTES: usize = 1 << 16;

/// Error of an import.
#[derive(Debug, thiserror::Error)]
pub enum PortableError {
    /// Invalid field.
    #[error("{table}.{column}: expected {expected}, got {got}")]
    Field {
        /// The table.
        table: &'static str,
        /// The field.
        column: String,
        /// Expected type.
        expected: &'static str,
        /// Beginning of the value.
        got: String,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DbErr),
}

/// Reads every row of a table, in the order of its key.
///
/// # Errors
/// If the database fails.
pub async fn export<E: EntityTrait>(connection: &impl ConnectionTrait) -> Result<Vec<Row>, DbErr> {
    use sea_orm::QueryOrder;

    let mut rows = E::find();
    for key in E::PrimaryKey::iter() {
        rows = rows.order_by_asc(key.into_column());
    }
    let rows = rows.into_json().all(connection).await?;
    let rows = rows.into_iter().filter_map(|row| match row {
        JsonValue::Object(row) => Some(row),
        _ => None,
    });
    Ok(rows.collect())
}

/// Writes a row, unless one of its key is there. Returns whether it was written.
///
/// # Errors
/// Fails if it is no row of the table, or the database fails.
pub async fn import<E: EntityTrait>(
    transaction: &DatabaseTransaction,
    table: &'static str,
    row: &Row,
) -> Result<bool, PortableError> {
    let (mut columns, mut values): (Vec<Alias>, Vec<SimpleExpr>) = (Vec::new(), Vec::new());
    for (name, value) in row {
        let column = E::Column::iter().find(|column| column.as_str() == name);
        let Some(column) = column else {
            return Err(refused(table, name, "a column of this version", value));
        };
        let definition = column.def();
        let value = value_of(definition.get_column_type(), definition.is_null(), value)
            .map_err(|expected| refused(table, name, expected, value))?;
        columns.push(Alias::new(name.as_str()));
        values.push(Expr::value(value));
    }
    let missing = E::Column::iter()
        .find(|column| !row.contains_key(column.as_str()) && !column.def().is_null());
    if let Some(missing) = missing {
        let name = missing.as_str();
        return Err(refused(table, name, "a value", &JsonValue::Null));
    }
    let keys = E::PrimaryKey::iter().map(|key| Alias::new(key.into_column().as_str()));
    let insert = Query::insert()
        .into_table(Alias::new(table))
        .columns(columns)
        .values_panic(values)
        .on_conflict(OnConflict::columns(keys).do_nothing().to_owned())
        .to_owned();
    let done = transaction.execute(&insert).await?;
    Ok(done.rows_affected() == 1)
}

fn value_of(
    kind: &ColumnType,
    may_be_null: bool,
    value: &JsonValue,
) -> Result<Value, &'static str> {
    let (expected, found) = match kind {
        ColumnType::BigInteger => (
            "a 64-bit number",
            value.as_i64().map(|number| Value::BigInt(Some(number))),
        ),
        ColumnType::Integer => {
            let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
            let number = number.map(|number| Value::Int(Some(number)));
            ("a 32-bit number", number)
        }
        ColumnType::Boolean => {
            let truth = value.as_bool().map(|truth| Value::Bool(Some(truth)));
            ("true or false", truth)
        }
        _ => {
            let text = value.as_str().filter(|text| text.len() <= MAX_TEXT_BYTES);
            let text = text.map(|text| Value::String(Some(text.to_owned())));
            ("a text of at most 65536 bytes", text)
        }
    };
    match found {
        Some(found) => Ok(found),
        None if value.is_null() && may_be_null => Ok(match kind {
            ColumnType::BigInteger => Value::BigInt(None),
            ColumnType::Integer => Value::Int(None),
            ColumnType::Boolean => Value::Bool(None),
            _ => Value::String(None),
        }),
        None => Err(expected),
    }
}

fn refused(
    table: &'static str,
    column: &str,
    expected: &'static str,
    got: &JsonValue,
) -> PortableError {
    PortableError::Field {
        table,
        column: excerpt(column).into_owned(),
        expected,
        got: excerpt(&got.to_string()).into_owned(),
    }
}
