/** Mails that claim to be Shopify's: what they say, whether they are believed, and what became of them. */
export const CREATE_NOTICES = `
-- One row a thing said: a mail that says two things makes two, and the same thing again within an hour counts in the
-- row that is there. No mail is kept, only its subject and what it says.
create table monitoring.notice (
  id bigint generated always as identity primary key,
  world text not null check (world in ('real', 'sandbox')),
  provider text not null,
  class text not null check (class in ('removed', 'failing', 'other', 'unknown', 'untrusted')),
  wording text not null check (wording in ('removed', 'failing', 'other', 'unknown')),
  trust text not null,                        -- why it is believed, or why not
  sender_domain text,
  shop_id bigint,                             -- null = it names no shop of ours
  topic text,
  url text,
  removed_at timestamptz,
  attempts integer,
  subject text not null,
  excerpt text,                               -- at most 500 characters around what it says
  fact_key bytea not null,
  received_at timestamptz not null,
  last_at timestamptz not null,
  count integer not null default 1,
  hint_due boolean not null,                  -- the subscription watch is still to be told
  hinted_at timestamptz,
  attention boolean not null,                 -- a person is to look
  read_by text,
  read_at timestamptz,
  classified_by text,
  classified_at timestamptz
);
create index notice_by_fact on monitoring.notice (fact_key, received_at desc);
create index notice_by_shop on monitoring.notice (shop_id, id);
create index notice_by_time on monitoring.notice (received_at);
create index notice_hint_due on monitoring.notice (id) where hint_due;
create index notice_attention on monitoring.notice (id) where attention;

-- Mails and tokens that have been taken, so that they are taken once.
create table monitoring.notice_seen (key bytea primary key, until_at timestamptz not null);
create index notice_seen_end on monitoring.notice_seen (until_at);
`;
