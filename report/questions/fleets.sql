-- Fleets in the newest month against their limits: those with SIMs over it, or about to be, first.
SELECT account_sid, fleet_sid, fleet_name, month, complete_until, sims, sims_with_usage, data_total, projected_total, data_total_billed::text AS amount,
    coalesce(billed_unit, '') AS unit, data_limit, sims_over_limit, sims_projected_over, top_sim_sid, top_sim_name, top_sim_share::text, all_rows
FROM (
    SELECT *, count(*) OVER (PARTITION BY account_sid) AS all_rows,
        row_number() OVER (PARTITION BY account_sid ORDER BY sims_over_limit DESC, sims_projected_over DESC, data_total DESC, fleet_sid, billed_unit) AS place
    FROM usage.fleet_month_to_date
) f
WHERE place <= @most
ORDER BY sims_over_limit DESC, sims_projected_over DESC, data_total DESC, account_sid, place
