//! Facade of the lake: store, catalog, the last 24 hours in memory, and the choice of an engine.

use std::sync::{Arc, OnceLock};

use marketlake_entities::Clock;
use marketlake_entities::records::segments::{Entity, Model};
use marketlake_model::{Metric, Millis, Minute};
use parking_lot::{Mutex, RwLock};
use sea_orm::{DatabaseConnection, DbErr, EntityTrait};
use tokio::sync::Notify;

use crate::athena::client::AthenaClient;
use crate::athena::error::AthenaError;
use crate::athena::options::AthenaOptions;
use crate::catalog::directory::Directory;
use crate::catalog::upload_intents::Intents;
use crate::catalog::{identity, metrics, segments};
use crate::error::LakeError;
use crate::query::engine::athena::AthenaEngine;
use crate::query::engine::datafusion::session::DataFusionEngine;
use crate::query::engine::selector::{AthenaPolicy, EngineSelector};
use crate::query::listing::CachedListing;
use crate::query::memory::RecentDay;
use crate::span::Span;
use crate::storage::store::Store;

/// The lake. Cheap to share behind an [`Arc`].
pub struct Lake {
    database: DatabaseConnection,
    clock: Clock,
    store: Store,
    recent_day: Arc<RecentDay>,
    datafusion: DataFusionEngine,
    athena: OnceLock<(AthenaEngine, AthenaPolicy)>,
    directory: Arc<RwLock<Arc<Directory>>>,
    market_order: Vec<String>,
    committed: Arc<Notify>,
    cached_listing: Arc<Mutex<Option<CachedListing>>>,
}

/// Totals of the lake's content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LakeStats {
    /// Live segments.
    pub segments: i64,
    /// Rows in them.
    pub samples: i64,
    /// Size of their objects, rollups included.
    pub bytes: i64,
    /// Size of the rollups' objects.
    pub rollup_bytes: i64,
    /// Metrics in the directory.
    pub metrics: i64,
}

