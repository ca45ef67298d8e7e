-- Fleets in the newest month against their limits: those with SIMs over it, or about to be, first.
SELECT fleet_sid, fleet_name, month, complete_until, sims, sims_with_usage, data_total, projected_total, data_total_billed::text AS amount,
    coalesce(billed_unit, '') AS unit, data_limit, sims_over_limit, sims_projected_over, top_sim_sid, top_sim_name, top_sim_total,
    top_sim_share::text, count(*) OVER () AS all_fleets
FROM usage.fleet_month_to_date
WHERE @account::text = '' OR account_sid = @account
ORDER BY coalesce(sims_over_limit, 0) DESC, coalesce(sims_projected_over, 0) DESC, data_total DESC, account_sid, fleet_sid, unit
LIMIT @most
