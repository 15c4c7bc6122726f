-- The metrics that have a sample in a span.
select distinct metric
from samples
where ts between $from and $to
order by metric
