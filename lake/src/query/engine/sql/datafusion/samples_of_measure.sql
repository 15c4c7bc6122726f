-- Every sample in a span of the metrics of one measure, in the order of the files.
-- An id is market:pair[:measure]; a price names no measure.
select metric, ts, unscaled, scale
from samples
where ts between $from and $to
  and split_part(metric, ':', 3) = $measure
