-- Every sample in a span, in the order of the files.
select metric, ts, unscaled, scale
from samples
where ts between $from and $to
