//! Rate limiting in points a minute, for each key or network address (GCRA).

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Extension;
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::Quota;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;

use super::response_size::points_for_bytes;
use crate::caller::Caller;
use crate::compute::measure_cost;
use crate::problem::Problem;

/// Number of charges after which full buckets are pruned.
const PRUNE_EVERY: u32 = 10_000;
const MINUTE: Duration = Duration::from_secs(60);

type Buckets = governor::RateLimiter<
    String,
    DashMapStateStore<String>,
    DefaultClock,
    StateInformationMiddleware,
>;

/// The buckets.
pub struct RateLimiter {
    buckets: Option<Buckets>,
    points: NonZeroU32,
    charges: AtomicU32,
}

/// Points that a client has left.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Points of a full bucket, which fills within a minute.
    pub limit: u32,
    /// Points that are left.
    pub remaining: u32,
    /// Time until the bucket is full.
    pub reset: Duration,
}

/// Result of a charge. A client without a limit has no budget.
pub type Charged = Result<Option<Budget>, RateLimited>;

/// Error of a charge for which too few points are left.
#[derive(Clone, Copy, Debug)]
pub struct RateLimited {
    /// Points that are left: none.
    pub budget: Budget,
    /// Time until there are enough points.
    pub retry_after: Duration,
}

impl RateLimiter {
    /// Limits clients to `points` a minute; 0 is no limit.
    pub fn new(points: u32) -> Self {
        let limit = NonZeroU32::new(points);
        Self {
            buckets: limit.map(|points| {
                governor::RateLimiter::dashmap(Quota::per_minute(points))
                    .with_middleware::<StateInformationMiddleware>()
            }),
            points: limit.unwrap_or(NonZeroU32::MIN),
            charges: AtomicU32::new(0),
        }
    }

    /// Takes points; at most a whole bucket of them.
    ///
    /// # Errors
    /// Fails if too few points are left.
    pub fn charge(&self, caller: &Caller, points: u32) -> Charged {
        if !caller.is_limited() {
            return Ok(None);
        }
        self.charge_account(caller.account(), points)
    }

    /// Takes points of an account.
    ///
    /// # Errors
    /// Fails if too few points are left.
    pub fn charge_account(&self, account: &str, points: u32) -> Charged {
        let Some(buckets) = &self.buckets else {
            return Ok(None);
        };
        if self.charges.fetch_add(1, Ordering::Relaxed) % PRUNE_EVERY == PRUNE_EVERY - 1 {
            buckets.retain_recent();
        }
        let points = NonZeroU32::new(points).unwrap_or(NonZeroU32::MIN);
        let key = account.to_owned();
        match buckets.check_key_n(&key, points.min(self.points)) {
            Ok(Ok(left)) => Ok(Some(self.budget(left.remaining_burst_capacity()))),
            Ok(Err(not_until)) => Err(RateLimited {
                retry_after: not_until.wait_time_from(DefaultClock::default().now()),
                budget: self.budget(0),
            }),
            Err(_) => Err(RateLimited {
                retry_after: MINUTE,
                budget: self.budget(0),
            }),
        }
    }

    fn budget(&self, remaining: u32) -> Budget {
        let missing = self.points.get().saturating_sub(remaining);
        Budget {
            limit: self.points.get(),
            remaining,
            reset: MINUTE.mul_f64(f64::from(missing) / f64::from(self.points.get())),
        }
    }
}

/// Charges the remaining cost of a request that was charged in part; at most what is left.
pub fn charge_remainder(
    rate_limiter: &RateLimiter,
    caller: &Caller,
    before: Option<Budget>,
    points: u32,
) -> Option<Budget> {
    let before = before?;
    let rest = points.min(before.remaining);
    if rest == 0 {
        return Some(before);
    }
    match rate_limiter.charge(caller, rest) {
        Ok(left) => left,
        Err(rate_limited) => Some(rate_limited.budget),
    }
}

/// Charges for work that is done already; at most what is left.
pub fn charge_completed(rate_limiter: &RateLimiter, caller: &Caller, points: u32) {
    if points > 0
        && let Ok(budget) = rate_limiter.charge(caller, 1)
    {
        charge_remainder(rate_limiter, caller, budget, points - 1);
    }
}

impl Budget {
    /// `RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers-10 has them.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        let Self {
            limit, remaining, ..
        } = self;
        let policy = format!("\"points\";q={limit};w={}", MINUTE.as_secs());
        let left = format!("\"points\";r={remaining};t={}", whole_seconds(self.reset));
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", left)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

impl RateLimited {
    /// Writes `RateLimit-Policy`, `RateLimit` and `Retry-After`.
    pub fn write_headers(&self, headers: &mut HeaderMap) {
        self.budget.write_headers(headers);
        headers.insert(RETRY_AFTER, whole_seconds(self.retry_after).max(1).into());
    }
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Charges a request for its route, its computing time and the bytes of request and
/// response, and writes the rate-limit headers.
pub async fn charge(
    State(rate_limiter): State<Arc<RateLimiter>>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let body = points_for_bytes(request.body().size_hint().lower());
    match rate_limiter.charge(&caller, cost(request.uri().path()).saturating_add(body)) {
        Ok(budget) => {
            let (mut response, extra) = measure_cost(caller.account(), next.run(request)).await;
            let bytes = response.body().size_hint().lower();
            let points = points_for_bytes(bytes).saturating_add(extra);
            let budget = charge_remainder(&rate_limiter, &caller, budget, points);
            if let Some(budget) = budget {
                budget.write_headers(response.headers_mut());
            }
            response
        }
        Err(rate_limited) => {
            let mut response = Problem::too_many_requests().into_response();
            rate_limited.write_headers(response.headers_mut());
            response
        }
    }
}

/// Points that a route costs: ten where it may read much of the lake.
fn cost(path: &str) -> u32 {
    let reads_much = ["/jumps", "/query_range", "/series", "/coverage"];
    let reads_series = ["/timeseries", "/query"];
    if reads_much.iter().any(|end| path.ends_with(end)) {
        10
    } else if reads_series.iter().any(|end| path.ends_with(end)) {
        2
    } else {
        1
    }
}
