//! `lake.json` that is damaged, of a newer version, or no file: no write, and a way out.

use marketlake_lake::{CheckOptions, MismatchError, Severity, diagnose_identity};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::identity::{mismatch, stored, vacuum, with_retired};
use super::ingest;
use crate::support::DEEP;
use crate::support::base::{Base, on_both};
use crate::support::program::Program;
use crate::support::samples::{sample, series};

const NEWER: &str = "{\"format\":2,\"lake_id\":\"x\",\"more\":1}";

async fn put(base: &Base, content: String) {
    let store = marketlake_lake::Store::open(&base.store).await.unwrap();
    let path = Path::from("lake.json");
    let payload = content.into_bytes().into();
    store.objects().put(&path, payload).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_identity_stops_every_write_and_a_rebuild_writes_it_anew() {
    on_both(async |base: Base| {
        let lake = with_retired(&base).await;
        let mut before = stored(&base).await;
        let whole = before.to_string();
        let damages = [
            String::new(),
            "{}".to_owned(),
            whole[..whole.len() / 2].to_owned(),
            "\0".repeat(200),
            whole.replace("\"sequence\":", "\"sequence\":-"),
            format!("{whole}{}", " ".repeat(20 << 20)),
        ];
        for damage in damages {
            let shown = damage.chars().take(80).collect::<String>();
            put(&base, damage).await;
            let error = mismatch(vacuum(&lake).await);
            assert!(
                matches!(error, MismatchError::Unreadable { .. }),
                "{shown:?}: {error}"
            );
            assert!(error.to_string().contains("marketlake rebuild-catalog"));
            mismatch(
                lake.ingest()
                    .stage_minute(vec![sample("a:two", 9, "9")])
                    .await,
            );
            let finding = diagnose_identity(lake.database(), lake.store()).await;
            assert_eq!(finding.severity, Severity::Bad, "{finding:?}");
            // A repair does not decide whose the store is.
            let repair = CheckOptions {
                deep: false,
                repair: true,
            };
            let report = lake.maintenance().check(repair).await.unwrap();
            assert_eq!(report.problems, [error.to_string()], "{shown:?}");
            assert_eq!(base.object_files().len(), 5);
            let did = lake.maintenance().rebuild_catalog(&()).await.unwrap();
            assert!(did.is_empty(), "{did:?}");
            let after = stored(&base).await;
            assert_eq!(after["lake_id"], before["lake_id"]);
            assert!(after["sequence"].as_i64() > before["sequence"].as_i64());
            before = after;
        }
        ingest(&lake, &series("a:one", 10, &["4"])).await;
        assert!(vacuum(&lake).await.unwrap() > 0);
        let report = lake.maintenance().check(DEEP).await.unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_of_a_newer_version_is_left_alone() {
    on_both(async |base: Base| {
        let lake = with_retired(&base).await;
        put(&base, NEWER.to_owned()).await;
        for refused in [
            vacuum(&lake).await.map(drop),
            lake.maintenance().rebuild_catalog(&()).await.map(drop),
        ] {
            let error = mismatch(refused);
            assert!(
                matches!(error, MismatchError::NewerFormat { format: 2, .. }),
                "{error}"
            );
        }
        assert_eq!(stored(&base).await.to_string(), {
            let newer: serde_json::Value = serde_json::from_str(NEWER).unwrap();
            newer.to_string()
        });
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_the_place_of_the_identity_or_its_lock_is_named_by_check_and_doctor() {
    for name in ["lake.json", "lake.lock"] {
        let base = Base::local().await;
        let lake = with_retired(&base).await;
        let before = stored(&base).await;
        let path = base.objects().join(name);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let program = Program::on(&base);
        let checked = program.run(&["check"]).await;
        assert_eq!(checked.code, 1, "{checked:?}");
        let expected = format!(
            "{name} in {}: expected a file, got a folder",
            base.store.url
        );
        assert!(checked.out.contains(&expected), "{checked:?}");
        assert!(checked.out.contains(" 1 problems"), "{checked:?}");
        let examined = program.run(&["doctor", "--format", "csv"]).await;
        assert_eq!(examined.code, 1, "{examined:?}");
        assert!(examined.out.contains(&expected), "{examined:?}");
        mismatch(
            lake.ingest()
                .stage_minute(vec![sample("a:two", 9, "9")])
                .await,
        );
        mismatch(lake.maintenance().rebuild_catalog(&()).await.map(drop));
        std::fs::remove_dir(&path).unwrap();
        ingest(&lake, &series("a:two", 9, &["9"])).await;
        assert_eq!(stored(&base).await, before);
    }
}
