-- One metric's samples in a span, gathered into intervals of so many minutes since 1970. Moments as in summaries.sql.
with minutes as (
  select date_diff('minute', timestamp '1970-01-01 00:00:00', ts) as minute, value,
    concat(cast(unscaled as varchar), 'E', cast(-scale as varchar)) as exact
  from prices
  where dt between $first_day and $last_day
    and ts between cast($from as timestamp) and cast($to as timestamp)
    and metric = $metric
),
placed as (
  select minute - minute % $interval as bucket, minute - minute % 60 as hour, minute, value, exact
  from minutes
),
parts as (
  select bucket, hour,
    reduce(
      array_agg(value order by minute),
      cast(row(0e0, 0e0) as row(n double, mean double)),
      (s, x) -> cast(row(
        s.n + 1e0,
        s.mean + (x - s.mean) / (s.n + 1e0)
      ) as row(n double, mean double)),
      s -> s
    ) as moments,
    min(value) as least, min_by(exact, value) as least_exact,
    max(value) as greatest, max_by(exact, value) as greatest_exact,
    min_by(exact, minute) as first_exact,
    max_by(exact, minute) as last_exact
  from placed
  group by bucket, hour
),
merged as (
  select bucket,
    reduce(
      array_agg(moments order by hour),
      cast(row(0e0, 0e0) as row(n double, mean double)),
      (s, x) -> cast(row(
        s.n + x.n,
        s.mean + (x.mean - s.mean) * x.n / (s.n + x.n)
      ) as row(n double, mean double)),
      s -> s
    ) as moments,
    min_by(least_exact, least) as least,
    max_by(greatest_exact, greatest) as greatest,
    min_by(first_exact, hour) as first_value,
    max_by(last_exact, hour) as last_value
  from parts
  group by bucket
)
select bucket, cast(moments.n as bigint) as n, moments.mean as mean, least, greatest, first_value, last_value
from merged
order by bucket
