/** What promises to keep orders moving is measured by, and how the processes that move them are. */
export const CREATE_WATCHING = `
-- Signals that are about a whole world: neither one shop nor one destination says whose orders they are.
alter table monitoring.signal add column world text check (world in ('real', 'sandbox'));

-- Purchases that arrived, by the minute of their arrival. A row a minute, also when nothing arrived: a minute without a
-- row was not measured. Counted anew and replaced, never added to.
create table monitoring.slo_minute (
  world text not null check (world in ('real', 'sandbox')),
  within_minutes integer not null,            -- arrival counts as in time up to so long after it was due
  minute timestamptz not null,
  arrived integer not null,
  beyond integer not null,                    -- of these, later than that
  primary key (world, within_minutes, minute)
);

-- The hourly roll-ups of a day (by sale), over the whole fleet. Counted anew and replaced.
create table monitoring.slo_day (
  world text not null check (world in ('real', 'sandbox')),
  day date not null,
  owed integer not null,                      -- of hours that have settled
  arrived integer not null,
  late integer not null,
  owed_provisional integer not null,          -- of hours that may still change
  arrived_provisional integer not null,
  unproved integer not null,                  -- logged in hours of which nobody knows what was sold
  computed_at timestamptz not null,
  primary key (world, day)
);

-- Every process of the service, by its own word. A graceful stop takes its row away.
create table monitoring.process (
  id text primary key,
  name text not null,
  roles text[] not null,
  started_at timestamptz not null,
  beat_at timestamptz not null,
  figures jsonb not null
);

-- When each duty last did its round well, whichever process leads.
create table monitoring.heartbeat (name text primary key, beat_at timestamptz not null);

-- Intake's answers, a row a minute of each process. Replaced while its minute lasts, never added to.
create table pipeline.intake_minute (
  minute timestamptz not null,
  process text not null,
  answers integer not null,
  unsigned integer not null,                  -- answered 401: not signed by a secret of ours
  failed integer not null,                    -- answered 5xx
  took integer[] not null,                    -- by how long our answers took; bounds in src/pipeline/intake/answer-minutes.ts
  primary key (minute, process)
);
`;
