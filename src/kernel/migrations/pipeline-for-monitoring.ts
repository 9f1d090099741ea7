/**
 * What monitoring asks of the pipeline's tables. Every new column is nullable: the previous release neither writes nor
 * reads it, and rows from before are read by their older columns.
 */
export const PIPELINE_FOR_MONITORING = `
alter table pipeline.ledger
  add column due_at timestamptz,              -- since when it has been due, as Shopify says; null = not due yet
  add column sold_at timestamptz,             -- the subject's created_at in Shopify: by its hours throughput is told
  add column seen_at timestamptz;             -- when the first webhook told of it; null = none did, reconciliation found it

-- Rows by when they changed, were first seen, were sold, were accepted: all of it follows the order in which rows are
-- written. A BRIN index costs a few bytes for 32 pages, and an update of its columns stays HOT.
create index ledger_times on pipeline.ledger using brin (updated_at, seen_at, sold_at, accepted_at)
  with (pages_per_range = 32, autosummarize = on);

-- Uninstallations, few among millions: a partial index costs other webhooks nothing.
create index webhook_uninstalled on pipeline.webhook (shop_id, received_at) where topic = 'app/uninstalled';

-- Stored webhooks that were gone before anybody read them. Appended, never changed.
create table pipeline.inbox_gap (
  stream_id integer not null,
  first_seq bigint not null,
  last_seq bigint not null,
  noticed_at timestamptz not null,
  after_at timestamptz not null,              -- they had been appended after this moment ...
  before_at timestamptz not null,             -- ... and before this one
  primary key (stream_id, first_seq)
);
create index inbox_gap_by_notice on pipeline.inbox_gap (noticed_at);

-- Our own answers to Shopify that were no 2xx, since the last 2xx. One row a process and key; the row goes with the 2xx.
create table pipeline.intake_tally (
  shop_domain text not null,
  topic text not null,
  process text not null,
  failures_in_row integer not null,
  last_failure_at timestamptz not null,
  last_status smallint not null,              -- 0 = the sender left before it was answered
  primary key (shop_domain, topic, process)
);

-- Since when a shop's events go there; null = since the shop was connected.
alter table pipeline.shop_destination add column linked_at timestamptz;
`;
