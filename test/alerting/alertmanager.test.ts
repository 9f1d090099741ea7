import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { OutboundAlertmanager } from '../../src/alerting/alertmanager/outbound-alerts.js';
import { listenersOf } from '../../src/alerting/alerting.js';
import { AddressGuard } from '../../src/kernel/address-guard.js';
import { HttpOut } from '../../src/kernel/http-out.js';
import { silentLogger } from '../../src/kernel/log.js';
import { freePort } from '../../simulation/product.js';
import { ConsoleApp } from '../console/console-app.js';
import { requireTool, toolPath } from '../support/requires.js';
import { testDatabase } from '../support/test-database.js';
import { until } from '../support/until.js';
import { MINUTE, alertWorldOn, shopOf, type AlertWorld } from './alert-world.js';
import { refusing, removed } from './findings.js';

const http = new HttpOut(new AddressGuard(['127.0.0.0/8']));
afterAll(() => http.close());

const AUDIENCE = { hasPager: true, second: null, tickets: 'none' as const };

/** Alerting with an Alertmanager to tell. */
async function telling(url: string): Promise<AlertWorld & { outbound: OutboundAlertmanager }> {
  const { database } = await testDatabase();
  const settings = { alertmanagerUrl: url };
  const world = alertWorldOn(database, { listeners: (alert) => listenersOf(alert, AUDIENCE, settings) });
  const outbound = new OutboundAlertmanager({ url, database, clock: world.clock, log: silentLogger, http });
  return { ...world, outbound };
}

interface Posted {
  labels: Record<string, string>;
  annotations: Record<string, string>;
  startsAt: string;
  endsAt: string;
}

let server: Server | null = null;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server ? server.close(resolve) : resolve(null)));
  server = null;
});

/** An Alertmanager that keeps what it is sent, and can be away. */
async function pretended(): Promise<{ url: string; posts: Posted[][]; answers: (status: number) => void }> {
  const posts: Posted[][] = [];
  let status = 200;
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      if (status === 200 && request.url === '/api/v2/alerts') posts.push(JSON.parse(body) as Posted[]);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, posts, answers: (next) => (status = next) };
}

it('is sent what is open again before its end, and what is over for five minutes', async () => {
  const { url, posts } = await pretended();
  const world = await telling(url);
  await world.signals.report(removed(1));
  await world.settle();
  await world.outbound.round();
  await world.outbound.round();
  expect(posts).toHaveLength(1);
  expect(posts[0]).toMatchObject([
    {
      labels: { alertname: 'subscription-removed', severity: 'critical', shop: shopOf(1), service: 'plumbline' },
      annotations: { runbook: 'subscription-removed' },
    },
  ]);
  const [first] = posts[0] ?? [];
  for (let minute = 1; minute <= 3; minute++) {
    world.clock.advance(MINUTE);
    await world.outbound.round();
    const [again] = posts.at(-1) ?? [];
    expect(again?.labels).toEqual(first?.labels);
    expect(Date.parse(again?.endsAt ?? '')).toBe(world.clock.nowMs() + 5 * MINUTE);
  }
  await world.signals.close('subscription-removed', removed(1).subject);
  await world.settle();
  const overAt = world.clock.now().toISOString();
  for (let minute = 0; minute < 5; minute++) {
    await world.outbound.round();
    expect(posts.at(-1)).toMatchObject([{ labels: first?.labels, endsAt: overAt }]);
    world.clock.advance(MINUTE);
  }
  await world.outbound.round();
  expect(posts.at(-1)).toMatchObject([{ endsAt: overAt }]);
  const said = await world.database.rows<{ action: string; state: string }>(
    `select action, state from alerting.notification where channel = 'alertmanager' order by id`,
  );
  expect(said).toEqual([
    { action: 'trigger', state: 'taken' },
    { action: 'resolve', state: 'taken' },
  ]);
});

it('is told once it is back, also of what has ended meanwhile; until then the log says why not', async () => {
  const { url, posts, answers } = await pretended();
  const world = await telling(url);
  await world.signals.report(removed(1));
  await world.signals.report(removed(2));
  await world.settle();
  answers(503);
  await expect(world.outbound.round()).rejects.toThrow('answered 503');
  const said = await world.database.rows<{ state: string; attempts: number; last_error: string }>(
    `select state, attempts, last_error from alerting.notification where channel = 'alertmanager'`,
  );
  expect(said[0]).toMatchObject({ state: 'waiting', attempts: 1, last_error: 'answered 503: ' });
  await world.signals.close('subscription-removed', removed(2).subject);
  await world.settle();
  world.clock.advance(60 * MINUTE);
  answers(200);
  await world.outbound.round();
  expect(posts.at(-1)?.map(({ labels, endsAt }) => [labels['shop'], Date.parse(endsAt) > world.clock.nowMs()])).toEqual(
    [
      [shopOf(1), true],
      [shopOf(2), false],
    ],
  );
});