impl Lake {
    /// Opens the lake and reads its directory; the window stays empty until `Queries::follow` fills
    /// it. `market_order` has the markets of the feeds by priority, which decides the owner of a
    /// short name.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn open(
        database: DatabaseConnection,
        store: Store,
        market_order: Vec<String>,
    ) -> Result<Arc<Self>, LakeError> {
        let lake = Self {
            datafusion: DataFusionEngine::new(database.clone(), &store),
            database,
            clock: Clock::system(),
            store,
            recent_day: Arc::new(RecentDay::default()),
            athena: OnceLock::new(),
            directory: Arc::default(),
            market_order,
            committed: Arc::default(),
            cached_listing: Arc::default(),
        };
        lake.refresh_directory().await?;
        Ok(Arc::new(lake))
    }

    /// Clones the lake, with its memory and directory, over another pool of connections, so that
    /// its users do not wait for those of this one.
    #[must_use]
    pub fn with_database(&self, database: DatabaseConnection) -> Arc<Self> {
        let athena = self.athena.get().cloned();
        let athena = athena.map(|(athena, policy)| (athena.with_database(&database), policy));
        Arc::new(Self {
            datafusion: self.datafusion.with_database(&database),
            athena: athena.map_or_else(OnceLock::new, OnceLock::from),
            database,
            clock: self.clock.clone(),
            store: self.store.clone(),
            recent_day: Arc::clone(&self.recent_day),
            directory: Arc::clone(&self.directory),
            market_order: self.market_order.clone(),
            committed: Arc::clone(&self.committed),
            cached_listing: Arc::clone(&self.cached_listing),
        })
    }

    /// Makes sure that the catalog and the store are of one lake and of one state. Each write does
    /// so before its first object: a database that was copied, and whose twin went on, writes
    /// nothing more.
    ///
    /// # Errors
    /// [`LakeError::Mismatch`] where they are not; any other if the store or the catalog could
    /// not be read.
    pub async fn check_identity(&self) -> Result<(), LakeError> {
        identity::ensure(&self.database, &self.store).await?;
        Ok(())
    }

    /// Wakes the tasks that wait in [`Lake::wait_for_commit`] that something was committed by this
    /// process.
    pub fn notify_commit(&self) {
        self.committed.notify_one();
    }

    /// Ends at the next [`Lake::notify_commit`]; commits of other processes are not seen here.
    pub async fn wait_for_commit(&self) {
        self.committed.notified().await;
    }

    /// Upload intents of this lake's writers.
    pub(crate) fn intents(&self) -> Intents {
        Intents::new(&self.database)
    }

    pub(crate) fn cached_listing(&self) -> &Mutex<Option<CachedListing>> {
        &self.cached_listing
    }

    /// The catalog's database.
    #[must_use]
    pub fn database(&self) -> &DatabaseConnection {
        &self.database
    }

    /// The clock of this process, shared by all that it runs.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The time by that clock, which a step of the database's or of the machine's does not move.
    ///
    /// # Errors
    /// Fails if the database fails.
    pub async fn now(&self) -> Result<Millis, DbErr> {
        self.clock.now(&self.database).await
    }

    /// Store of its objects.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The last 24 hours in memory.
    #[must_use]
    pub fn recent_day(&self) -> &Arc<RecentDay> {
        &self.recent_day
    }

    /// The engine over the Parquet files, for any period.
    #[must_use]
    pub fn datafusion(&self) -> DataFusionEngine {
        self.datafusion.clone()
    }

    /// Connects Athena for the queries of its policy; the first options stay.
    ///
    /// # Errors
    /// Fails if the lake is not in a bucket, or no workgroup is named.
    pub fn connect_athena(
        &self,
        options: AthenaOptions,
        policy: AthenaPolicy,
    ) -> Result<(), LakeError> {
        let bucket = self.store.bucket();
        let bucket = bucket.ok_or_else(|| AthenaError::NeedsBucket(format!("{:?}", self.store)))?;
        let client = AthenaClient::new(bucket, options, Intents::new(&self.database))?;
        self.athena.get_or_init(|| {
            (
                AthenaEngine::new(&self.database, &self.store, client),
                policy,
            )
        });
        Ok(())
    }

    /// Athena's engine, where it is connected.
    #[must_use]
    pub fn athena(&self) -> Option<AthenaEngine> {
        self.athena.get().map(|(athena, _)| athena.clone())
    }

    /// Selector of engines: memory where it holds the whole span, else the Parquet files, or Athena
    /// by its policy.
    #[must_use]
    pub fn engine(&self) -> EngineSelector {
        EngineSelector::new(
            self.database.clone(),
            Arc::clone(&self.recent_day),
            self.datafusion(),
            self.athena.get().cloned(),
        )
    }

    /// Names and metrics, as last read.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read())
    }

    /// The metric that an id or a name stands for; reads the directory anew before it says none.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn resolve(&self, name: &str) -> Result<Option<Metric>, LakeError> {
        if let Some(metric) = self.directory().resolve(name) {
            return Ok(Some(metric));
        }
        self.refresh_directory().await?;
        Ok(self.directory().resolve(name))
    }

    /// Reads the directory anew where it has grown, or a feed recorded one of its metrics first.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn refresh_directory(&self) -> Result<(), LakeError> {
        if metrics::counts(&self.database).await? == self.directory().counts() {
            return Ok(());
        }
        let entries = metrics::entries(&self.database).await?;
        *self.directory.write() = Arc::new(Directory::new(entries, &self.market_order));
        Ok(())
    }

    /// The newest minute with a committed sample: the default `at` of queries.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn newest(&self) -> Result<Option<Minute>, LakeError> {
        // The in-memory day holds committed minutes only, and is at most half a second behind.
        if self.recent_day.is_ready() {
            return Ok(self.recent_day.newest());
        }
        Ok(segments::newest(&self.database).await?)
    }

    /// Number of live segments with samples of impossible minutes at a time: in the future,
    /// or before there were markets.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn impossible_segments(&self, now: Millis) -> Result<usize, LakeError> {
        Ok(segments::out_of_range(&self.database, now).await?.len())
    }

    /// The id of the newest segment, whatever became of it; 0 where there was none yet.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn newest_segment(&self) -> Result<i64, LakeError> {
        Ok(segments::newest_id(&self.database).await?)
    }

    /// The ids of the live segments that may hold samples of a span, as they were committed.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn segment_ids(&self, span: Span) -> Result<Vec<i64>, LakeError> {
        let live = segments::live(&self.database, span).await?;
        Ok(live.into_iter().map(|segment| segment.id).collect())
    }

    /// Segments of all states up to a maximum, the newest first (the oldest, where `backwards`):
    /// those behind one of them and before another.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn segments(
        &self,
        after: Option<i64>,
        before: Option<i64>,
        backwards: bool,
        limit: u64,
    ) -> Result<Vec<Model>, LakeError> {
        Ok(segments::page(&self.database, after, before, backwards, limit).await?)
    }

    /// One segment, in whatever state.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn segment(&self, id: i64) -> Result<Option<Model>, LakeError> {
        Ok(Entity::find_by_id(id).one(&self.database).await?)
    }

    /// Bounds from the oldest to the newest minute with a committed sample; `None` where the lake
    /// is empty.
    /// empty.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn bounds(&self) -> Result<Option<Span>, LakeError> {
        Ok(segments::bounds(&self.database).await?)
    }

    /// Totals of the lake's content.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn stats(&self) -> Result<LakeStats, LakeError> {
        let (segments, samples, bytes, rollup_bytes) = segments::totals(&self.database).await?;
        let metrics = metrics::counts(&self.database).await?.known;
        Ok(LakeStats {
            segments,
            samples,
            bytes,
            rollup_bytes,
            metrics: i64::try_from(metrics).unwrap_or(i64::MAX),
        })
    }

    /// Closed hours that still have raw segments, oldest first.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn hours_to_compact(&self, running: Minute) -> Result<Vec<Minute>, LakeError> {
        Ok(segments::raw_hours(&self.database, running.hour()).await?)
    }

    /// Closed days that are not one segment yet, oldest first.
    ///
    /// # Errors
    /// Fails if the catalog cannot be read.
    pub async fn days_to_compact(&self, running: Minute) -> Result<Vec<Minute>, LakeError> {
        Ok(segments::uncompacted_days(&self.database, running.day()).await?)
    }
}
