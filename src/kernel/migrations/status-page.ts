/** The status page's own schema: what it told the public, and what people said of it. */
export const CREATE_STATUS_PAGE = `
create schema status_page;

-- What is published: one row, written over. Its version grows when what it says changes; confirmed_at with every look.
create table status_page.published (
  is_only boolean primary key default true check (is_only),
  version bigint not null,
  snapshot jsonb not null,
  created_at timestamptz not null,            -- of the page: never changes
  confirmed_at timestamptz not null
);

-- What the public was told of each component, and from when. Appended.
create table status_page.state_change (
  seq bigint generated always as identity primary key,
  world text not null check (world in ('real', 'sandbox')),
  component text not null,
  at timestamptz not null,
  state text not null,
  why jsonb not null
);
create index state_change_of on status_page.state_change (world, component, seq desc);

-- A component's day, as it was last counted.
create table status_page.day (
  world text not null check (world in ('real', 'sandbox')),
  component text not null,
  day date not null,
  unit text not null check (unit in ('orders', 'stores', 'minutes')),
  owed bigint not null,
  arrived bigint not null,
  is_settled boolean not null,
  primary key (world, component, day)
);

-- Minutes of each day in which the page was published.
create table status_page.published_minutes (day date primary key, minutes integer not null);

-- What people said of components: worse than what is measured, or a note. Ended, never deleted.
create table status_page.entry (
  id text primary key,
  seq bigint generated always as identity,
  component text not null,
  worsen text check (worsen in ('under_maintenance', 'degraded_performance', 'partial_outage', 'major_outage')),
  note text not null,
  from_at timestamptz not null,
  until_at timestamptz not null check (until_at > from_at),
  actor text not null,
  created_at timestamptz not null,
  ended_at timestamptz,
  ended_by text
);
create index entry_by_end on status_page.entry (until_at);
create unique index entry_by_seq on status_page.entry (seq);
`;
