import { beforeEach, describe, expect, it } from 'vitest';
import { TellingWorld } from './telling-world.js';

const REMOVED = {
  key: 'shop:acme.myshopify.com/orders/paid:subscription-removed',
  name: 'subscription-removed',
  route: 'removed',
  severity: 1,
} as const;
const LATE = { key: 'fleet:orders:late', name: 'orders-late', severity: 2 } as const;

let world: TellingWorld;
beforeEach(async () => {
  world = await TellingWorld.open();
});

describe('a page', () => {
  it('reaches the service of its route within a second, with what a person needs to know', async () => {
    world.process();
    await world.page(REMOVED);
    await world.live(1_000);
    const [incident] = world.pager.incidents.list.filter(({ key }) => key === REMOVED.key);
    expect(incident).toMatchObject({
      key: REMOVED.key,
      status: 'triggered',
      severity: 'critical',
      title: `subscription-removed of ${REMOVED.key}`,
      links: expect.arrayContaining([
        { href: 'https://plumbline.example.com/runbooks/subscription-removed', text: 'Runbook' },
      ]),
      payload: {
        source: 'acme.myshopify.com',
        class: 'subscription-removed',
        group: 'removed',
        custom_details: { text: expect.stringContaining('late: 12'), severity: 'SEV1', since: expect.any(String) },
      },
    });
    expect(world.pager.routeOf(incident ?? { routingKey: '' })).toBe('removed');
    expect(await world.rows('dedupe_key, state, attempts, last_error')).toContainEqual({
      dedupe_key: REMOVED.key,
      state: 'confirmed',
      attempts: 1,
      last_error: null,
    });
  });

  it('is resolved after it was triggered, whatever is claimed when', async () => {
    world.process();
    const id = await world.page(LATE);
    await world.resolve(id, LATE);
    await world.live(3_000);
    expect(world.heard.filter((each) => each.endsWith(LATE.key))).toEqual([
      `trigger ${LATE.key}`,
      `resolve ${LATE.key}`,
    ]);
  });

  it('goes by severity, and within it by age', async () => {
    world.process();
    await world.page({ key: 'd', severity: 4 });
    await world.page({ key: 'b', severity: 2 });
    await world.page({ key: 'c', severity: 2 });
    await world.page({ key: 'a', severity: 1 });
    await world.live(1_000);
    expect(world.heard.filter((each) => !each.includes('pager-test')).map((each) => each.at(-1))).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
  });

  it('is said once by two processes that work at once', async () => {
    const processes = [world.process(), world.process()];
    for (let index = 0; index < 40; index++) await world.page({ key: `key-${index}` });
    await Promise.all(processes.map((each) => world.live(0, [each])));
    await world.live(60_000);
    const keys = world.heard.filter((each) => each.startsWith('trigger key-'));
    expect(keys).toHaveLength(40);
    expect(new Set(keys).size).toBe(40);
  });

  it('is sent once more with the same key when a process dies between the answer and its record', async () => {
    world.process();
    await world.page(LATE);
    const survivor = world.process();
    // What it leaves: said, leased, and not recorded.
    world.pager.received.length = 0;
    await world.database.query(
      `update alerting.notification set leased_by = 'dead', leased_until = $1, attempts = 1 where dedupe_key = $2`,
      [new Date(world.clock.nowMs() + 30_000), LATE.key],
    );
    await world.live(29_000, [survivor]);
    expect(world.heard.filter((each) => each.endsWith(LATE.key))).toEqual([]);
    await world.live(3_000, [survivor]);
    expect(world.heard.filter((each) => each.endsWith(LATE.key))).toEqual([`trigger ${LATE.key}`]);
  });

  it('that is graver is not held back by one of its key that was put off', async () => {
    world.process();
    const id = await world.page({ ...LATE, severity: 3 });
    await world.live(2_000);
    await world.say(id, { ...LATE, severity: 3, reason: 'repeated' });
    await world.database.query(`update alerting.notification set try_at = $1 where reason = 'repeated'`, [
      new Date(world.clock.nowMs() + 120_000),
    ]);
    await world.say(id, { ...LATE, severity: 1, reason: 'changed' });
    await world.live(3_000);
    expect(world.heard.filter((each) => each === `trigger ${LATE.key}`)).toHaveLength(3);
  });

  it('keeps below what the pager takes of one key in a minute', async () => {
    world.process(world.settings({}, { webhookSecrets: [] }));
    for (let index = 0; index < 200; index++) await world.page({ key: `key-${index}` });
    await world.live(60_000);
    const inFirstMinute = world.pager.received.filter(({ event }) => event.dedupKey?.startsWith('key-'));
    expect(inFirstMinute.length).toBeGreaterThan(90);
    expect(inFirstMinute.length).toBeLessThanOrEqual(112);
    expect(world.pager.received.every(({ status }) => status === 202)).toBe(true);
    await world.live(90_000);
    expect(world.heard.filter((each) => each.startsWith('trigger key-'))).toHaveLength(200);
  }, 120_000);
});

