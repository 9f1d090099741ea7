/**
 * The pipeline's first schema. Raw SQL, forward only, one string a migration.
 * Every table that holds shop data leads its key with shop_id, so that it can be distributed by shop later.
 */
export const CREATE_PIPELINE = `
create schema kernel;
create schema pipeline;

create table kernel.api_token (
  id bigint generated always as identity primary key,
  name text not null,
  role text not null check (role in ('viewer', 'responder', 'admin')),
  token_hash bytea not null unique,          -- SHA-256; the token itself is shown once and kept nowhere
  created_at timestamptz not null,
  last_used_at timestamptz,
  revoked_at timestamptz
);

create table kernel.audit (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  actor text not null,
  action text not null,                       -- 'shop.create', 'payload.view', 'dead-letter.replay' ...
  subject text not null,
  detail jsonb not null default '{}'
);
create index audit_at on kernel.audit (at);

-- People edit these (TypeORM entities). sandbox is part of every reference, so pretended and real can never mix.
create table pipeline.shop (
  id bigint generated always as identity primary key,
  domain text not null constraint shop_domain_unique unique,
  key text not null constraint shop_key_unique unique,   -- opaque, in the callback URL: a Shopify mail names the URL but no shop
  sandbox boolean not null default false,
  origin text not null check (origin in ('file', 'api')),
  admin_url text,
  access_token bytea,                         -- sealed
  subscriptions text not null default 'shop' check (subscriptions in ('shop', 'app')),
  settings jsonb not null default '{}',
  uninstalled_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint shop_world unique (id, sandbox)
);

create table pipeline.destination (
  id integer generated always as identity primary key,
  name text not null constraint destination_name_unique unique,
  kind text not null check (kind in ('ga4', 'segment', 'postgres', 'webhook')),
  sandbox boolean not null default false,
  origin text not null check (origin in ('file', 'api')),
  enabled boolean not null default true,
  disabled_reason text,
  settings jsonb not null default '{}',
  secrets bytea,                              -- sealed JSON
  created_at timestamptz not null,
  updated_at timestamptz not null,
  constraint destination_world unique (id, sandbox)
);

create table pipeline.shop_destination (
  shop_id bigint not null,
  destination_id integer not null,
  sandbox boolean not null,
  primary key (shop_id, destination_id),
  constraint shop_destination_shop foreign key (shop_id, sandbox) references pipeline.shop (id, sandbox) on delete cascade,
  constraint shop_destination_destination foreign key (destination_id, sandbox) references pipeline.destination (id, sandbox)
);
create index shop_destination_by_destination on pipeline.shop_destination (destination_id);

-- Bumped in the transaction of every change to the three tables above; processes reload their copy when it moves.
create table pipeline.registry_version (only_row boolean primary key default true check (only_row), version bigint not null);
insert into pipeline.registry_version (version) values (1);

-- The inbox. One stream is one flusher connection: it commits one segment after the other, so within a stream the
-- order of seq is the order of commits, and a cursor that moves along one stream can never pass an append that has
-- not committed yet.
create table pipeline.inbox_stream (
  id integer generated always as identity primary key,
  writer text not null,
  opened_at timestamptz not null,
  closed_at timestamptz,
  cursor_day date not null,
  cursor_seq bigint not null default 0
);
create index inbox_stream_open on pipeline.inbox_stream (id) where closed_at is null;

create table pipeline.inbox_segment (
  day date not null,
  stream_id integer not null,
  seq bigint not null,
  appended_at timestamptz not null,
  entries integer not null,
  raw_bytes integer not null,
  body bytea not null,
  primary key (day, stream_id, seq)
) partition by range (day);
alter table pipeline.inbox_segment alter column body set storage external; -- compressed by us; pglz would only burn CPU

-- How far each journal file has been drained, committed together with the segments it became (drained once).
create table pipeline.journal_drain (
  journal_id text primary key,
  drained_bytes bigint not null,
  drained_at timestamptz not null
);

-- One row a webhook id: what makes a second arrival harmless, and what became of the first.
create table pipeline.webhook (
  shop_id bigint not null,
  webhook_id text not null,
  week date not null,
  topic text not null,
  received_at timestamptz not null,
  outcome text not null,                      -- planned, duplicate, no-effect, unknown-topic, held, dead
  reason text,
  subject_id text,
  repeats integer not null default 0,
  last_repeat_at timestamptz,
  segment_day date not null,
  stream_id integer not null,
  segment_seq bigint not null,
  entry integer not null,
  primary key (shop_id, webhook_id, week)
) partition by range (week);

-- What cannot go on yet, with its payload: an unknown shop, a body that is only an id and no token to fetch it with.
create table pipeline.held (
  id bigint generated always as identity primary key,
  shop_domain text not null,
  webhook_id text not null,
  sandbox boolean not null,
  topic text not null,
  reason text not null,
  detail text,
  received_at timestamptz not null,
  held_at timestamptz not null,
  next_try_at timestamptz,
  tries integer not null default 0,
  repeats integer not null default 0,
  released_at timestamptz,
  payload bytea not null                      -- sealed segment of one entry
);
create unique index held_once on pipeline.held (shop_domain, webhook_id, sandbox) where released_at is null;
create index held_due on pipeline.held (next_try_at) where released_at is null;

-- The ledger: exactly one row an obligation. day is the UTC date of the subject's created_at, which never changes, so
-- that the key stays the same whatever arrives and partitions can be dropped whole.
create table pipeline.ledger (
  shop_id bigint not null,
  subject_id text not null,
  kind smallint not null,
  destination_id integer not null,
  day date not null,
  order_id text not null,
  version bigint not null,
  state smallint not null,
  reason text,
  occurred_at timestamptz not null,
  logged_at timestamptz not null,
  queued_at timestamptz,
  accepted_at timestamptz,
  confirmed_at timestamptz,
  updated_at timestamptz not null,
  attempts integer not null default 0,
  segment_day date not null,
  stream_id integer not null,
  segment_seq bigint not null,
  entry integer not null,
  primary key (shop_id, subject_id, kind, destination_id, day)
) partition by range (day);
create index ledger_by_order on pipeline.ledger (shop_id, order_id) where order_id <> subject_id;

-- Facts are appended, never changed: every stage of every obligation, every attempt, every reason.
create table pipeline.ledger_fact (
  shop_id bigint not null,
  subject_id text not null,
  kind smallint not null,
  destination_id integer not null,
  day date not null,                          -- UTC date of at
  at timestamptz not null,
  version bigint not null,
  state smallint not null,                    -- the state reached; an attempt that failed leaves it queued
  reason text,
  detail text,
  attempt integer,
  duration_ms integer,
  webhook_id text
) partition by range (day);
create index ledger_fact_by_subject on pipeline.ledger_fact (shop_id, subject_id);
create index ledger_fact_at on pipeline.ledger_fact using brin (at);

-- What is not yet done, in tiny rows. Done work leaves. The row is the job: it is written in the transaction that
-- moves the cursor, and leaves in the transaction that writes the ledger.
create table pipeline.delivery (
  shop_id bigint not null,
  destination_id integer not null,
  kind smallint not null,
  subject_id text not null,
  id bigint generated always as identity,
  order_id text not null,
  ledger_day date not null,
  version bigint not null,
  segment_day date not null,
  stream_id integer not null,
  segment_seq bigint not null,
  entry integer not null,
  queued_at timestamptz not null,
  due_at timestamptz not null,
  attempts integer not null default 0,
  lease bigint,                               -- token of the claim in flight; negative = a newer version came meanwhile; null = free
  lease_until timestamptz,                    -- past it the claim counts as lost
  orphaned boolean not null default false,    -- an earlier claim was lost: its try may have taken effect
  losses smallint not null default 0,         -- claims lost since the last outcome
  primary key (shop_id, destination_id, kind, subject_id)
) with (
  -- A claim changes no indexed column: with room on its page the new version of the row costs no index entry (HOT).
  fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.05);
-- The lane: (shop, destination), by due time. Claims walk it from their floor.
create index delivery_lane on pipeline.delivery (shop_id, destination_id, due_at, id);
create sequence pipeline.lease_token;

create table pipeline.lane (
  shop_id bigint not null,
  destination_id integer not null,
  state text not null check (state in ('closed', 'open')),  -- a breaker's words: open = nothing passes
  since timestamptz not null,
  retry_at timestamptz,
  failures integer not null default 0,
  last_error text,
  primary key (shop_id, destination_id)
);

create table pipeline.dead_letter (
  shop_id bigint not null,                    -- 0 = no shop could be told
  id bigint generated always as identity,
  shop_domain text not null,
  destination_id integer,                     -- null = the webhook could not be mapped for anybody
  kind smallint,
  subject_id text,
  order_id text,
  ledger_day date,
  version bigint,
  topic text not null,
  webhook_id text not null,
  lane text not null check (lane in ('ours', 'theirs')),
  reason text not null,
  detail text,
  attempts integer not null default 0,
  received_at timestamptz not null,
  buried_at timestamptz not null,
  replayed_at timestamptz,
  payload bytea not null,                     -- sealed segment of one entry: kept past the inbox's retention
  primary key (shop_id, id)
);
create index dead_letter_open on pipeline.dead_letter (buried_at) where replayed_at is null;
create unique index dead_letter_id on pipeline.dead_letter (id);

-- What enrichment has learnt from the Admin API. No personal data.
create table pipeline.product (
  shop_id bigint not null,
  product_id text not null,
  product_type text,
  vendor text,
  fetched_at timestamptz not null,
  primary key (shop_id, product_id)
);

-- Leaders, one a kind of scheduled work; held by an advisory lock, shown here for people.
create table kernel.leader (name text primary key, process text not null, since timestamptz not null);

create table pipeline.ledger_older partition of pipeline.ledger default;
create table pipeline.ledger_fact_older partition of pipeline.ledger_fact default;
`;
