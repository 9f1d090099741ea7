import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Healthchecks } from '../../../sandbox/healthchecks/healthchecks.js';
import type { LoopHealth } from '../../../src/kernel/loop.js';
import { TellingWorld } from './telling-world.js';

let world: TellingWorld;
beforeEach(async () => {
  world = await TellingWorld.open();
});

const HOUR_MS = 3_600_000;

describe('who is on call', () => {
  const settings = () =>
    world.settings({}, { token: world.pager.token, escalationPolicies: [world.pager.escalationPolicy] });

  it('is looked up every hour, and nobody is a signal until there is somebody again', async () => {
    world.process(settings());
    await world.live(0);
    expect(await world.openSignals()).toEqual([]);
    world.pager.onCall = [];
    world.clock.advance(HOUR_MS);
    await world.live(0);
    expect(await world.openSignals()).toContain('on-call-gap real/PSANDBOX: nobody is on call');
    world.clock.advance(HOUR_MS);
    await world.live(0);
    const told = (await world.signals.changes('0', 10)).filter(({ signal }) => signal.kind === 'on-call-gap');
    expect(told).toHaveLength(1);
    world.pager.onCall = ['Robin On-Call'];
    world.clock.advance(HOUR_MS);
    await world.live(0);
    expect((await world.openSignals()).filter((each) => each.startsWith('on-call'))).toEqual([]);
  });

  it('that nobody can say for three hours is a gap too', async () => {
    world.process(settings());
    await world.live(0);
    await world.pager.become('failing');
    world.clock.advance(2 * HOUR_MS);
    await world.live(0);
    expect((await world.openSignals()).filter((each) => each.startsWith('on-call'))).toEqual([]);
    world.clock.advance(HOUR_MS);
    await world.live(0);
    expect(await world.openSignals()).toContain('on-call-gap real/PSANDBOX: nobody can say who is on call');
  });

  it('is asked by one process an hour, however many there are', async () => {
    const processes = [world.process(settings()), world.process(settings()), world.process(settings())];
    let looks = 0;
    const list = Object.getOwnPropertyDescriptor(world.pager, 'onCall');
    Object.defineProperty(world.pager, 'onCall', { get: () => (looks++, list?.value as string[]), configurable: true });
    await Promise.all(processes.map((each) => world.live(0, [each])));
    expect(looks).toBe(1);
  });

  it('and a subscription that PagerDuty has switched off, are seen in the same look', async () => {
    const notifier = world.process(world.settings({}, { token: world.pager.token, webhookSecrets: ['not-theirs'] }));
    await world.subscribe(notifier);
    // Three refusals in a row: it is signed with what we do not know.
    for (const key of ['a', 'b', 'c']) await world.page({ key });
    await world.live(0);
    await expect.poll(() => world.pager.webhooks.isDisabled).toBe(true);
    world.clock.advance(HOUR_MS);
    await world.live(10_000);
    expect(await world.openSignals()).toContainEqual(
      expect.stringMatching(/^notifier-failing real\/pagerduty\/webhooks: PagerDuty has switched/),
    );
  });
});