describe('what the pager may do', () => {
  it.each(['down', 'failing', 'garbled'] as const)(
    '%s for an hour: the second channel within 60 s, everything after',
    async (mode) => {
      world.process();
      await world.live(0);
      await world.pager.become(mode);
      await world.page({ key: 'c', severity: 3 });
      await world.page({ key: 'b', severity: 2 });
      await world.page({ ...REMOVED, key: 'a' });
      await world.live(60_000);
      expect(world.mail.mails.map(({ subject }) => subject.replace(/ of .*/, '')).sort()).toEqual([
        '[SEV1] subscription-removed',
        '[SEV2] orders-late',
        '[SEV3] orders-late',
      ]);
      await world.live(20_000);
      expect(await world.openSignals()).toEqual([
        expect.stringMatching(/^notifier-failing real\/pagerduty\/routine: does not answer/),
        expect.stringMatching(/^notifier-failing real\/pagerduty\/removed: does not answer/),
      ]);
      // An hour, in fewer steps.
      for (let minute = 0; minute < 58; minute++) {
        world.clock.advance(59_000);
        await world.live(1_000);
      }
      expect(world.mail.mails).toHaveLength(3);
      await world.page({ key: 'z', severity: 1 });
      await world.pager.become('calm');
      const before = world.pager.received.length;
      await world.live(61_000);
      const routine = world.pager.received
        .slice(before)
        .filter(({ event }) => event.routingKey === world.pager.routingKeys.routine && event.action === 'trigger')
        .map(({ event }) => event.dedupKey);
      const pages = routine.filter((key) => key?.length === 1);
      // What it answered with an error, it may be tried with once before the worse ones: it alone might be the reason.
      expect(pages).toEqual(mode === 'down' ? ['z', 'b', 'c'] : expect.arrayContaining(['z', 'b', 'c']));
      expect(
        world.pager.incidents.list
          .map(({ key }) => key)
          .filter((key) => key.length === 1)
          .sort(),
      ).toEqual(['a', 'b', 'c', 'z']);
      expect((await world.rows('state')).filter(({ state }) => state === 'waiting')).toEqual([]);
      await world.live(200_000);
      expect(await world.openSignals()).toEqual([]);
    },
    180_000,
  );

  it('obeys Retry-After when it is told that it is too much', async () => {
    world.process();
    await world.live(0);
    await world.pager.become('throttling');
    await world.page(LATE);
    await world.live(4_000);
    expect(world.pager.received.filter(({ event }) => event.dedupKey === LATE.key)).toHaveLength(1);
    await world.live(2_000);
    expect(world.pager.received.filter(({ event }) => event.dedupKey === LATE.key)).toHaveLength(2);
  });

  it('says by the second channel at once what the pager refuses, and goes on with the others', async () => {
    const keys = { ...world.pager.routingKeys, removed: 'f'.repeat(32) };
    world.process(world.settings({}, { routingKeys: keys }));
    await world.page(REMOVED);
    await world.page(LATE);
    await world.live(4_000);
    expect(await world.rows('dedupe_key, channel, state, last_error')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          channel: 'pagerduty',
          dedupe_key: REMOVED.key,
          state: 'refused',
          last_error: expect.stringContaining('Invalid routing key'),
        }),
        expect.objectContaining({ channel: 'pagerduty', dedupe_key: LATE.key, state: 'confirmed' }),
      ]),
    );
    expect(world.mail.mails.map(({ subject }) => subject)).toEqual([`[SEV1] subscription-removed of ${REMOVED.key}`]);
    await world.live(6_000);
    expect(await world.openSignals()).toContain('notifier-failing real/pagerduty/removed: refuses what it is sent');
    expect(world.log).not.toContain('f'.repeat(32));
  });

  it('refuse a ticket, and it is seen to, until it takes something again', async () => {
    const keys = { ...world.pager.routingKeys, removed: 'f'.repeat(32) };
    const notifier = world.process(world.settings({}, { routingKeys: keys }));
    await world.page({ ...REMOVED, class: 'ticket' });
    await world.live(20_000);
    const health = async () =>
      (await notifier.watch.channels())[0]?.recipients.find((one) => one.recipient === 'removed');
    expect(await health()).toMatchObject({
      state: 'failing',
      takenAt: null,
      lastError: expect.stringContaining('400'),
    });
    expect(await world.openSignals()).toEqual(['notifier-failing real/pagerduty/removed: refuses what it is sent']);
    notifier.configure('real', world.settings(), world.pager.ca);
    await world.page({ ...REMOVED, key: 'next', class: 'ticket' });
    await world.live(130_000);
    expect(await health()).toMatchObject({ state: 'ok' });
    expect(await world.openSignals()).toEqual([]);
  });

  it('refuse a page that nobody else can say: it is tried until it is taken', async () => {
    const keys = { ...world.pager.routingKeys, removed: 'f'.repeat(32) };
    const alone = { secondChannel: undefined };
    const notifier = world.process(world.settings(alone, { routingKeys: keys }));
    await world.page(REMOVED);
    await world.live(90_000);
    expect(await world.openSignals()).toEqual([expect.stringMatching(/^notifier-failing real\/pagerduty\/removed/)]);
    notifier.configure('real', world.settings(alone), world.pager.ca);
    await world.live(400_000);
    expect(world.heard).toContain(`trigger ${REMOVED.key}`);
  }, 60_000);

  it('sends again, with the same key, what was taken and whose answer was lost', async () => {
    world.process();
    await world.live(0);
    await world.pager.become('losing');
    await world.page(LATE);
    await world.live(1_000);
    await world.pager.become('calm');
    await world.live(40_000);
    expect(world.pager.incidents.list.filter(({ key }) => key === LATE.key)).toMatchObject([{ status: 'triggered' }]);
    expect(world.pager.incidents.list.find(({ key }) => key === LATE.key)?.triggers).toBeGreaterThan(1);
  });
});

