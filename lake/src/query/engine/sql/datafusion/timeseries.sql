-- One metric's samples in a span.
select ts, unscaled, scale
from samples
where metric = $metric
  and ts between $from and $to
order by ts
