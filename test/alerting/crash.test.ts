import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PagerDutySide } from '../../sandbox/pagerduty/pagerduty.js';
import { ROUTES } from '../../src/alerting/contract.js';
import type { Database } from '../../src/kernel/database.js';
import { SeededRandom } from '../../src/kernel/random.js';
import type { AlertingProcess } from '../crash/alerting-process.js';
import { FastClock } from '../crash/fast-clock.js';
import { testDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const SIGNALS = 10_000;
const BATCH = 250;
/** One signal in so many is a removed subscription, and the next one a missing order of the same shop. */
const GRAVE_EVERY = 125;
const PROCESSES = 3;
const KILLS = 9;
/** Time runs so much faster for the processes and for the pager: its 120 events a minute come in seconds. */
const SPEED = 5;
const PROCESS = fileURLToPath(new URL('../../dist/test/crash/alerting-process.js', import.meta.url));

/** The rest is routine: failures that are no page yet, and fold into one alert. Opened, and a fifth updated. */
const STORM = `
with opened as (
  insert into monitoring.signal (kind, subject, shop_id, destination_id, facts, evidence, opened_at, updated_at)
  select case n % $3 when 0 then 'subscription-removed' when 1 then 'order-missing' else 'subscription-countdown' end,
         'signal-' || n, case n % $3 when 1 then n - 1 else n end, case n % $3 when 1 then 1 end,
         jsonb_build_object('topic', 'orders/paid', 'orders', 1, 'failuresInRow', 1), '/api/v1/signals', $4, $4
    from generate_series($1::integer, $2::integer) as n where n > 1 returning id, facts
)
insert into monitoring.signal_change (signal_id, at, change, facts, evidence)
select id, $4, case step when 1 then 'opened' else 'updated' end, facts || jsonb_build_object('step', step), ''
  from opened cross join generate_series(1, case id % 5 when 0 then 2 else 1 end) as step order by step, id`;

/** A third of what is grave is over again. */
const CALM = `
with over as (
  update monitoring.signal set closed_at = $2, updated_at = $2
   where closed_at is null and kind in ('subscription-removed', 'order-missing') and coalesce(shop_id, 0) % (3 * $1) = 0
  returning id, facts, evidence
)
insert into monitoring.signal_change (signal_id, at, change, facts, evidence)
select id, $2, 'closed', facts, evidence from over order by id`;

const clock = new FastClock(Date.now(), SPEED);
const pager = new PagerDutySide({
  clock: {
    now: () => clock.nowMs(),
    after: (delayMs, action) => {
      const timer = setTimeout(action, delayMs / SPEED);
      return () => clearTimeout(timer);
    },
  },
});
const random = new SeededRandom(9);
const processes = new Set<ChildProcess>();
let database: Database;
let started: AlertingProcess;

beforeAll(async () => {
  if (!existsSync(PROCESS)) throw new Error('the processes are not built; `npm test` does it, or `npm run build`');
  const { url, ...db } = await testDatabase();
  ({ database } = db);
  await pager.start();
  started = {
    databaseUrl: url,
    settings: {
      tickets: 'none',
      pagerduty: {
        routingKeys: pager.routingKeys,
        eventsHost: pager.host,
        restHost: pager.host,
        token: pager.token,
        webhookSecrets: [],
        escalationPolicies: [],
      },
    },
    ca: pager.ca,
    clock: { startedAtMs: clock.startedAtMs, speed: SPEED },
  };
});
afterAll(async () => {
  const gone = [...processes].map(kill);
  await Promise.all(gone);
  await pager.stop();
});

async function start(): Promise<ChildProcess> {
  const child = fork(PROCESS, [JSON.stringify(started)]);
  processes.add(child);
  child.once('exit', () => processes.delete(child));
  await once(child, 'message');
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

/** When everything is said already there is nothing to wait for. */
async function nextPage(): Promise<void> {
  const heard = pager.received.length;
  const what = 'a page';
  await until(() => pager.received.length > heard, { timeoutMs: 2_000, everyMs: 1, what }).catch(() => undefined);
}

/** At random; and each third time all of them, just when the pager has taken a page and nobody has written that down. */
async function killAtRandom(): Promise<number> {
  const running = await Promise.all(Array.from({ length: PROCESSES }, start));
  let crashes = 0;
  for (let kills = 0; kills < KILLS; kills++) {
    await pause(random.integer(100, 900));
    const isAll = kills % 3 === 2;
    if (isAll) await nextPage();
    const first = random.integer(0, PROCESSES - 1);
    const places = isAll ? Array.from(running.keys()) : [first];
    crashes += places.length;
    await Promise.all(
      places.map(async (place) => {
        await kill(running[place] as ChildProcess);
        running[place] = await start();
      }),
    );
  }
  return crashes;
}

const IS_OVER = `
select (select seq from alerting.cursor where name = 'signals') = (select max(seq) from monitoring.signal_change)
   and (select seq from alerting.cursor where name = 'incidents') = (select max(seq) from alerting.alert_change)
   and not exists (select from alerting.alert where look_at <= $1)
   and not exists (select from alerting.notification where state = 'waiting') as "isOver"`;

/** What is said of an alert is a line of its incident's timeline, by the kind that it is there. */
const LINES_OWED = `
select i.incident_id as incident, count(*) filter (where c.change = 'opened')::integer as "alert-joined",
       count(*) filter (where c.change not in ('opened', 'closed'))::integer as "alert-changed",
       count(*) filter (where c.change = 'closed')::integer as "alert-closed"
  from alerting.incident_alert i join alerting.alert_change c using (alert_id)
 where i.name in ('subscription-removed', 'orders-missing') group by 1 order by 1`;

const LINES = `
select e.incident_id as incident, count(*) filter (where e.kind = 'alert-joined')::integer as "alert-joined",
       count(*) filter (where e.kind = 'alert-changed')::integer as "alert-changed",
       count(*) filter (where e.kind = 'alert-closed')::integer as "alert-closed"
  from alerting.incident_event e join alerting.incident i on i.id = e.incident_id
 where i.cause in ('removal', 'orders') group by 1 order by 1`;

const LINES_TWICE = `
select incident_id, kind, at, text from alerting.incident_event group by 1, 2, 3, 4 having count(*) > 1
union all
select incident_id, kind, null, null from alerting.incident_event where kind = 'declared' group by 1, 2 having count(*) > 1`;

const keysOwed = Array.from({ length: SIGNALS }, (_, index) => index + 1).flatMap((n) => {
  if (n % GRAVE_EVERY === 0) return [`shop:shop-${n}.myshopify.com/orders/paid:subscription-removed`];
  if (n % GRAVE_EVERY !== 1 || n === 1) return [];
  return [`shop:shop-${n - 1}.myshopify.com/destination-1:order-missing`];
});

/** How often each is there. */
function tally(keys: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

describe('three processes that are killed at random under a storm of 10,000 signals', () => {
  let crashes = 0;

  it('come to an end of it', async () => {
    const killing = killAtRandom();
    for (let from = 1; from <= SIGNALS; from += BATCH) {
      await database.query(STORM, [from, from + BATCH - 1, GRAVE_EVERY, clock.now()]);
      await pause(random.integer(10, 200));
    }
    await database.query(CALM, [GRAVE_EVERY, clock.now()]);
    crashes = await killing;
    await until(async () => (await database.rows(IS_OVER, [clock.now()]))[0]?.['isOver'] === true, {
      timeoutMs: 90_000,
      everyMs: 100,
      what: 'everything is folded, told and followed',
    });
    await Promise.all([...processes].map(kill));
  }, 180_000);

  it('lose no removed subscription and no missing order, and page for each once, under one key', async () => {
    const paged = pager.incidents.list.filter((incident) => pager.routeOf(incident) !== 'routine');
    expect(paged.map(({ key }) => key).sort()).toEqual([...keysOwed].sort());
    const closed = await database.rows<{ key: string }>(
      `select dedupe_key as key from alerting.alert where state = 'closed' and route <> 'routine'`,
    );
    expect(closed.length).toBeGreaterThan(keysOwed.length / 4);
    const resolved = paged.filter(({ status }) => status === 'resolved').map(({ key }) => key);
    expect(resolved.sort()).toEqual(closed.map(({ key }) => key).sort());
    const said = await database.rows<{ key: string; told: number }>(
      `select dedupe_key as key, count(*)::integer as told from alerting.notification
        where reason = 'new' and channel = 'pagerduty' and recipient <> 'routine' group by 1`,
    );
    expect(said.filter(({ told }) => told !== 1)).toEqual([]);
    expect(said.map(({ key }) => key).sort()).toEqual([...keysOwed].sort());
  });

  it('send nothing that was not decided, and each once more for a crash at most', async () => {
    const rows = await database.rows<{ said: string; recipient: string; attempts: number }>(
      `select action || ' ' || dedupe_key as said, recipient, attempts from alerting.notification
        where state in ('taken', 'confirmed')`,
    );
    const decided = tally(rows.map(({ said }) => said));
    const taken = pager.received.filter(({ status }) => status === 202);
    const sent = tally(taken.map(({ event }) => `${event.action} ${event.dedupKey ?? ''}`));
    const extra = new Map([...sent].map(([said, times]) => [said, times - (decided.get(said) ?? 0)]));
    expect([...extra].filter(([, times]) => times < 0)).toEqual([]);
    for (const route of ROUTES) {
      const keys = new Set(rows.filter(({ recipient }) => recipient === route).map(({ said }) => said));
      const times = [...extra].reduce((sum, [said, count]) => (keys.has(said) ? sum + count : sum), 0);
      expect(times, `sent again by ${route}`).toBeLessThanOrEqual(crashes);
    }
    // Whatever was sent again had been tried before: by nobody's count was it two processes at once.
    const attempts = new Map<string, number>();
    for (const { said, attempts: tries } of rows) attempts.set(said, (attempts.get(said) ?? 0) + tries);
    expect([...sent].filter(([said, times]) => times > (attempts.get(said) ?? 0))).toEqual([]);
  });

  it('fold each change once, and write each line of an incident once', async () => {
    const [folded] = await database.rows<{ counted: number; changes: number }>(
      `select (select sum(count) from alerting.alert
                where name in ('subscription-removed', 'orders-missing', 'subscription-failing'))::integer as counted,
              (select count(*) from monitoring.signal_change c join monitoring.signal s on s.id = c.signal_id
                where s.subject like 'signal-%' and c.change <> 'closed')::integer as changes`,
    );
    expect(folded?.counted).toBe(folded?.changes);
    const owed = await database.rows(LINES_OWED);
    expect(owed.reduce((sum, row) => sum + Number(row['alert-joined']), 0)).toBe(keysOwed.length);
    expect(await database.rows(LINES)).toEqual(owed);
    expect(await database.rows(LINES_TWICE)).toEqual([]);
  });
});
