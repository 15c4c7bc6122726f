-- Every sample in a span.
select metric, date_diff('minute', timestamp '1970-01-01 00:00:00', ts) as minute, unscaled, scale
from samples
where dt between $first_day and $last_day
  and ts between cast($from as timestamp) and cast($to as timestamp)
order by metric, ts
