-- The metrics that have a sample in a span.
select distinct metric
from samples
where dt between $first_day and $last_day
  and ts between cast($from as timestamp) and cast($to as timestamp)
order by metric
