-- What else a reader should know: corrections of what was final, and records that are in no sum.
SELECT (SELECT count(*) FROM usage.restatements WHERE period_start >= @from AND period_start < @to AND (@account::text = '' OR account_sid = @account)) AS restated,
    (SELECT count(*) FROM usage.rejected WHERE window_start >= @from AND window_start < @to AND (@account::text = '' OR account_sid = @account)) AS rejected
