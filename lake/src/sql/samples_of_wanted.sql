-- All samples in a span of the metrics in `wanted`.
select samples.metric, ts, unscaled, scale
from samples join wanted on samples.metric = wanted.metric
where ts between $from and $to
order by samples.metric, ts
