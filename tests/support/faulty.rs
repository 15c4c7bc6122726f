//! A store that fails on purpose.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// One call in five fails; half of those after it acted, so that only its answer is lost.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn ObjectStore>,
    calls: AtomicU64,
    failed: AtomicU64,
    full: AtomicBool,
    down: AtomicBool,
}

enum Fate {
    Good,
    FailsFirst,
    LosesAnswer,
}

impl Faulty {
    pub fn over(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            calls: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            full: AtomicBool::new(false),
            down: AtomicBool::new(false),
        })
    }

    /// From now on no object can be written, or all can again.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// From now on it answers nothing, or all again.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::SeqCst)
    }

    /// By a fixed sequence, so that a failing test fails again: of ten calls the third fails, the
    /// seventh loses its answer.
    fn fate(&self) -> Fate {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let fate = match (call * 7 + call / 10) % 10 {
            3 => Fate::FailsFirst,
            7 => Fate::LosesAnswer,
            _ => return Fate::Good,
        };
        self.failed.fetch_add(1, Ordering::SeqCst);
        fate
    }

    fn fault(what: &str) -> Error {
        Error::Generic {
            store: "faulty",
            source: format!("{what} on purpose").into(),
        }
    }

    async fn meet<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        if self.down.load(Ordering::SeqCst) {
            return Err(Self::fault("cannot be reached"));
        }
        match self.fate() {
            Fate::Good => call.await,
            Fate::FailsFirst => Err(Self::fault("failed")),
            Fate::LosesAnswer => {
                call.await?;
                Err(Self::fault("lost the answer"))
            }
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that fails")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if self.full.load(Ordering::SeqCst) {
            return Err(Self::fault("no space left on device"));
        }
        self.meet(self.inner.put_opts(path, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.meet(self.inner.get_opts(path, options)).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.fate() {
            Fate::Good => self.inner.delete_stream(paths),
            Fate::FailsFirst => futures::stream::iter([Err(Self::fault("failed"))]).boxed(),
            Fate::LosesAnswer => self
                .inner
                .delete_stream(paths)
                .map(|deleted| deleted.and_then(|_| Err(Self::fault("lost the answer"))))
                .boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.fate() {
            Fate::Good => self.inner.list(prefix),
            _ => futures::stream::iter([Err(Self::fault("failed"))]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.meet(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.meet(self.inner.copy_opts(from, to, options)).await
    }
}
