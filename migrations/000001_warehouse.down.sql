-- The views are dropped by the program before it migrates down; schema simusage stays, because the migration table lives in it.
DROP TABLE simusage.view_install;
DROP TABLE simusage.run;
DROP TABLE simusage.rejected;
DROP TABLE simusage.restatement;
DROP TABLE simusage.slice_sum;
DROP TABLE simusage.list;
DROP TABLE simusage.slice;
DROP TABLE simusage.usage_monthly;
DROP TABLE simusage.usage_daily;
DROP TABLE simusage.usage_hourly;
DROP TABLE simusage.series;
DROP TABLE simusage.feed;
DROP TABLE simusage.stream;
DROP TABLE simusage.account;
DROP TABLE simusage.billed_unit;
DROP SCHEMA usage;
