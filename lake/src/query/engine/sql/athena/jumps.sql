-- The samples in a span that may be jumps, each with those of the window before it, in the order of time. Sums of floats
-- leave out only what is no jump for certain, by a billionth; exact integers decide on the rest.
-- Upwards: value * n > factor * sum, so sign 1, low 1, high factor; downwards: value * n * factor < sum, so sign -1, low factor, high 1.
with minutes as (
  select metric, date_diff('minute', timestamp '1970-01-01 00:00:00', ts) as minute, value,
    concat(cast(unscaled as varchar), 'E', cast(-scale as varchar)) as exact
  from prices
  where dt between $first_day and $last_day
    and ts between cast($from as timestamp) and cast($to as timestamp)
    and ($all_metrics = 1 or metric = $metric)
),
trailing as (
  select metric, minute, value, exact,
    count(*) over (partition by metric order by minute range between $window preceding and 1 preceding) as n,
    sum(value) over (partition by metric order by minute range between $window preceding and 1 preceding) as total,
    sum(abs(value)) over (partition by metric order by minute range between $window preceding and 1 preceding) as size
  from minutes
),
candidates as (
  select metric, minute, exact
  from trailing
  where minute between $first_minute and $last_minute
    and n >= $least
    and total + 1e-9 * size > 0e0
    and $sign * (cast($high as double) * total - cast($low as double) * value * n)
      <= 1e-9 * (cast($high as double) * size + cast($low as double) * abs(value) * n)
)
select c.metric, c.minute, c.exact,
  array_join(array_agg(m.exact order by m.minute), ' ') as before
from candidates c
join minutes m on m.metric = c.metric and m.minute between c.minute - $window and c.minute - 1
group by c.metric, c.minute, c.exact
order by c.minute, c.metric
