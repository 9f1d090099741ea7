/** Monitoring's counts: what was sold and what arrived, hour by hour, and how each shop usually sells. */
export const CREATE_THROUGHPUT = `
-- One row an hour of a shop and destination. Each row is counted anew from what it counts and never incremented, so it
-- may be written any number of times; a day is the sum of its hours.
create table monitoring.throughput (
  shop_id bigint not null,
  day date not null,                          -- UTC date of the hour in which the orders were sold
  hour smallint not null check (hour between 0 and 23),
  destination_id integer not null,
  sold integer,                               -- null = not known: no complete reconciliation covers the hour
  logged integer not null,
  processed integer not null,
  accepted integer not null,
  confirmed integer not null,
  ignored integer not null,
  failed integer not null,
  missing integer not null,
  recovered integer not null,
  late integer not null,
  lost_logged integer not null,               -- lost before they were logged; and so on, stage by stage
  lost_processed integer not null,
  lost_accepted integer not null,
  lost_received integer not null,
  confirmable boolean not null,               -- whether the destination can be read back
  settles_at timestamptz,                     -- when absence is final; null = not while sold is not known
  settled_at timestamptz,                     -- null = provisional
  recheck_at timestamptz,                     -- orders wait: by then each is late or gone from the queue
  computed_at timestamptz not null,
  primary key (shop_id, day, hour, destination_id)
) partition by range (day);
create table monitoring.throughput_older partition of monitoring.throughput default;
-- Pages over all shops, day by day.
create index throughput_page on monitoring.throughput (day, shop_id, destination_id, hour);
-- What time alone changes: short, because a row leaves when it has settled.
create index throughput_unproved on monitoring.throughput (shop_id, day, hour) where sold is null;
create index throughput_settles on monitoring.throughput (settles_at) where settled_at is null;
create index throughput_recheck on monitoring.throughput (recheck_at) where recheck_at is not null;

-- Orders seen by the hour of their first webhook; one small row a day of a shop, so that eight weeks of a shop are 56 rows.
create table monitoring.seen_day (
  shop_id bigint not null,
  day date not null,
  orders integer[] not null,                  -- 24, by hour (UTC)
  primary key (shop_id, day)
);
create index seen_day_by_day on monitoring.seen_day (day);

create table monitoring.silence (
  shop_id bigint primary key,
  last_order_at timestamptz not null,
  silent_since timestamptz                    -- when it was found silent; null = it sells, or nothing can be said
);
`;