describe('the heartbeat', () => {
  let checks: Healthchecks;
  let server: Server;
  let url: string;
  beforeEach(async () => {
    checks = new Healthchecks({ now: () => world.clock.nowMs(), after: () => () => undefined });
    server = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const answer = checks.take(request.url ?? '', body) ?? { status: 404, body: '' };
        response.writeHead(answer.status).end(answer.body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/ping/${checks.id}`;
  });
  afterEach(() => void server.close());

  const loop = (more: Partial<LoopHealth> = {}): LoopHealth => ({
    name: 'alerts',
    state: 'running',
    lastBeatAt: world.clock.now(),
    ageMs: 100,
    staleAfterMs: 30_000,
    consecutiveFailures: 0,
    lastError: null,
    ...more,
  });

  it('goes out once a minute while the loops that tell are well, over all processes', async () => {
    const settings = world.settings({ heartbeatUrl: url });
    world.loops = [loop(), loop({ name: 'tell-removed' })];
    world.process(settings);
    world.process(settings);
    await world.live(299_000);
    expect(checks.pings.map(({ kind }) => kind)).toEqual(Array.from({ length: 5 }, () => 'success'));
    expect(checks.state).toBe('up');
  });

  it('stops when a loop hangs, though the process runs; then it says that it is ill', async () => {
    world.loops = [loop(), loop({ name: 'tell-removed' })];
    world.process(world.settings({ heartbeatUrl: url }));
    await world.live(60_000);
    const before = checks.pings.length;
    world.loops = [loop(), loop({ name: 'tell-removed', ageMs: 90_000 })];
    await world.live(130_000);
    expect(checks.pings.length).toBe(before);
    expect(checks.state).toBe('down');
    await world.live(30_000);
    expect(checks.pings.at(-1)).toMatchObject({ kind: 'fail', body: 'tell-removed: no good round for 90 s' });
  });

  it('says that it is ill while nobody can be told, though every loop is well', async () => {
    world.loops = [loop()];
    const secondChannel = { kind: 'webhook' as const, url: 'http://127.0.0.1:1/nobody' };
    world.process(world.settings({ heartbeatUrl: url, secondChannel }));
    await world.live(0);
    await world.pager.become('down');
    for (const route of ['removed', 'orders', 'routine']) await world.page({ key: route, route });
    await world.live(420_000);
    world.loops = [loop()];
    expect(checks.pings.at(-1)).toMatchObject({ kind: 'fail', body: expect.stringContaining('nobody can be told') });
    await world.pager.become('calm');
    await world.live(120_000);
    expect(checks.pings.at(-1)).toMatchObject({ kind: 'success' });
  }, 60_000);

  it('is left to a process that is well, and says nothing before anything is proved', async () => {
    world.loops = [];
    world.process(world.settings({ heartbeatUrl: url }));
    await world.live(120_000);
    world.loops = [loop({ lastBeatAt: null, ageMs: 1_000 })];
    await world.live(60_000);
    expect(checks.pings).toEqual([]);
    expect(checks.state).toBe('new');
  });

  it('keeps its address out of the log when it is not heard', async () => {
    world.loops = [loop()];
    world.process(world.settings({ heartbeatUrl: url.replace(checks.id, 'gone-0000') }));
    await world.live(0);
    expect(world.log).toContain('the heartbeat was not heard');
    expect(world.log).not.toContain('gone-0000');
  });
});

describe('a recipient that fails', () => {
  it('stays one signal while another process tells in another world only', async () => {
    world.process();
    const other = world.process();
    other.configure('real', null);
    other.configure('sandbox', world.settings(), world.pager.ca);
    await world.live(0);
    await world.pager.become('down');
    await world.page({ key: 'a' });
    await world.live(120_000);
    const told = (await world.signals.changes('0', 100)).filter(({ signal }) => signal.subject.startsWith('real/'));
    expect(told.map(({ change }) => change)).toEqual(['opened']);
  });
});

it('no pager where none is configured is nothing that fails: the second channel tells, and that is all', async () => {
  world.process(world.settings({ pagerduty: undefined }));
  await world.page({ key: 'a' });
  await world.live(120_000);
  expect(world.mail.mails).toHaveLength(1);
  expect(world.mail.mails[0]?.text).not.toMatch(/The pager has not confirmed/);
  expect(await world.openSignals()).toEqual([]);
});

describe('the way to the pager', () => {
  it('is walked once a day by a test that resolves itself', async () => {
    world.process(world.settings({}, { token: world.pager.token }));
    world.process(world.settings({}, { token: world.pager.token }));
    await world.live(30_000);
    const tests = () => world.pager.incidents.list.filter(({ key }) => key === 'plumbline:pager:pager-test');
    expect(tests()).toMatchObject([{ status: 'resolved', severity: 'info' }]);
    expect(await world.rows('reason, action, state')).toEqual([
      { reason: 'heartbeat', action: 'trigger', state: 'confirmed' },
      { reason: 'heartbeat', action: 'resolve', state: 'taken' },
    ]);
    world.clock.advance(86_400_000);
    await world.live(30_000);
    expect(tests()).toHaveLength(2);
  });

  it('that takes the test and makes nothing of it is a signal, without any page in between', async () => {
    await world.pager.become('unheard');
    world.process(world.settings({}, { token: world.pager.token }));
    await world.live(70_000);
    expect(await world.openSignals()).toEqual([
      'notifier-failing real/pagerduty/routine: takes it, and nobody is seen to be paged',
    ]);
    expect(world.mail.mails).toEqual([]);
  });
});