it('hears nothing of what is muted, of what is only logged, or of the sandbox', async () => {
  const settings = { alertmanagerUrl: 'http://127.0.0.1:9093' };
  const channels = (alert: Parameters<typeof listenersOf>[0]) =>
    listenersOf(alert, AUDIENCE, settings).map(({ channel }) => channel);
  expect(channels({ name: 'orders-missing', class: 'page', route: 'orders', world: 'real' })).toEqual([
    'pagerduty',
    'alertmanager',
  ]);
  expect(channels({ name: 'destination-refusing', class: 'ticket', route: 'routine', world: 'real' })).toEqual([
    'alertmanager',
  ]);
  expect(channels({ name: 'orders-missing', class: 'page', route: 'orders', world: 'sandbox' })).toEqual(['pagerduty']);
  expect(channels({ name: 'watchdog', class: 'log', route: 'routine', world: 'real' })).toEqual([]);
  expect(channels({ name: 'external-page', class: 'page', route: 'routine', world: 'real' })).toEqual(['pagerduty']);
  const { url, posts } = await pretended();
  const world = await telling(url);
  await world.silences.silence(
    { name: 'destination-refusing' },
    'ann',
    'known',
    new Date(world.clock.nowMs() + 60 * MINUTE),
  );
  await world.signals.report(refusing(1));
  await world.pass(10 * MINUTE);
  await world.outbound.round();
  expect(posts.flat()).toEqual([]);
});

requireTool('alertmanager')("Debian's Alertmanager and its amtool", () => {
  let directory: string;
  let program: ChildProcess | null = null;
  let app: ConsoleApp;

  beforeAll(async () => {
    app = await ConsoleApp.open();
    directory = mkdtempSync(join(tmpdir(), 'plumbline-alertmanager-'));
  });
  afterAll(async () => {
    if (program && program.exitCode === null) {
      const gone = once(program, 'exit');
      program.kill('SIGKILL');
      await gone;
    }
    await app.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function start(): Promise<string> {
    const port = await freePort();
    const config = join(directory, 'alertmanager.yml');
    writeFileSync(
      config,
      `route: {receiver: plumbline, group_by: [alertname, shop, instance], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}
receivers:
- name: plumbline
  webhook_configs:
  - url: ${app.url}/inbound/alertmanager
    send_resolved: true
    http_config: {authorization: {credentials: ${app.token('responder')}}}
`,
    );
    program = spawn(
      toolPath('alertmanager') ?? '',
      [
        `--config.file=${config}`,
        `--storage.path=${join(directory, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--cluster.listen-address=',
      ],
      { stdio: 'ignore' },
    );
    const url = `http://127.0.0.1:${port}`;
    await until(async () => (await fetch(`${url}/-/ready`)).ok, { timeoutMs: 20_000, what: 'Alertmanager is ready' });
    return url;
  }

  it('takes our alerts, shows them by amtool until they are over, and sends us those of others', async () => {
    const url = await start();
    const world = await telling(url);
    // Its own clock is the machine's.
    world.clock.set(Date.now());
    const amtool = async (...args: string[]): Promise<string> =>
      (await promisify(execFile)('amtool', [`--alertmanager.url=${url}`, ...args])).stdout;
    const names = async () =>
      (JSON.parse(await amtool('alert', 'query', '-o', 'json')) as { labels: Record<string, string> }[])
        .map(({ labels }) => `${labels['alertname']} ${labels['shop'] ?? labels['instance'] ?? ''}`)
        .sort();

    await world.signals.report(removed(1));
    await world.signals.report(removed(2));
    await world.settle();
    await world.outbound.round();
    expect(await names()).toEqual([`subscription-removed ${shopOf(1)}`, `subscription-removed ${shopOf(2)}`]);

    const endsAt = new Date(Date.now() + 4_000).toISOString();
    const labels = ['DiskFull', 'instance=db-1', 'severity=critical'];
    await amtool('alert', 'add', ...labels, '--annotation=summary=The disk is full', `--end=${endsAt}`);
    const external = async (state: 'open' | 'closed' | 'all') =>
      (await app.signals.signals({ kind: 'external', state }, { limit: 20 })).items.map(({ facts }) => facts);
    const [disk] = await until(
      async () => {
        const found = await external('all');
        return found.length > 0 && found;
      },
      { timeoutMs: 20_000 },
    );
    expect(disk).toMatchObject({
      labels: { alertname: 'DiskFull', instance: 'db-1', severity: 'critical' },
      summary: 'The disk is full',
    });

    world.clock.set(Date.now());
    await world.signals.close('subscription-removed', removed(1).subject);
    await world.settle();
    await world.outbound.round();
    await until(async () => !(await names()).includes(`subscription-removed ${shopOf(1)}`), { timeoutMs: 20_000 });
    expect(await names()).toContain(`subscription-removed ${shopOf(2)}`);

    // It says when it is over; and what it had from us came back, and was passed over.
    await until(async () => (await external('closed')).length === 1, { timeoutMs: 20_000 });
    expect(await external('all')).toHaveLength(1);
  }, 90_000);
});
