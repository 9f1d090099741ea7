/** Incidents: what alerts have come to, what was done about it, and what the public was told. */
export const CREATE_INCIDENTS = `
create table alerting.incident (
  id text primary key,                         -- 12 lower-case letters and digits; public
  seq bigint generated always as identity unique,
  world text not null check (world in ('real', 'sandbox')),
  title text not null,                         -- public: no shop's name in it
  cause text not null,                         -- 'removal', 'destination:ga4' ...; see incidents/cause.ts
  severity smallint not null check (severity between 1 and 4),
  severity_reason text not null,
  state text not null check (state in ('investigating', 'identified', 'monitoring', 'resolved')),
  components text[] not null,
  touches_orders boolean not null,
  is_public boolean not null,                  -- once true, for good
  orders_lost integer not null default 0,      -- not there now: open, requeued or dead
  orders_unrecoverable integer not null default 0,
  orders_recovered integer not null default 0,
  orders_late integer not null default 0,
  orders_queued integer not null default 0,    -- held for a destination that does not take them
  loss_grew_at timestamptz,
  recovered_told integer not null default 0,   -- of the recovered, how many the timeline has told of
  shops_counted boolean not null,              -- false: alerts name no shop, so all are looked at; no number is told
  shops_told integer not null default 0,       -- how many shops the public was told of last
  told_at timestamptz,
  started_at timestamptz not null,
  declared_at timestamptz not null,
  declared_by text,                            -- null = by an alert
  joined_at timestamptz not null,              -- when the last alert joined
  mitigated_at timestamptz,
  resolved_at timestamptz,
  next_update_at timestamptz,                  -- what the public was promised
  look_at timestamptz not null,                -- when its figures and proofs are looked at next
  alerts_open integer not null default 0,
  check (resolved_at is null or (mitigated_at is not null and state = 'resolved'))
);
create index incident_unresolved on alerting.incident (look_at) where resolved_at is null;

-- Its shops, each with the reconciliation that was asked for after mitigation and what came of it.
create table alerting.incident_shop (
  incident_id text not null references alerting.incident (id),
  shop text not null,                          -- domain
  reconciliation_id text,
  asked_at timestamptz,
  looked_at timestamptz,
  is_hindered boolean not null default false,  -- its run cannot look: it holds up no other shop's
  proved_at timestamptz,
  detail text,                                 -- what is missing; or why there is nothing to be proved
  primary key (incident_id, shop)
);
create index incident_shop_unproved on alerting.incident_shop (incident_id, asked_at) where proved_at is null;

-- An alert is in one incident at most. What it said last is kept, so that an incident tells its story by itself.
create table alerting.incident_alert (
  alert_id bigint primary key,
  incident_id text not null references alerting.incident (id),
  name text not null,
  dedupe_key text not null,
  severity smallint not null,
  summary text not null,
  evidence text not null,
  runbook text not null,
  shop text,
  destination text,
  acknowledged_by text,
  joined_at timestamptz not null,
  closed_at timestamptz
);
create index incident_alert_of on alerting.incident_alert (incident_id);

create table alerting.incident_event (
  id bigint generated always as identity primary key,
  incident_id text not null references alerting.incident (id),
  at timestamptz not null,
  kind text not null,
  actor text,
  text text not null,
  evidence text
);
create index incident_event_of on alerting.incident_event (incident_id, id);

create table alerting.incident_update (
  id bigint generated always as identity primary key,
  incident_id text not null references alerting.incident (id),
  at timestamptz not null,
  state text not null check (state in ('investigating', 'identified', 'monitoring', 'resolved')),
  body text not null,
  actor text,
  next_update_at timestamptz
);
create index incident_update_of on alerting.incident_update (incident_id, id);

-- Invariant 11: nobody edits history, not even this service.
create trigger appended before update or delete on alerting.incident_event
  for each row execute function alerting.refuse_to_edit_history();
create trigger never_emptied before truncate on alerting.incident_event
  for each statement execute function alerting.refuse_to_edit_history();
create trigger appended before update or delete on alerting.incident_update
  for each row execute function alerting.refuse_to_edit_history();
create trigger never_emptied before truncate on alerting.incident_update
  for each statement execute function alerting.refuse_to_edit_history();
`;
