/** Reconciliation: what Shopify sold, what of it did not arrive, and what was done about it. */
export const CREATE_RECONCILIATION = `
-- How far each shop has been compared with Shopify. One row a shop, made at its first turn.
create table monitoring.shop_turn (
  shop_id bigint primary key,
  compared_from_at timestamptz,               -- orders updated in [compared_from_at, compared_until_at) were compared
  compared_until_at timestamptz,
  next_run_at timestamptz not null,
  failures integer not null default 0,        -- tries in a row that could not look
  last_error text
);

create table monitoring.reconciliation (
  shop_id bigint not null,
  id bigint generated always as identity,
  why text not null,                          -- 'hourly', 'first', 'on-demand', 'subscription-removed' ...
  requested_by text not null,
  from_at timestamptz not null,               -- orders updated in [from_at, to_at)
  to_at timestamptz not null,
  -- queued -> running -> settling (all listed, gaps open) -> complete; partial and blind say that it could not look at
  -- everything, or at anything, and go on with their next try. failed = gave up, with the reason.
  state text not null check (state in ('queued', 'running', 'partial', 'blind', 'settling', 'complete', 'failed')),
  detail text,
  not_covered text,                           -- what the window does not cover: the 60-day wall
  position jsonb,                             -- where the listing stands
  orders_listed integer not null default 0,   -- distinct
  counts jsonb not null default '[]',         -- by destination and kind: how each state stood when compared
  next_try_at timestamptz not null,
  tries integer not null default 0,
  requested_at timestamptz not null,
  started_at timestamptz,
  listed_at timestamptz,                      -- everything listed and compared
  finished_at timestamptz,
  primary key (shop_id, id)
);
create unique index reconciliation_id on monitoring.reconciliation (id);
create index reconciliation_by_why on monitoring.reconciliation (why, shop_id) where why not in ('hourly', 'first');
create index reconciliation_open on monitoring.reconciliation (next_try_at) where finished_at is null;

-- Every order that Shopify has listed, once: the 'sold' of every count.
create table monitoring.sold (
  shop_id bigint not null,
  order_id text not null,
  day date not null,                          -- UTC date of sold_at
  sold_at timestamptz not null,               -- created_at in Shopify
  updated_at timestamptz not null,
  payment text not null,
  cancelled boolean not null,
  test boolean not null,
  reconciliation_id bigint not null,          -- the last that listed it
  changed_at timestamptz not null,            -- when what is above was last other than before
  primary key (shop_id, order_id, day)
) partition by range (day);
-- Written as time goes: a few bytes for many rows, and an update stays HOT.
create index sold_changed on monitoring.sold using brin (changed_at) with (pages_per_range = 16, autosummarize = on);
create index sold_by_hour on monitoring.sold (shop_id, sold_at);
create table monitoring.sold_older partition of monitoring.sold default;

-- What was sold and is not where it is owed. One open row an obligation.
create table monitoring.gap (
  shop_id bigint not null,
  id bigint generated always as identity,
  subject_id text not null,
  kind smallint not null,
  destination_id integer not null,
  order_id text not null,
  ledger_day date not null,
  sold_at timestamptz not null,
  stage text not null check (stage in ('logged', 'processed', 'accepted', 'received')),
  cause text not null,
  -- open -> requeued -> recovered; dead = cannot be recovered by us, with the reason; excluded = left out, with the reason
  state text not null check (state in ('open', 'requeued', 'recovered', 'dead', 'excluded')),
  reason text,
  found_at timestamptz not null,
  requeues integer not null default 0,
  requeued_at timestamptz,
  next_look_at timestamptz not null,
  closed_at timestamptz,
  changed_at timestamptz not null,
  primary key (shop_id, id)
);
create index gap_changed on monitoring.gap (changed_at);
create unique index gap_open on monitoring.gap (shop_id, subject_id, kind, destination_id) where closed_at is null;
create index gap_next_look on monitoring.gap (next_look_at) where closed_at is null;
create index gap_dead on monitoring.gap (found_at) where state = 'dead';
create index gap_by_sale on monitoring.gap (shop_id, sold_at);
create unique index gap_id on monitoring.gap (id);

-- Which runs met which gaps.
create table monitoring.reconciliation_gap (
  shop_id bigint not null,
  reconciliation_id bigint not null,
  gap_id bigint not null,
  primary key (shop_id, reconciliation_id, gap_id)
);
create index reconciliation_gap_by_gap on monitoring.reconciliation_gap (shop_id, gap_id);

-- How far each destination has been read back, by when things were accepted there.
create table monitoring.read_back (
  destination_id integer primary key,
  settled_until_at timestamptz not null,      -- everything accepted before has its verdict
  checked_at timestamptz,
  next_check_at timestamptz not null,
  last_error text,
  failures integer not null default 0
);
`;
