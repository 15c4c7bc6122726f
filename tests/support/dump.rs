//! A copy of a database as it is at a moment, as a backup would be.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend};
use uuid::Uuid;

use super::base::Base;

/// Copies the database of a base. Returns the copy's address.
pub async fn dump(base: &Base, database: &DatabaseConnection) -> String {
    let name = format!("copy_{}", Uuid::new_v4().simple());
    if database.get_database_backend() == DbBackend::Sqlite {
        let file = base.path().join(format!("{name}.db"));
        let file = file.display();
        let copy = format!("vacuum into '{file}'");
        database.execute_unprepared(&copy).await.unwrap();
        return format!("sqlite://{file}");
    }
    let url = &base.database_url;
    let from = url.rfind("/test_").unwrap() + 1;
    let to = from + url[from..].find('?').unwrap();
    let server = format!("{}postgres{}", &url[..from], &url[to..]);
    let admin = marketlake_entities::database::connect(&server)
        .await
        .unwrap();
    let original = &url[from..to];
    // A template must have no other sessions: the pool makes new ones.
    let alone = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{original}'"
    );
    for _ in 0..100 {
        admin.execute_unprepared(&alone).await.unwrap();
        let copy = format!("create database {name} template {original}");
        if admin.execute_unprepared(&copy).await.is_ok() {
            admin.close().await.unwrap();
            return format!("{}{name}{}", &url[..from], &url[to..]);
        }
    }
    panic!("{original} cannot be copied: others use it");
}
