-- The latest sample that each of some metrics has in a span.
select metric,
  max(date_diff('minute', timestamp '1970-01-01 00:00:00', ts)) as minute,
  max_by(unscaled, ts) as unscaled,
  max_by(scale, ts) as scale
from samples
where dt between $first_day and $last_day
  and ts between cast($from as timestamp) and cast($to as timestamp)
  and metric in ($metrics)
group by metric
