/** The subscription watch: what it has seen at Shopify, and what the registry must remember of an uninstalled app. */
export const CREATE_SUBSCRIPTIONS = `
-- connected_at: the last connection, a re-installation included; null = created_at.
-- dead_token: SHA-256 of the token that died with the last installation, so that a file that still declares it is not
-- taken for a new one.
alter table pipeline.shop add column connected_at timestamptz, add column dead_token bytea;

-- One row a shop: when its subscriptions were looked at, and when they will be. Written at every look.
create table monitoring.subscription_audit (
  shop_id bigint primary key,
  state text not null,
  since timestamptz not null,                 -- of the state
  reason text,                                -- why nothing can be said; for people
  due_at timestamptz not null,
  tried_at timestamptz,                       -- the last look, good or not
  audited_at timestamptz,                     -- the last good look
  failed_looks integer not null default 0,    -- since the last good one
  failing_since timestamptz,
  hint text,                                  -- why it was asked for out of turn; null = nobody did
  hinted_at timestamptz,
  last_order_at timestamptz                   -- when an order of the shop last came in; up to an hour behind
);
create index subscription_audit_due on monitoring.subscription_audit (due_at);

-- One row a topic that is wanted, or that was seen subscribed to our address. Written when something about it changes:
-- one that is there was last seen when its shop was last audited.
create table monitoring.subscription (
  shop_id bigint not null,
  topic text not null,                        -- 'orders/create'; as Shopify spells it where it is not wanted
  state text not null,
  since timestamptz not null,                 -- of the state
  wanted boolean not null,
  subscription_id text,                       -- Shopify's id; null = there is none
  uri text,                                   -- where it sends
  findings jsonb not null,
  first_seen_at timestamptz,                  -- null = never here since the shop was connected
  last_seen_at timestamptz,                   -- before it was gone
  gone_since timestamptz,                     -- the look that missed it; null = there is no open case
  removals integer not null default 0,        -- within the open case
  creating_at timestamptz,                    -- before Shopify was asked to make it: who crashed in between knows whose it is
  recreated_at timestamptz,
  recreated_by text,
  reconciliation_id text,                     -- the run that is to prove the gap
  gap_from timestamptz,
  tries integer not null default 0,           -- to mend it, in a row, without success
  next_try_at timestamptz,
  error text,                                 -- what Shopify said to the last try
  changed_at timestamptz not null,            -- when the row was last written
  primary key (shop_id, topic)
);
`;
