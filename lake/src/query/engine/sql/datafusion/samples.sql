-- Every sample in a span.
select metric, ts, unscaled, scale
from samples
where ts between $from and $to
order by metric, ts
