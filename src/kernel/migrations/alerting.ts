/** Alerting's own schema: what it makes of monitoring's signals, and what it has said to whom. */
export const CREATE_ALERTING = `
create schema alerting;

-- How far each reader has come. Locked by whoever reads on, so what is read is worked once, over any number of processes.
create table alerting.cursor (name text primary key, seq bigint not null);

-- One row an alert. One that is not closed for each dedupe key.
create table alerting.alert (
  id bigint generated always as identity primary key,
  name text not null,                         -- of the catalogue
  dedupe_key text not null,                   -- 'domain:object:cause'
  world text not null check (world in ('real', 'sandbox')),
  class text not null check (class in ('page', 'ticket', 'log')),
  severity smallint not null check (severity between 1 and 4),
  state text not null check (state in ('pending', 'open', 'closed')),
  route text not null,
  summary text not null,
  facts jsonb not null,
  evidence text not null,
  runbook text not null,
  shop text,                                  -- domain; null = not about one shop
  destination text,                           -- name; null = not about one destination
  scope text,                                 -- what else it has in common with others: a kind of destination, an objective
  cause text,                                 -- the key of the alert of many shops that it may be folded into
  is_fleet boolean not null,                  -- whether it is such an alert of many shops
  signals integer not null,                   -- open
  shops integer not null,
  count integer not null,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  due_at timestamptz not null,                -- nobody is told before
  look_at timestamptz,                        -- when there is next something to decide; null = only when a signal changes
  opened_at timestamptz,
  closed_at timestamptz,
  acknowledged_by text,
  acknowledged_at timestamptz,
  acknowledgement_note text,
  next_look_at timestamptz,
  folded_into bigint references alerting.alert (id),
  inhibited_by bigint references alerting.alert (id),
  silenced_by bigint,
  unfold_at timestamptz,                      -- of an alert of many shops: when it ends, because it speaks for few
  unwatched_since timestamptz,                -- nobody has looked since: its facts may be old
  told jsonb not null                         -- who has heard of it: [{channel, recipient, severity, at}]
);
create unique index alert_live on alerting.alert (world, dedupe_key) where state <> 'closed';
create index alert_live_by_name on alerting.alert (world, name) where state <> 'closed';
create index alert_live_by_cause on alerting.alert (world, cause) where state <> 'closed' and cause is not null;
create index alert_to_look_at on alerting.alert (look_at) where look_at is not null;
create index alert_folded on alerting.alert (folded_into) where folded_into is not null;
create index alert_inhibited on alerting.alert (inhibited_by) where inhibited_by is not null;
create index alert_closed on alerting.alert (closed_at) where state = 'closed';

-- Which signals are in it. A signal that has closed stays until its alert has closed too.
create table alerting.alert_signal (
  alert_id bigint not null references alerting.alert (id),
  signal_id bigint not null,                  -- of monitoring.signal, which this area does not read by SQL
  shop text,
  severity smallint not null,                 -- what it would have alone
  facts jsonb not null,
  is_open boolean not null,
  primary key (signal_id, alert_id)
);
create index alert_signal_of on alerting.alert_signal (alert_id);

-- What happened to alerts, by seq in the order of commits. Appended.
create table alerting.alert_change (
  seq bigint generated always as identity primary key,
  alert_id bigint not null references alerting.alert (id),
  at timestamptz not null,
  change text not null,
  actor text,
  detail text,
  alert jsonb not null                        -- the view, as it was then
);
create index alert_change_of on alerting.alert_change (alert_id, seq);

-- Invariant 11: nobody edits history, not even this service.
create function alerting.refuse_to_edit_history() returns trigger language plpgsql as $$
begin
  raise exception '% is appended to, never changed', tg_table_name using errcode = 'integrity_constraint_violation';
end $$;
create trigger appended before update or delete on alerting.alert_change
  for each row execute function alerting.refuse_to_edit_history();
create trigger never_emptied before truncate on alerting.alert_change
  for each statement execute function alerting.refuse_to_edit_history();

create table alerting.silence (
  id bigint generated always as identity primary key,
  name text, shop text, destination text,     -- all that is given must match
  owner text not null,
  reason text not null,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  ended_at timestamptz,
  ended_by text
);
create index silence_active on alerting.silence (ends_at) where ended_at is null;

-- What is to be said, and what was said: the outbox and its log in one. Written in the transaction that changes the alert.
create table alerting.notification (
  id bigint generated always as identity primary key,
  alert_id bigint references alerting.alert (id),
  dedupe_key text not null,
  world text not null,
  channel text not null check (channel in ('pagerduty', 'second', 'alertmanager')),
  recipient text not null,
  action text not null check (action in ('trigger', 'acknowledge', 'resolve')),
  reason text not null,
  severity smallint not null,
  summary text not null,
  body jsonb not null,                        -- what every channel needs to say it: facts, links, runbook, since when
  state text not null check (state in ('waiting', 'taken', 'confirmed', 'refused', 'overtaken')),
  attempts integer not null default 0,
  created_at timestamptz not null,
  try_at timestamptz not null,
  leased_by text,
  leased_until timestamptz,
  taken_at timestamptz,
  confirm_by timestamptz,                     -- seen to have paged somebody by then, or the second channel says it too
  confirmed_at timestamptz,
  last_error text
);
-- In one channel and key the oldest is said first: a resolve that overtakes its trigger would leave a page open for ever.
create index notification_waiting on alerting.notification (world, severity, id) where state = 'waiting';
create index notification_of_key on alerting.notification (channel, dedupe_key, id) where state = 'waiting';
create index notification_unconfirmed on alerting.notification (confirm_by) where confirm_by is not null;
create index notification_of_time on alerting.notification (created_at);
create index notification_of_alert on alerting.notification (alert_id);
`;