describe('what became of a page', () => {
  it('that cannot be recorded holds up no other page: those go at once, and it is sent again when its lease ends', async () => {
    await world.database.query(`create function refuse() returns trigger language plpgsql as $$
begin if new.dedupe_key = 'broken' and new.state = 'taken' then raise exception 'the disk is full'; end if; return new; end $$`);
    await world.database.query(
      'create trigger refuse before update on alerting.notification for each row execute function refuse()',
    );
    const notifier = world.process();
    await world.page({ key: 'broken', severity: 1 });
    await world.page(LATE);
    const tell = notifier.duties().find(({ name }) => name === 'tell-routine');
    const { signal } = new AbortController();
    await expect(tell?.round(signal)).rejects.toThrow('the disk is full');
    await world.database.query('drop trigger refuse on alerting.notification');
    await world.live(1_000);
    expect(world.heard).toEqual(expect.arrayContaining(['trigger broken', `trigger ${LATE.key}`]));
    await world.live(31_000);
    expect(world.heard.filter((each) => each === 'trigger broken')).toHaveLength(2);
    expect((await world.rows('state')).filter(({ state }) => state === 'waiting')).toEqual([]);
  });
});

describe('what nobody has heard of', () => {
  it('is not said when it is over before the pager answers again, except what invariant 9 is about', async () => {
    world.process(world.settings({ secondChannel: undefined }));
    await world.live(0);
    await world.pager.become('down');
    await world.page({ key: 'first' });
    const late = await world.page(LATE);
    const removed = await world.page(REMOVED);
    await world.live(3_000);
    await world.resolve(late, LATE);
    await world.resolve(removed, REMOVED);
    await world.live(60_000);
    await world.pager.become('calm');
    await world.live(40_000);
    expect(world.heard.filter((each) => /late|removed/.test(each))).toEqual([
      `trigger ${REMOVED.key}`,
      `resolve ${REMOVED.key}`,
    ]);
    expect((await world.rows('dedupe_key, state')).filter(({ dedupe_key: key }) => key === LATE.key)).toEqual([
      { dedupe_key: LATE.key, state: 'overtaken' },
      { dedupe_key: LATE.key, state: 'overtaken' },
    ]);
  });
});

