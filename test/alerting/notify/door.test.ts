import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Notifier } from '../../../src/alerting/notify/notifier.js';
import { signedWith } from '../../../src/alerting/notify/pager-signature.js';
import { until } from '../../support/until.js';
import { TellingWorld } from './telling-world.js';

// A set of samples that may lie beside the project; read in place, never copied.
const SAMPLES = join(dirname(fileURLToPath(import.meta.url)), '../../../../shared/data/pagerduty');
const PAGE = {
  key: 'shop:acme.myshopify.com/orders/paid:subscription-removed',
  name: 'subscription-removed',
  route: 'removed',
  severity: 1,
} as const;

let world: TellingWorld;
let notifier: Notifier;
beforeEach(async () => {
  world = await TellingWorld.open();
  notifier = world.process(world.settings({}, { webhookSecrets: ['newest', ...world.pager.webhookSecrets] }));
  await world.subscribe(notifier);
});

const incidentId = (): string => world.pager.incidents.list.find(({ key }) => key === PAGE.key)?.id ?? '';
const worked = (count: number) =>
  until(() => world.pager.webhooks.sent >= count, { what: `${count} webhooks are taken` });

function webhook(
  type: string,
  more: object = {},
  agent: object | null = { type: 'user_reference', summary: 'Ada' },
): Buffer {
  return Buffer.from(
    JSON.stringify({
      event: {
        id: `event-${type}`,
        event_type: type,
        resource_type: 'incident',
        occurred_at: world.clock.now().toISOString(),
        agent,
        data: { id: 'Q1', type: 'incident', incident_key: PAGE.key, ...more },
      },
    }),
  );
}

const sign = (body: Buffer, secret = 'newest'): string =>
  `v1=${createHmac('sha256', secret).update(body).digest('hex')}`;
const take = (body: Buffer, signature = sign(body)) => notifier.door.take({ signature, body });

describe('what people do in PagerDuty', () => {
  it('confirms the page when the incident is made', async () => {
    await world.page(PAGE);
    await world.live(0);
    await worked(1);
    await world.live(2_000);
    expect(await world.rows('dedupe_key, state, confirm_by')).toContainEqual({
      dedupe_key: PAGE.key,
      state: 'confirmed',
      confirm_by: null,
    });
  });

  it('acknowledges the alert by the name of the person, for half an hour', async () => {
    const id = await world.page(PAGE);
    await world.live(0);
    world.pager.act(incidentId(), 'acknowledged');
    await until(() => world.acknowledged.length > 0, { what: 'the alert is acknowledged' });
    expect(world.acknowledged).toEqual([`${id} by Robin On-Call for 30 min: acknowledged in PagerDuty`]);
    world.pager.act(incidentId(), 'unacknowledged');
    await until(() => world.acknowledged.length > 1, { what: 'the acknowledgement is taken back' });
    expect(world.acknowledged[1]).toBe(`${id} no more, by Robin On-Call`);
  });

  it('does not close an alert that is still so: it is told again, as a new incident', async () => {
    const id = await world.page(PAGE);
    await world.live(0);
    world.pager.act(incidentId(), 'acknowledged');
    await until(() => world.acknowledged.length > 0, { what: 'the alert is acknowledged' });
    world.pager.act(incidentId(), 'resolved');
    await until(() => world.acknowledged.length > 1, { what: 'the acknowledgement is taken back' });
    expect(world.acknowledged[1]).toBe(`${id} no more, by Robin On-Call (resolved it in PagerDuty)`);
    await world.live(110_000);
    expect(world.pager.incidents.list.filter(({ key }) => key === PAGE.key)).toHaveLength(1);
    await world.live(20_000);
    const incidents = world.pager.incidents.list.filter(({ key }) => key === PAGE.key);
    expect(incidents.map(({ status }) => status)).toEqual(['resolved', 'triggered']);
    expect(incidents[1]?.payload['custom_details']).toMatchObject({ text: expect.stringContaining('It is still so.') });
    expect(world.mail.mails).toEqual([]);
  });

  it('says nothing again of what has recovered meanwhile', async () => {
    const id = await world.page(PAGE);
    await world.live(0);
    world.pager.act(incidentId(), 'resolved');
    await until(async () => (await world.rows()).length > 3, { what: 'it is to be told again' });
    await world.resolve(id, PAGE);
    await world.live(180_000);
    expect(world.pager.incidents.list.filter(({ key }) => key === PAGE.key).map(({ status }) => status)).toEqual([
      'resolved',
    ]);
  });
});

