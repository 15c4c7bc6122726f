-- What each metric of some measures comes to over a span. An id is market:pair[:measure]; a price names no measure.
-- Moments as (count, mean, m2): numbers enter by Welford's method in the order of time, hours are merged by Chan's
-- formula in their order, so that equal series have equal spreads, to the last bit.
with hours as (
  select metric, date_trunc('hour', ts) as hour,
    reduce(
      array_agg(value order by ts),
      cast(row(0e0, 0e0, 0e0) as row(n double, mean double, m2 double)),
      (s, x) -> cast(row(
        s.n + 1e0,
        s.mean + (x - s.mean) / (s.n + 1e0),
        s.m2 + (x - s.mean) * (x - (s.mean + (x - s.mean) / (s.n + 1e0)))
      ) as row(n double, mean double, m2 double)),
      s -> s
    ) as moments,
    min(value) as least,
    max(value) as greatest,
    min_by(value, ts) as first_value,
    max_by(value, ts) as last_value
  from prices
  where dt between $first_day and $last_day
    and ts between cast($from as timestamp) and cast($to as timestamp)
    and split_part(metric, ':', 3) in ($measures)
  group by metric, date_trunc('hour', ts)
),
spans as (
  select metric,
    reduce(
      array_agg(moments order by hour),
      cast(row(0e0, 0e0, 0e0) as row(n double, mean double, m2 double)),
      (s, x) -> cast(row(
        s.n + x.n,
        s.mean + (x.mean - s.mean) * x.n / (s.n + x.n),
        s.m2 + (x.m2 + (x.mean - s.mean) * (x.mean - s.mean) * s.n * x.n / (s.n + x.n))
      ) as row(n double, mean double, m2 double)),
      s -> s
    ) as moments,
    min(least) as least,
    max(greatest) as greatest,
    min_by(first_value, hour) as first_value,
    max_by(last_value, hour) as last_value
  from hours
  group by metric
)
select metric, cast(moments.n as bigint) as n, moments.mean as mean, moments.m2 as m2,
  least, greatest, first_value, last_value
from spans
