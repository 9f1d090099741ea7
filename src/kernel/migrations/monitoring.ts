/** Monitoring's own schema: what it has judged. It reads the pipeline's tables through the pipeline's contract only. */
export const CREATE_MONITORING = `
create schema monitoring;

-- One row a thing that is, or was, not as it should be. One open row a kind and subject.
create table monitoring.signal (
  id bigint generated always as identity primary key,
  kind text not null,
  subject text not null,                      -- what it is about, within its kind: 'acme.myshopify.com/orders/paid'
  shop_id bigint,
  destination_id integer,
  facts jsonb not null,
  evidence text not null,                     -- where a person looks: a path of the API
  opened_at timestamptz not null,
  updated_at timestamptz not null,
  closed_at timestamptz,
  updates integer not null default 0
);
create unique index signal_open on monitoring.signal (kind, subject) where closed_at is null;
create index signal_by_opening on monitoring.signal (opened_at);

-- What alerting pulls, by seq. Appended under one lock, so that the order of seq is the order of commits and nobody who
-- reads up to a seq can miss a smaller one that commits later. Never updated, never deleted by hand.
create table monitoring.signal_change (
  seq bigint generated always as identity primary key,
  signal_id bigint not null references monitoring.signal (id),
  at timestamptz not null,
  change text not null check (change in ('opened', 'updated', 'closed')),
  facts jsonb not null,
  evidence text not null
);
create index signal_change_by_signal on monitoring.signal_change (signal_id, seq);

-- How far a reader of the pipeline's facts has come, by the reader's name.
create table monitoring.watermark (name text primary key, at timestamptz not null);
`;