describe('confirmation', () => {
  it('comes by webhook, and nothing is said twice then', async () => {
    const notifier = world.process(world.settings({}, { webhookSecrets: ['old', ...world.pager.webhookSecrets] }));
    await world.subscribe(notifier);
    await world.page(REMOVED);
    await world.live(1_000);
    await expect
      .poll(() => world.rows('dedupe_key, state'))
      .toContainEqual({ dedupe_key: REMOVED.key, state: 'confirmed' });
    await world.live(90_000);
    expect(world.mail.mails).toEqual([]);
    expect(await world.openSignals()).toEqual([]);
  });

  it('comes by look-up where there is a token and no webhook', async () => {
    world.process(world.settings({}, { token: world.pager.token }));
    await world.page(LATE);
    await world.live(10_000);
    expect(await world.rows('dedupe_key, state')).toContainEqual({ dedupe_key: LATE.key, state: 'confirmed' });
    await world.live(60_000);
    expect(world.mail.mails).toEqual([]);
  });

  it('fails when 202 was all there was: the second channel says it within 60 s, and a signal says that the pager fails', async () => {
    world.process(world.settings({}, { token: world.pager.token }));
    await world.live(0);
    await world.pager.become('unheard');
    await world.page(LATE);
    await world.live(60_000);
    expect(world.mail.mails).toMatchObject([
      {
        subject: `[SEV2] orders-late of ${LATE.key}`,
        to: ['oncall@example.com'],
        text: expect.stringContaining('Runbook: https://plumbline.example.com/runbooks/orders-late'),
      },
    ]);
    await world.live(5_000);
    expect(await world.openSignals()).toContain(
      'notifier-failing real/pagerduty/routine: takes it, and nobody is seen to be paged',
    );
    await world.live(300_000);
    expect(world.mail.mails).toHaveLength(1);
    // Better again: the next page that is confirmed ends the doubt.
    await world.pager.become('calm');
    await world.page({ key: 'next' });
    await world.live(20_000);
    expect(await world.openSignals()).toEqual([]);
  });

  it('that does not come is said again when it is graver, and when it is told again', async () => {
    world.process(world.settings({}, { token: world.pager.token }));
    await world.live(0);
    await world.pager.become('unheard');
    const id = await world.page({ ...LATE, severity: 3 });
    await world.live(60_000);
    await world.say(id, { ...LATE, severity: 1, reason: 'changed' });
    await world.say(id, { ...LATE, severity: 1, reason: 'repeated' });
    await world.live(60_000);
    await world.say(id, { ...LATE, severity: 1, reason: 'repeated' });
    await world.live(60_000);
    const mails = world.mail.mails.map(({ subject, text }) => `${subject.slice(0, 6)} ${/It is still so/.test(text)}`);
    expect(mails).toEqual(['[SEV3] false', '[SEV1] true', '[SEV1] true']);
  });

  it('is not had from an incident of before that somebody has acknowledged', async () => {
    world.process(world.settings({}, { token: world.pager.token }));
    const id = await world.page(LATE);
    await world.live(10_000);
    const old = world.pager.incidents.list.find(({ key }) => key === LATE.key);
    world.pager.act(old?.id ?? '', 'acknowledged');
    await world.database.query(`update alerting.alert set state = 'closed' where id = $1`, [id]);
    await world.pager.become('unheard');
    world.clock.advance(600_000);
    await world.page(LATE);
    await world.live(60_000);
    expect(world.mail.mails.map(({ subject }) => subject)).toEqual([`[SEV2] orders-late of ${LATE.key}`]);
  });

  it('says over the second channel that it is over, to whom it was told there', async () => {
    world.process(world.settings({}, { token: world.pager.token }));
    await world.live(0);
    await world.pager.become('unheard');
    const id = await world.page(LATE);
    await world.live(60_000);
    await world.resolve(id, LATE);
    await world.live(10_000);
    expect(world.mail.mails.map(({ subject }) => subject.slice(0, 10))).toEqual(['[SEV2] ord', '[Resolved]']);
  });

  it('is not expected where nothing but 202 can be had', async () => {
    const notifier = world.process();
    await world.pager.become('unheard');
    await world.page(LATE);
    await world.live(70_000);
    expect(world.mail.mails).toEqual([]);
    expect(await notifier.watch.channels()).toMatchObject([{ world: 'real', confirmation: 'taken' }]);
    expect(await notifier.health()).toMatchObject({
      state: 'ok',
      detail: expect.stringContaining('not confirmed beyond'),
    });
  });
});

