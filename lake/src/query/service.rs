//! The questions that every face asks, so that all of them answer alike.

use std::sync::Arc;

use marketlake_model::{Metric, Minute};

use crate::catalog::directory::Directory;
use crate::error::LakeError;
use crate::lake::Lake;
use crate::query::bucket::{Aggregate, Interval};
use crate::query::engine::QueryEngine;
use crate::query::memory::snapshot::Snapshot;
use crate::query::ranking::{Ranking, Standing};
use crate::query::statistic::Statistic;
use crate::span::{Point, Span};

/// A metric under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name: the pair alone where that is enough.
    pub name: String,
    /// The metric.
    pub metric: Metric,
}

/// A metric's place among all of its measure over the last 24 hours.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    /// The metric.
    pub listed: Listed,
    /// Place and statistic; `None` with fewer than two samples.
    pub standing: Option<Standing>,
    /// How many are ranked.
    pub of: u64,
    /// By what.
    pub statistic: Statistic,
    /// The time that the answer stands for.
    pub span: Span,
}

/// All places of a measure over 24 hours.
#[derive(Clone, Debug)]
pub struct Ranks {
    /// The places.
    pub ranking: Arc<Ranking>,
    /// By what.
    pub statistic: Statistic,
    /// The time that the answer stands for.
    pub span: Span,
}

/// A listing, and what it is one of.
#[derive(Clone)]
pub(crate) struct KeptListing {
    snapshot: Arc<Snapshot>,
    directory: Arc<Directory>,
    listed: Arc<Vec<Listed>>,
}

impl Rank {
    /// `5/43`, or `-/43` where it is unranked.
    #[must_use]
    pub fn display(&self) -> String {
        match &self.standing {
            Some(standing) => format!("{}/{}", standing.rank, self.of),
            None => format!("-/{}", self.of),
        }
    }
}

impl Lake {
    /// A metric under its name.
    #[must_use]
    pub fn listed(&self, metric: Metric) -> Listed {
        Listed {
            name: self.directory().name(&metric).to_owned(),
            metric,
        }
    }

    /// The last 24 hours at a minute, by default the newest committed one. `None` where the lake is empty.
    ///
    /// # Errors
    /// Where the catalog cannot be read.
    pub async fn day(&self, at: Option<Minute>) -> Result<Option<Span>, LakeError> {
        let at = match at {
            Some(at) => Some(at),
            None => self.newest().await?,
        };
        Ok(at.map(Span::day_to))
    }

    /// From `from` to `to`; by default the 24 hours up to the newest committed minute. `None` where the lake is
    /// empty and no end is given.
    ///
    /// # Errors
    /// Where the catalog cannot be read.
    pub async fn span(
        &self,
        from: Option<Minute>,
        to: Option<Minute>,
    ) -> Result<Option<Span>, LakeError> {
        let day = self.day(to).await?;
        Ok(day.map(|day| Span {
            from: from.unwrap_or(day.from),
            to: day.to,
        }))
    }

    /// A metric's samples, or with `gathering` one value an interval, at the interval's start.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn points(
        &self,
        engine: &dyn QueryEngine,
        metric: &Metric,
        span: Span,
        gathering: Option<(Interval, Aggregate)>,
    ) -> Result<Vec<Point>, LakeError> {
        let Some((interval, aggregate)) = gathering else {
            return engine.timeseries(metric, span).await;
        };
        let buckets = engine.buckets(metric, span, interval).await?;
        let points = buckets.iter().filter_map(|bucket| bucket.point(aggregate));
        Ok(points.collect())
    }

    /// The metrics that have a sample in the last 24 hours, by id.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn list(
        &self,
        engine: &dyn QueryEngine,
        at: Option<Minute>,
    ) -> Result<Vec<Listed>, LakeError> {
        let Some(day) = self.day(at).await? else {
            return Ok(Vec::new());
        };
        let metrics = engine.metrics(day).await?;
        if metrics.iter().any(|metric| !self.directory().holds(metric)) {
            self.refresh_directory().await?;
        }
        Ok(metrics
            .into_iter()
            .map(|metric| self.listed(metric))
            .collect())
    }

    /// The same by the engine of choice; the newest listing is made once.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn listing(&self, at: Option<Minute>) -> Result<Arc<Vec<Listed>>, LakeError> {
        if at.is_some() || !self.window().is_ready() {
            return Ok(Arc::new(self.list(&self.engine(), at).await?));
        }
        let snapshot = self.window().snapshot();
        let kept = self.kept_listing().lock().clone();
        if let Some(kept) = kept
            && Arc::ptr_eq(&kept.snapshot, &snapshot)
            && Arc::ptr_eq(&kept.directory, &self.directory())
        {
            return Ok(kept.listed);
        }
        let listed = Arc::new(self.list(self.window().as_ref(), snapshot.newest()).await?);
        *self.kept_listing().lock() = Some(KeptListing {
            snapshot,
            directory: self.directory(),
            listed: Arc::clone(&listed),
        });
        Ok(listed)
    }

    /// All places of a measure over the last 24 hours. `None` where the lake is empty.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn ranks(
        &self,
        engine: &dyn QueryEngine,
        measure: &str,
        statistic: Statistic,
        at: Option<Minute>,
    ) -> Result<Option<Ranks>, LakeError> {
        let Some(span) = self.day(at).await? else {
            return Ok(None);
        };
        let ranking = engine.ranking(measure, statistic, span).await?;
        Ok(Some(Ranks {
            ranking,
            statistic,
            span,
        }))
    }

    /// One metric's place over the last 24 hours.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn rank(
        &self,
        engine: &dyn QueryEngine,
        metric: Metric,
        statistic: Statistic,
        at: Option<Minute>,
    ) -> Result<Rank, LakeError> {
        let span = self
            .day(at)
            .await?
            .unwrap_or_else(|| Span::day_to(Minute::from_number(0)));
        let place = engine.standing(&metric, statistic, span).await?;
        Ok(Rank {
            standing: place.standing,
            listed: self.listed(metric),
            of: place.of,
            statistic,
            span,
        })
    }

    /// One metric's place in a ranking of its measure.
    #[must_use]
    pub fn placed(&self, ranks: &Ranks, metric: Metric) -> Rank {
        let place = ranks.ranking.place(&metric);
        Rank {
            standing: place.standing,
            listed: self.listed(metric),
            of: place.of,
            statistic: ranks.statistic,
            span: ranks.span,
        }
    }

    /// One row of a ranking under its name.
    #[must_use]
    pub fn ranked(&self, ranks: &Ranks, standing: &Standing) -> Rank {
        Rank {
            listed: self.listed(standing.metric.clone()),
            standing: Some(standing.clone()),
            of: ranks.ranking.standings().len() as u64,
            statistic: ranks.statistic,
            span: ranks.span,
        }
    }
}