describe('an incident that somebody has acknowledged in PagerDuty', () => {
  const HALF_AN_HOUR = 30 * 60_000;
  const own = async (): Promise<unknown[]> =>
    (await world.rows('dedupe_key, channel, reason, state')).filter((row) => row['dedupe_key'] === PAGE.key);
  const acknowledged = async (): Promise<string> => {
    const id = await world.page(PAGE);
    await world.live(0);
    await worked(1);
    await world.live(2_000);
    world.pager.act(incidentId(), 'acknowledged');
    await until(() => world.acknowledged.length > 0, { what: 'the alert is acknowledged' });
    world.clock.advance(HALF_AN_HOUR);
    return id;
  };

  it.each(['repeated', 'changed'] as const)(
    'notifies nobody of what is %s: the second channel says it at once, each time, and nothing is wrong with the pager',
    async (reason) => {
      const id = await acknowledged();
      await world.say(id, PAGE, 'trigger', reason);
      await world.live(6_000);
      expect(world.mail.mails.map(({ subject }) => subject)).toEqual([`[SEV1] subscription-removed of ${PAGE.key}`]);
      expect(await own()).toContainEqual({ dedupe_key: PAGE.key, channel: 'pagerduty', reason, state: 'taken' });
      expect(world.pager.incidents.list.find(({ key }) => key === PAGE.key)?.pagedAtMs).toHaveLength(1);
      world.clock.advance(HALF_AN_HOUR);
      await world.say(id, PAGE, 'trigger', reason);
      await world.live(120_000);
      expect(world.mail.mails).toHaveLength(2);
      expect(await world.openSignals()).toEqual([]);
      await world.resolve(id, PAGE);
      await world.live(10_000);
      expect(world.mail.mails.map(({ subject }) => subject.slice(0, 10))).toEqual([
        '[SEV1] sub',
        '[SEV1] sub',
        '[Resolved]',
      ]);
    },
  );

  it('notifies again by itself when its acknowledgement times out there, and then nothing else is needed', async () => {
    const id = await acknowledged();
    world.pager.act(incidentId(), 'unacknowledged');
    await until(() => world.acknowledged.length > 1, { what: 'the acknowledgement is over' });
    await world.say(id, PAGE, 'trigger', 'repeated');
    await world.live(120_000);
    expect(world.pager.incidents.list.find(({ key }) => key === PAGE.key)?.pagedAtMs).toHaveLength(2);
    expect(await own()).toContainEqual({
      dedupe_key: PAGE.key,
      channel: 'pagerduty',
      reason: 'repeated',
      state: 'confirmed',
    });
    expect(world.mail.mails).toEqual([]);
    expect(await world.openSignals()).toEqual([]);
  });

  it('is seen by look-up too, where there are no webhooks', async () => {
    world = await TellingWorld.open();
    world.process(world.settings({}, { token: world.pager.token }));
    const id = await world.page(PAGE);
    await world.live(20_000);
    expect(await own()).toEqual([{ dedupe_key: PAGE.key, channel: 'pagerduty', reason: 'new', state: 'confirmed' }]);
    // Nobody tells us of it, and nobody asks: it was known to be triggered.
    world.pager.act(incidentId(), 'acknowledged');
    world.clock.advance(HALF_AN_HOUR);
    await world.say(id, PAGE, 'trigger', 'repeated');
    await world.live(30_000);
    expect(world.mail.mails).toHaveLength(1);
    await world.live(60_000);
    expect(world.mail.mails).toHaveLength(1);
    expect(await world.openSignals()).toEqual([]);
  });
});

