//! Creation of a table with its indices.

use sea_orm_migration::prelude::*;

/// An index of a table.
pub(crate) struct TableIndex {
    name: &'static str,
    columns: &'static [&'static str],
    is_unique: bool,
}

/// An index over columns.
pub(crate) const fn index(name: &'static str, columns: &'static [&'static str]) -> TableIndex {
    TableIndex {
        name,
        columns,
        is_unique: false,
    }
}

/// The same, which no two rows may share.
pub(crate) const fn unique(name: &'static str, columns: &'static [&'static str]) -> TableIndex {
    TableIndex {
        name,
        columns,
        is_unique: true,
    }
}

/// Creates a table and its indices.
pub(crate) async fn create(
    manager: &SchemaManager<'_>,
    table: TableCreateStatement,
    indices: &[TableIndex],
) -> Result<(), DbErr> {
    let name = table.get_table_name().cloned();
    manager.create_table(table).await?;
    for index in indices {
        let mut create = Index::create().name(index.name).to_owned();
        if let Some(name) = name.clone() {
            create.table(name);
        }
        for column in index.columns {
            create.col(*column);
        }
        if index.is_unique {
            create.unique();
        }
        manager.create_index(create).await?;
    }
    Ok(())
}

/// Drops a table with its indices.
pub(crate) async fn drop(manager: &SchemaManager<'_>, table: &'static str) -> Result<(), DbErr> {
    let drop = Table::drop().table(table).to_owned();
    manager.drop_table(drop).await
}
