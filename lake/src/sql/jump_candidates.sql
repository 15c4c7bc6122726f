-- Metrics with a sample that may be a jump: floats with some slack, so that none is missed.
-- Where a value in the window is negative the mean may lose its digits: such a metric is always a candidate.
with valued as (
    select metric, ts, cast(ts as bigint) / 60000 as minute,
           cast(unscaled as double) / power(cast(10 as double), scale) as value
    from samples
    where ts between $from and $to
),
trailing as (
    select metric, ts, value, avg(value) over before as mean, count(value) over before as n, min(value) over before as low
    from valued
    window before as (partition by metric order by minute range between {window} preceding and 1 preceding)
)
select distinct metric
from trailing
where ts >= $first
  and n >= $least
  and (low < 0 or value > $factor * mean * (1 - 1e-9))
