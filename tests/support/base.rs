//! A fresh database and a fresh store, of either kind.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use marketlake_entities::database;
use marketlake_lake::{Lake, Store, StoreOptions};
use marketlake_migrations::{Migrator, MigratorTrait};
use sea_orm::{ConnectionTrait, DatabaseConnection};
use tempfile::TempDir;
use tokio::runtime::Handle;
use uuid::Uuid;

use super::moto::Moto;
use super::s3;

/// Database and store of one test. Gone when dropped.
pub struct Base {
    pub name: &'static str,
    pub database_url: String,
    pub store: StoreOptions,
    folder: TempDir,
}

fn on_moto() -> bool {
    std::env::var("MARKETLAKE_TEST_S3").is_ok_and(|server| server == "moto")
}

/// Runs a test on `SQLite` and a folder, then on Postgres and S3.
pub async fn on_both(test: impl AsyncFn(Base)) {
    for base in [Base::local().await, Base::remote().await] {
        eprintln!("on {}", base.name);
        test(base).await;
    }
}

impl Base {
    /// `SQLite` and a folder.
    #[expect(clippy::unused_async, reason = "like its sibling")]
    pub async fn local() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database_url = format!("sqlite://{}", folder.path().join("marketlake.db").display());
        let store = StoreOptions {
            url: format!("file://{}", folder.path().join("lake").display()),
            ..StoreOptions::default()
        };
        Self {
            name: "SQLite and a folder",
            database_url,
            store,
            folder,
        }
    }

    /// Postgres and S3: s3s-fs, or with `MARKETLAKE_TEST_S3=moto` moto, where nobody can look at
    /// the files below it.
    pub async fn remote() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (endpoint, bucket) = if on_moto() {
            Moto::shared_bucket().await
        } else {
            let endpoint = s3::serve(&folder.path().join("s3")).await;
            (endpoint, s3::BUCKET.to_owned())
        };
        let store = StoreOptions {
            url: format!("s3://{bucket}/some/prefix"),
            endpoint: Some(endpoint),
            region: Some("us-east-1".to_owned()),
            access_key_id: Some(s3::ACCESS_KEY.to_owned()),
            secret_access_key: Some(s3::SECRET_KEY.to_owned()),
            ..StoreOptions::default()
        };
        Self {
            name: "Postgres and S3",
            database_url: fresh_postgres().await,
            store,
            folder,
        }
    }

    /// Another one of the same kind.
    pub async fn again(&self) -> Self {
        match self.store.endpoint {
            None => Self::local().await,
            Some(_) => Self::remote().await,
        }
    }

    /// A folder for the test's own files.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Folder of the Parquet files on this machine, whether the store is local or S3.
    pub fn objects(&self) -> PathBuf {
        match self.store.endpoint {
            None => self.path().join("lake"),
            Some(_) => self.path().join("s3").join(s3::BUCKET).join("some/prefix"),
        }
    }

    /// The keys of all objects; where they lie as files here, those.
    pub fn object_files(&self) -> Vec<PathBuf> {
        if on_moto() && self.store.endpoint.is_some() {
            let listing = self.listed();
            return tokio::task::block_in_place(|| Handle::current().block_on(listing));
        }
        let mut found = Vec::new();
        let mut folders = vec![self.objects()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "parquet") {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    async fn listed(&self) -> Vec<PathBuf> {
        let store = Store::open(&self.store).await.unwrap();
        let objects = store.objects().list(None).map_ok(|object| object.location);
        let keys: Vec<_> = objects.try_collect().await.unwrap();
        let mut keys: Vec<PathBuf> = keys.iter().map(|key| key.as_ref().into()).collect();
        keys.retain(|key| key.extension().is_some_and(|e| e == "parquet"));
        keys.sort();
        keys
    }

    /// Loses the database: from now on it is another one, which is empty.
    pub async fn lose_database(&mut self) {
        self.database_url = match self.store.endpoint {
            None => {
                let name = format!("{}.db", Uuid::new_v4().simple());
                database::sqlite_url(&self.path().join(name))
            }
            Some(_) => fresh_postgres().await,
        };
    }

    /// The database, with its tables.
    pub async fn database(&self) -> DatabaseConnection {
        let database = database::connect(&self.database_url).await.unwrap();
        Migrator::up(&database, None).await.unwrap();
        database
    }

    /// The lake.
    pub async fn lake(&self) -> Arc<Lake> {
        let store = Store::open(&self.store).await.unwrap();
        Lake::open(self.database().await, store, Vec::new())
            .await
            .unwrap()
    }

    /// The lake that the program keeps in a data folder.
    pub async fn lake_in(&self, data: &Path) -> Arc<Lake> {
        let url = database::sqlite_url(&data.join("marketlake.db"));
        let database = database::connect(&url);
        let options = StoreOptions {
            url: format!("file://{}", data.join("lake").display()),
            ..StoreOptions::default()
        };
        let store = Store::open(&options);
        let (database, store) = (database.await.unwrap(), store.await.unwrap());
        let lake = Lake::open(database, store, Vec::new());
        lake.await.unwrap()
    }

    /// The settings that have the program use this base.
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut settings = vec![
            (
                "MARKETLAKE_DATA".to_owned(),
                self.path().join("data").display().to_string(),
            ),
            (
                "MARKETLAKE_DATABASE__URL".to_owned(),
                self.database_url.clone(),
            ),
            ("MARKETLAKE_STORE__URL".to_owned(), self.store.url.clone()),
            (
                "MARKETLAKE_SERVER__LISTEN".to_owned(),
                "127.0.0.1:0".to_owned(),
            ),
            (
                "MARKETLAKE_OPERATIONS__LISTEN".to_owned(),
                "127.0.0.1:0".to_owned(),
            ),
        ];
        let optional = [
            ("ENDPOINT", &self.store.endpoint),
            ("REGION", &self.store.region),
            ("ACCESS_KEY_ID", &self.store.access_key_id),
            ("SECRET_ACCESS_KEY", &self.store.secret_access_key),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                settings.push((format!("MARKETLAKE_STORE__{name}"), value.clone()));
            }
        }
        settings
    }
}

/// An empty database of its own on the test's Postgres.
pub async fn fresh_postgres() -> String {
    let server = std::env::var("MARKETLAKE_TEST_POSTGRES").expect(
        "MARKETLAKE_TEST_POSTGRES names the Postgres to test on: run scripts/test, which \
            starts one",
    );
    let name = format!("test_{}", Uuid::new_v4().simple());
    let admin = database::connect(&server).await.unwrap();
    admin
        .execute_unprepared(&format!("create database {name}"))
        .await
        .unwrap();
    admin.close().await.unwrap();
    server.replace("/postgres?", &format!("/{name}?"))
}
