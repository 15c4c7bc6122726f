//! The migrated tables are those that the entities describe, on `SQLite` and Postgres.

use std::collections::BTreeMap;

use marketlake_entities::database;
use marketlake_entities::records;
use marketlake_migrations::{Migrator, MigratorTrait};
use sea_orm::sea_query::TableCreateStatement;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Schema, Statement};

use crate::support::base::{Base, on_both};

/// Name of each column with its type, whether it may be null, and whether it is of the primary key.
type Columns = BTreeMap<String, (String, bool, bool)>;

const SQLITE_COLUMNS: &str = "select m.name as of_table, p.name, p.type, p.\"notnull\" = 0 as \
     is_null, p.pk > 0 as is_key from sqlite_master m, pragma_table_info(m.name) p \
     where m.type = 'table' and m.name not like 'sqlite%' and m.name <> 'seaql_migrations'";
const POSTGRES_COLUMNS: &str = "select c.table_name as of_table, c.column_name as name, \
     c.data_type as type, c.is_nullable = 'YES' as is_null, exists (select 1 from \
     information_schema.key_column_usage k join information_schema.table_constraints t \
     using (constraint_schema, constraint_name) where t.constraint_type = 'PRIMARY KEY' and \
     k.table_schema = c.table_schema and k.table_name = c.table_name and \
     k.column_name = c.column_name) as is_key from information_schema.columns c \
     where c.table_schema = current_schema() and c.table_name <> 'seaql_migrations'";

/// The tables of a database.
async fn tables(database: &DatabaseConnection) -> BTreeMap<String, Columns> {
    let backend = database.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => POSTGRES_COLUMNS,
        _ => SQLITE_COLUMNS,
    };
    let rows = database.query_all_raw(Statement::from_string(backend, sql));
    let mut tables: BTreeMap<String, Columns> = BTreeMap::new();
    for row in rows.await.unwrap() {
        let get = |name| row.try_get::<String>("", name).unwrap();
        let is = |name| row.try_get::<bool>("", name).unwrap();
        let kind = get("type").to_lowercase();
        // Both hold text of any length.
        let kind = kind.replace("character varying", "text");
        let kind = kind.replace("varchar", "text").replace("bigint", "integer");
        let kind = kind.replace("varbinary_blob", "blob");
        let table = tables.entry(get("of_table")).or_default();
        table.insert(get("name"), (kind, is("is_null"), is("is_key")));
    }
    tables
}

macro_rules! entities {
    ($schema:ident, $($name:ident),+ $(,)?) => {
        vec![$($schema.create_table_from_entity(records::$name::Entity)),+]
    };
}

fn described(backend: DbBackend) -> Vec<TableCreateStatement> {
    let schema = Schema::new(backend);
    entities![
        schema,
        alert_notes,
        alerts,
        api_keys,
        bounces,
        deliveries,
        delivery_alerts,
        delivery_throttles,
        evidence,
        gaps,
        incidents,
        job_runs,
        lake_identity,
        manifests,
        metrics,
        suppressions,
        rule_spans,
        segments,
        signing_keys,
        subscription_events,
        subscriptions,
        transitions,
        upload_intents,
        rule_states,
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_migrated_tables_are_those_that_the_entities_describe() {
    on_both(async |base: Base| {
        let migrated = base.database().await;
        let migrated = tables(&migrated).await;
        let other = base.again().await;
        let database = database::connect(&other.database_url).await.unwrap();
        let backend = database.get_database_backend();
        for table in described(backend) {
            database.execute(&table).await.unwrap();
        }
        let described = tables(&database).await;
        assert!(migrated.len() >= 23, "{:?}", migrated.keys());
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (migrated.keys().collect(), described.keys().collect());
        assert_eq!(ours, theirs, "{}", base.name);
        for (name, columns) in &migrated {
            assert_eq!(columns, &described[name], "{name} on {}", base.name);
        }
    })
    .await;
}

#[test]
fn each_table_has_one_migration() {
    let created: Vec<String> = Migrator::migrations()
        .iter()
        .map(|migration| migration.name().to_owned())
        .collect();
    for table in described(DbBackend::Sqlite) {
        let sql = table.to_string(sea_orm::sea_query::SqliteQueryBuilder);
        let name = sql.split('"').nth(1).unwrap();
        let ending = format!("_create_{name}");
        let found = created.iter().filter(|created| created.ends_with(&ending));
        assert_eq!(found.count(), 1, "{name}");
    }
}
