-- One metric's hours in a span.
select *
from rollups
where metric = $metric
  and hour between $from and $to
order by hour
