import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/kernel/clock.js';
import { nextId, orderBody } from '../support/orders.js';
import { until } from '../support/until.js';
import { WholeLine } from '../support/whole-line.js';

const MINUTE_MS = 60_000;
const HOURS = 4;
const EVERY_MINUTES = 5;
const ORDERS_EACH = 6;

// The four hours end about now, because the far side checks the time in the signature against its own clock.
const clock = new ManualClock(Date.now() - HOURS * 60 * MINUTE_MS);
let line: WholeLine;
const sent: string[] = [];

beforeAll(async () => {
  line = await WholeLine.start({ clock });
});
afterAll(() => line.stop());

const states = async (destination: string): Promise<Map<string, string>> =>
  new Map((await line.obligations({ destination })).map((o) => [o.subjectId, o.state]));

describe('a destination that is down for four hours', () => {
  it('loses nothing, and the other destinations never notice', async () => {
    await line.hook.refuse();
    for (let minute = 0; minute < HOURS * 60; minute += EVERY_MINUTES) {
      clock.advance(EVERY_MINUTES * MINUTE_MS);
      const ids = Array.from({ length: ORDERS_EACH }, nextId);
      sent.push(...ids);
      const createdAt = clock.now().toISOString();
      for (const id of ids) {
        expect(await line.send({ topic: 'orders/paid', body: orderBody({ id, createdAt }) })).toBe(200);
      }
      // Before the clock moves on, everybody else has this order: no virtual time has passed for them.
      for (const destination of ['ga4', 'segment', 'lake']) {
        await until(async () => {
          const found = await states(destination);
          return ids.every((id) => ['accepted', 'confirmed'].includes(found.get(id) ?? ''));
        });
      }
    }
    const waiting = await states('hook');
    expect(sent.filter((id) => waiting.get(id) !== 'queued')).toEqual([]);
    const late = await line.database.rows(
      `select l.subject_id from pipeline.ledger l join pipeline.destination d on d.id = l.destination_id
        where d.name <> 'hook' and l.accepted_at > l.logged_at + interval '1 second'`,
    );
    expect(late).toEqual([]);
  }, 120_000);

  it('asks a few times, not once an event, while it is down', async () => {
    const [attempts] = await line.database.rows<{ count: string }>(
      `select count(*) from pipeline.ledger_fact f join pipeline.destination d on d.id = f.destination_id
        where d.name = 'hook' and f.attempt is not null`,
    );
    expect(Number(attempts?.count)).toBeGreaterThan(3);
    // Three to open, then at most one probe each time the clock has moved past the pause.
    expect(Number(attempts?.count)).toBeLessThanOrEqual(2 * ((HOURS * 60) / EVERY_MINUTES) + 10);
    const [lane] = await line.database.rows<{ state: string; last_error: string }>(
      'select state, last_error from pipeline.lane',
    );
    expect(lane?.state).toBe('open');
    expect(lane?.last_error).toBeTruthy();
  });

  it('drains in order of age when it is back, each exactly once', async () => {
    await line.hook.acceptAgain();
    await until(
      async () => {
        clock.advance(2_000);
        return [...(await states('hook')).values()].every((state) => state === 'accepted');
      },
      { timeoutMs: 60_000, everyMs: 50, what: 'the lane has drained' },
    );
    const arrived = [...line.hook.events.values()].map((event) => String(event['order_id']));
    expect(new Set(arrived)).toEqual(new Set(sent));
    expect(line.hook.webhookIds.repeats).toBe(0);
    // Up to 32 requests run side by side, so neighbours may change places; nobody overtakes by more than that.
    const age = new Map(sent.map((id, index) => [id, index]));
    const worst = Math.max(...arrived.map((id, index) => Math.abs((age.get(id) ?? Infinity) - index)));
    expect(worst).toBeLessThanOrEqual(32);
  }, 90_000);
});
