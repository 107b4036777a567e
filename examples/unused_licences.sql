-- Which licences do we pay for in vain?
-- Products with paid units that nobody has, or that disabled accounts have; the most units first.
-- Not seen: prices; licences of people who do not use them, which another question is about; shared mailboxes, whose
-- accounts are disabled and may need their licence. Graph does not tell a trial from a purchase.
with holders as (
    select licence->>'$.sku_id' as sku_id, count(*) filter (not u.account_enabled) as disabled
    from users u, unnest(u.assigned_licenses::json[]) as each(licence)
    group by sku_id
),
products as (
    select
        s.sku_part_number as product,
        (s.prepaid_units->>'enabled')::int as paid,
        s.consumed_units as assigned,
        -- Units in warning are those of an expired subscription in its grace period. They can still be assigned, and
        -- suspended ones cannot; nobody pays for either: https://learn.microsoft.com/graph/api/resources/licenseunitsdetail
        (s.prepaid_units->>'warning')::int as expired,
        (s.prepaid_units->>'suspended')::int as suspended,
        greatest(paid - assigned, 0) as unassigned,
        -- No more than are paid.
        least(coalesce(h.disabled, 0), paid) as of_disabled_accounts
    from subscribed_skus s
    left join holders h on h.sku_id = s.sku_id
    where s.applies_to = 'User'
        -- Whatever is free comes with ten thousand units or a million that nobody bought.
        and not regexp_matches(s.sku_part_number, '(_FREE|_VIRAL|_ADHOC|_TRIAL|_DEV|_IW)(_|$)|EXPLORATORY', 'i')
        and s.sku_part_number not in ('POWER_BI_STANDARD', 'WINDOWS_STORE', 'STREAM', 'MICROSOFT_BUSINESS_CENTER')
)
select product, paid, assigned, unassigned, of_disabled_accounts, expired, suspended
from products
where unassigned + of_disabled_accounts > 0
order by unassigned + of_disabled_accounts desc, product;
