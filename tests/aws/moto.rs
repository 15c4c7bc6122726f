//! The lake on another server than s3s-fs, and what only it has.

use super::{TRIED, doctor, finding, history};
use crate::support::base::Base;
use crate::support::moto::Moto;
use crate::support::program::Program;

const BLOCKED: &str = "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>";
const LIFECYCLE: &str = "<LifecycleConfiguration><Rule><ID>uploads</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";

fn on(base: &Base, moto: &Moto) -> Program {
    let all = moto.settings().into_iter();
    all.fold(Program::on(base), |program, (name, value)| {
        program.with(name, value)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_s_set_up_is_looked_at() {
    let (base, moto) = (Base::local().await, Moto::start().await);
    let program = on(&base, &moto);
    let said = doctor(&program).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(finding(&said, "lifecycle").0, "warning");
    assert_eq!(finding(&said, "public access").0, "warning");
    moto.put("lake?publicAccessBlock", BLOCKED).await;
    moto.put("lake?lifecycle", LIFECYCLE).await;
    let said = doctor(&program).await;
    assert_eq!(said.code, 0, "{said:?}");
    for what in TRIED {
        assert_eq!(finding(&said, what).0, "good", "{what}: {said:?}");
    }
    assert_eq!(finding(&said, "lifecycle").0, "good", "{said:?}");
    assert_eq!(
        finding(&said, "public access"),
        ("good".to_owned(), "blocked".to_owned())
    );
    // Moto names the answer's root otherwise than S3 does: what cannot be read is no fault of the
    // bucket.
    assert_eq!(finding(&said, "versioning").0, "unknown", "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_lies_in_it_as_in_any_other() {
    let (base, moto) = (Base::local().await, Moto::start().await);
    let program = on(&base, &moto).with("MARKETLAKE_STORE__ENCRYPTION", "sse-s3");
    let plain = Base::local().await;
    let (folder, file) = (Program::on(&plain), history(&base));
    for program in [&program, &folder] {
        program.ok(&["import", &file]).await;
        program.ok(&["compact"]).await;
    }
    for question in [
        &["rank", "a"][..],
        &["timeseries", "b"],
        &["metrics"],
        &["jumps", "--from", "2026-11-24T10:00:00Z"],
    ] {
        assert_eq!(
            program.json(question).await,
            folder.json(question).await,
            "{question:?}"
        );
    }
    let check = program.ok(&["check", "--deep"]).await;
    assert!(
        check.contains("240 rows") && check.contains("0 problems"),
        "{check}"
    );
    // Each object is encrypted as configured.
    let link = program.ok(&["export", "a", "--link"]).await;
    let fetched = reqwest::get(link.trim()).await.unwrap();
    assert_eq!(fetched.headers()["x-amz-server-side-encryption"], "AES256");
    assert!(fetched.bytes().await.unwrap().starts_with(b"PAR1"));
}