describe('a webhook', () => {
  it('is refused without a signature that holds, and nothing is worked', async () => {
    const id = await world.page(PAGE);
    await world.live(0);
    const body = webhook('incident.acknowledged');
    for (const signature of [
      '',
      'v1=',
      `v1=${'0'.repeat(64)}`,
      sign(body, 'another'),
      sign(Buffer.from('x')),
      'v0=abc',
    ]) {
      expect((await take(body, signature)).status).toBe(401);
    }
    expect(world.acknowledged).toEqual([]);
    expect((await take(body)).status).toBe(200);
    expect(world.acknowledged[0]).toMatch(new RegExp(`^${id} by Ada`));
  });

  it('is worked once, however often it comes', async () => {
    await world.page(PAGE);
    await world.live(0);
    const body = webhook('incident.acknowledged');
    expect(await take(body)).toEqual({ status: 200, detail: 'Worked.' });
    expect(await take(body)).toEqual({ status: 200, detail: 'Known already.' });
    expect(world.acknowledged).toHaveLength(1);
  });

  it('is answered 200 when it is signed and not understood, so that the subscription is not switched off', async () => {
    for (const text of ['', '{', '[]', '{"event":{}}', '{"event":7}']) {
      expect((await take(Buffer.from(text))).status).toBe(200);
    }
    expect((await take(webhook('service.updated', { incident_key: null }))).status).toBe(200);
  });

  it('is no acknowledgement of a person when our own event made it', async () => {
    await world.page(PAGE);
    await world.live(0);
    await take(webhook('incident.acknowledged', {}, { type: 'service_reference', summary: 'Events API v2' }));
    expect(world.acknowledged).toEqual([]);
  });

  it('that is older than what is known changes nothing', async () => {
    await take(webhook('incident.resolved'));
    const before = Buffer.from(
      webhook('incident.triggered').toString().replace(world.clock.now().toISOString(), '2026-11-27T11:00:00.000Z'),
    );
    await take(before);
    expect(await world.database.rows('select state from alerting.pager_incident')).toEqual([{ state: 'resolved' }]);
  });

  it('that comes after a later one moves no alert', async () => {
    const id = await world.page(PAGE);
    await world.live(0);
    const late = { acknowledged: webhook('incident.acknowledged'), resolved: webhook('incident.resolved') };
    world.clock.advance(60_000);
    await take(webhook('incident.unacknowledged'));
    await take(late.acknowledged);
    expect(world.acknowledged).toEqual([]);
    const said = (await world.rows()).length;
    await take(late.resolved);
    expect(await world.rows()).toHaveLength(said);
    await take(Buffer.from(webhook('incident.acknowledged').toString().replace('event-', 'another-')));
    expect(world.acknowledged).toEqual([expect.stringContaining(`${id} by Ada`)]);
  });

  it('about an incident of before the alert opened moves no alert', async () => {
    const before = webhook('incident.acknowledged');
    world.clock.advance(60_000);
    await world.page(PAGE);
    await take(before);
    expect(world.acknowledged).toEqual([]);
  });
});

describe.skipIf(!existsSync(SAMPLES))('the samples of PagerDuty that lie beside the project', () => {
  const read = (name: string): Buffer => readFileSync(join(SAMPLES, name));

  it('hold the signatures that its own library knows', () => {
    const vectors = JSON.parse(read('webhook-v3-signature-vectors.json').toString()) as Record<string, string>;
    const body = Buffer.from(vectors['body'] ?? '');
    const secrets = [{ secret: 'another' }, { secret: vectors['secret'] ?? '' }];
    expect(signedWith(vectors['valid_header'] ?? '', body, secrets)).toEqual(secrets[1]);
    expect(signedWith(vectors['valid_rotation_header'] ?? '', body, secrets)).toEqual(secrets[1]);
    expect(signedWith(vectors['invalid_header'] ?? '', body, secrets)).toBeNull();
  });

  it.each(['triggered', 'acknowledged', 'escalated', 'resolved'])('of incident.%s is worked', async (type) => {
    const body = read(`webhook-v3-incident.${type}.json`);
    expect(await take(body)).toEqual({ status: 200, detail: 'Worked.' });
  });
});
