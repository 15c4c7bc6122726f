//! An S3 server on loopback, over a folder: s3s-fs.

use std::path::Path;

use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;

use super::loopback;

pub const ACCESS_KEY: &str = "marketlake";
pub const SECRET_KEY: &str = "marketlake-secret";
pub const BUCKET: &str = "lake";

/// Serves a folder for as long as the test's runtime lives. Returns the endpoint.
pub async fn serve(folder: &Path) -> String {
    std::fs::create_dir_all(folder.join(BUCKET)).unwrap();
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).unwrap());
    builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
    let service = builder.build();
    let (listener, endpoint) = loopback::listen().await;
    loopback::serve(listener, service);
    endpoint
}
