-- Place of each metric of a measure by its sample standard deviation in a span; ties share a place.
-- An id is market:pair[:measure]; a price names no measure.
with spread as (
    select metric, stddev_samp(cast(unscaled as double) / power(cast(10 as double), scale)) as stddev
    from samples
    where ts between $from and $to
      and split_part(metric, ':', 3) = $measure
    group by metric
    having count(*) >= 2
)
select metric, stddev, rank() over (order by stddev desc) as rank
from spread
order by rank, metric