describe('the second channel', () => {
  it('folds a flood, and still names each removal and each missing order', async () => {
    world.process();
    await world.live(0);
    await world.pager.become('down');
    for (let index = 0; index < 60; index++) await world.page({ key: `late-${index}`, severity: 3 });
    for (let index = 0; index < 30; index++) {
      await world.page({ key: `shop-${index}`, name: 'subscription-removed', route: 'removed', severity: 1 });
    }
    await world.live(60_000);
    const { mails } = world.mail;
    expect(mails.length).toBeLessThanOrEqual(14);
    const all = mails.map(({ subject, text }) => `${subject}\n${text}`).join('\n');
    for (let index = 0; index < 30; index++) expect(all).toContain(`subscription-removed of shop-${index}`);
    expect(all).toMatch(/and \d+ more: orders-late, SEV3/);
    await world.live(120_000);
    expect(
      (await world.rows('channel, state')).filter(
        ({ channel, state }) => channel === 'second' && state !== 'confirmed',
      ),
    ).toEqual([]);
  }, 120_000);

  it('that will not take a message gets it again, and is seen to fail', async () => {
    const { createServer } = await import('node:http');
    let status = 400;
    let taken = 0;
    const server = createServer((request, response) => {
      request.resume().on('end', () => response.writeHead(status).end());
      if (status === 200) taken += 1;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const secondChannel = { kind: 'webhook' as const, url: `http://127.0.0.1:${port}/services/T0` };
    world.process(world.settings({ pagerduty: undefined, secondChannel }));
    await world.page(REMOVED);
    await world.live(90_000);
    expect(await world.openSignals()).toEqual([expect.stringMatching(/^notifier-failing real\/second\/127/)]);
    status = 200;
    await world.live(400_000);
    server.close();
    expect(taken).toBe(1);
    expect(await world.openSignals()).toEqual([]);
  }, 60_000);

  it('is a signed webhook in the shape of Slack where that is configured', async () => {
    const { createServer } = await import('node:http');
    const posted: { headers: NodeJS.Dict<string | string[]>; body: string }[] = [];
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        posted.push({ headers: request.headers, body });
        response.end('ok');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    world.process(
      world.settings({
        pagerduty: undefined,
        secondChannel: { kind: 'webhook', url: `http://127.0.0.1:${port}/services/T0/B0/secret`, secret: 'shh' },
      }),
    );
    await world.page(REMOVED);
    await world.live(5_000);
    server.close();
    const { createHmac } = await import('node:crypto');
    expect(posted).toHaveLength(1);
    const [{ headers, body } = { headers: {}, body: '' }] = posted;
    const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-plumbline-signature'])) ?? [];
    expect(v1).toBe(createHmac('sha256', 'shh').update(`${t}.${body}`).digest('hex'));
    expect(JSON.parse(body)).toMatchObject({
      text: `[SEV1] subscription-removed of ${REMOVED.key}`,
      blocks: [{ type: 'header' }, { type: 'section' }, { type: 'context' }],
    });
    expect(world.log).not.toContain('B0/secret');
  });
});
