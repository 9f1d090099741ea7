import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Database } from '../../src/kernel/database.js';
import { SeededRandom } from '../../src/kernel/random.js';
import { testDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';

const SIGNALS = 10_000;
const BATCH = 250;
const PROCESSES = 3;
const KILLS = 9;

/** A twentieth are removed subscriptions, a twentieth missing orders, the rest routine. Opened, and a fifth updated. */
const STORM = `
with opened as (
  insert into monitoring.signal (kind, subject, shop_id, destination_id, facts, evidence, opened_at, updated_at)
  select case n % 20 when 0 then 'subscription-removed' when 1 then 'order-missing' else 'subscription-countdown' end,
         'shop-' || n || '.myshopify.com/orders/paid', n, case n % 20 when 1 then 1 end,
         jsonb_build_object('topic', 'orders/paid', 'orders', 1, 'failuresInRow', 1), '/api/v1/signals', now(), now()
    from generate_series($1::integer, $2::integer) as n returning id, facts
)
insert into monitoring.signal_change (signal_id, at, change, facts, evidence)
select id, now(), case step when 1 then 'opened' else 'updated' end, facts || jsonb_build_object('step', step), ''
  from opened cross join generate_series(1, case id % 5 when 0 then 2 else 1 end) as step order by step, id`;

let database: Database;
let url: string;
let pager: Server;
/** Every event that the pager took, in order. */
const heard: string[] = [];
const processes = new Set<ChildProcess>();

beforeAll(async () => {
  ({ database, url } = await testDatabase());
  pager = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { dedup_key, event_action } = JSON.parse(body) as { dedup_key: string; event_action: string };
      heard.push(`${event_action} ${dedup_key}`);
      response.writeHead(202).end();
    });
  });
  await new Promise<void>((resolve) => pager.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  for (const child of processes) child.kill('SIGKILL');
  pager.closeAllConnections();
  await new Promise((resolve) => pager.close(resolve));
});

async function start(): Promise<ChildProcess> {
  const child = fork(
    fileURLToPath(new URL('telling-process.ts', import.meta.url)),
    [url, `http://127.0.0.1:${(pager.address() as AddressInfo).port}/v2/enqueue`],
    { execArgv: ['--import', new URL('../support/typescript-hooks.mjs', import.meta.url).href] },
  );
  processes.add(child);
  child.once('exit', () => processes.delete(child));
  await once(child, 'message');
  return child;
}

describe('three processes that are killed at random under a storm of 10,000 signals', () => {
  it('lose no removed subscription and no missing order, tell none under two keys, and repeat at most one send a kill', async () => {
    const random = new SeededRandom(9);
    const running = await Promise.all(Array.from({ length: PROCESSES }, start));
    let isOver = false;
    const killing = (async () => {
      for (let kill = 0; kill < KILLS; kill++) {
        await pause(random.integer(100, 900));
        const place = random.integer(0, PROCESSES - 1);
        const victim = running[place];
        if (victim) {
          const gone = once(victim, 'exit');
          victim.kill('SIGKILL');
          await gone;
        }
        running[place] = await start();
      }
      isOver = true;
    })();
    for (let from = 1; from <= SIGNALS; from += BATCH) {
      await database.query(STORM, [from, from + BATCH - 1]);
      await pause(random.integer(10, 150));
    }
    await killing;
    expect(isOver).toBe(true);
    const owed = Array.from({ length: SIGNALS }, (_, index) => index + 1).flatMap((n) => {
      if (n % 20 === 0) return [`trigger shop:shop-${n}.myshopify.com/orders/paid:subscription-removed`];
      return n % 20 === 1 ? [`trigger shop:shop-${n}.myshopify.com/destination-1:order-missing`] : [];
    });
    await until(
      async () => {
        const [left] = await database.rows<{ waiting: number; folded: boolean }>(
          `select (select count(*) from alerting.notification where state = 'waiting')::integer as waiting,
                  (select seq from alerting.cursor) = (select max(seq) from monitoring.signal_change)
                    and not exists (select from alerting.alert where look_at <= now()) as folded`,
        );
        return left?.waiting === 0 && left.folded;
      },
      { timeoutMs: 60_000, everyMs: 100, what: 'everything is folded and told' },
    );

    const triggers = heard.filter((line) => line.startsWith('trigger'));
    const first = new Set(triggers);
    expect([...first].sort()).toEqual([...owed].sort());
    const [said] = await database.rows<{ told: number; keys: number }>(
      `select count(*)::integer as told, count(distinct dedupe_key)::integer as keys
         from alerting.notification where reason = 'new'`,
    );
    expect(said).toEqual({ told: owed.length, keys: owed.length });
    const [reasons] = await database.rows<{ other: number }>(
      `select count(*)::integer as other from alerting.notification where reason <> 'new'`,
    );
    // Each of the first removals is told once more as graver; whatever else was heard twice was cut off by a kill.
    expect(heard.length - owed.length - (reasons?.other ?? 0)).toBeLessThanOrEqual(KILLS);

    // Each change was folded once: an alert counts its changes.
    const [folded] = await database.rows<{ counted: number; changes: number }>(
      `select (select sum(count) from alerting.alert)::integer as counted,
              (select count(*) from monitoring.signal_change)::integer as changes`,
    );
    expect(folded?.counted).toBe(folded?.changes);
    const [twice] = await database.rows<{ some: number }>(
      `select count(*)::integer as some from (select from alerting.alert group by dedupe_key having count(*) > 1) as twice`,
    );
    expect(twice?.some).toBe(0);
  }, 180_000);
});
