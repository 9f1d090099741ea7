/** How telling goes: how each recipient answers, what the pager says of its incidents, and what was done when. */
export const CREATE_NOTIFY = `
-- One row a recipient of a channel. Its lock makes several processes take turns: pace and back-off are of the recipient.
create table alerting.recipient (
  world text not null,
  channel text not null,
  recipient text not null,
  paced_until timestamptz not null,           -- when the last event would have left at the steady pace
  failures integer not null default 0,        -- in a row; 0 = it answers
  failing_since timestamptz,
  blocked_until timestamptz,                  -- nothing is sent before
  taken_at timestamptz,                       -- when it last took something
  refused_at timestamptz,                     -- when it last said that it will never take something
  last_error text,
  primary key (world, channel, recipient)
);

-- What the pager last said of the incident of a key. An open one proves that somebody has been paged.
create table alerting.pager_incident (
  world text not null,
  dedupe_key text not null,
  incident_id text not null,
  state text not null check (state in ('triggered', 'acknowledged', 'resolved')),
  occurred_at timestamptz not null,           -- by the pager's clock: what is older than that is no news
  changed_at timestamptz not null,            -- by ours
  primary key (world, dedupe_key)
);

-- Which of the pager's webhooks have been worked; it repeats one for up to 48 hours.
create table alerting.pager_webhook (id text primary key, received_at timestamptz not null);
create index pager_webhook_received on alerting.pager_webhook (received_at);

-- When what is done at intervals was last done, over all processes. Its row's lock lets one process do it.
create table alerting.round (name text primary key, done_at timestamptz not null);

alter table alerting.notification
  add column unconfirmed_at timestamptz,      -- nobody was seen to be paged in time; null again once somebody is
  add column looked_at timestamptz;           -- when the pager was last asked whether somebody is
create index notification_unseen on alerting.notification (world, recipient) where unconfirmed_at is not null;
create index notification_said on alerting.notification (world, dedupe_key, id) where channel = 'pagerduty';
create index notification_second on alerting.notification (alert_id, action) where channel = 'second';
`;
