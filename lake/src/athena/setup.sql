-- The lake as tables. A day's object at the partition's place lists the day's files, and is replaced as a whole.
create database if not exists `$database`
comment 'Crypto market data, kept by marketlake'
;
create external table if not exists `$database`.`samples` (
  `metric` string comment 'market:pair, or market:pair:measure',
  `ts` timestamp comment 'start of a UTC minute',
  `unscaled` bigint comment 'value = unscaled / 10^scale',
  `scale` tinyint
)
comment 'One row a metric and minute'
partitioned by (`dt` string)
row format serde 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'
stored as inputformat 'org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat'
outputformat 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
location '$samples'
tblproperties (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2009-01-01,NOW+1DAYS',
  'storage.location.template' = '$samplesdt=${dt}/'
)
;
create external table if not exists `$database`.`rollups` (
  `metric` string comment 'market:pair, or market:pair:measure',
  `hour` timestamp comment 'start of a UTC hour',
  `count` int comment 'samples in the hour',
  `mean` double,
  `m2` double comment 'sum of squared differences from the mean',
  `min_unscaled` bigint,
  `min_scale` tinyint,
  `max_unscaled` bigint,
  `max_scale` tinyint,
  `first_unscaled` bigint,
  `first_scale` tinyint,
  `last_unscaled` bigint,
  `last_scale` tinyint
)
comment 'One row a metric and hour, of hours that were merged'
partitioned by (`dt` string)
row format serde 'org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe'
stored as inputformat 'org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat'
outputformat 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
location '$rollups'
tblproperties (
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2009-01-01,NOW+1DAYS',
  'storage.location.template' = '$rollupsdt=${dt}/'
)
;
create or replace view "$database"."prices" as
select metric, ts, unscaled / power(1e1, scale) as value, unscaled, scale, dt
from "$database"."samples"
