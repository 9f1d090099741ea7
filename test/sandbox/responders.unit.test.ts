import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTransport } from 'nodemailer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ControlServer } from '../../sandbox/control/server.js';
import type { State } from '../../sandbox/control/view.js';
import { Responders } from '../../sandbox/responders.js';
import type { World } from '../../sandbox/world.js';
import { until } from '../support/until.js';
import { ManualClock } from './support/manual-clock.js';
import { smallWorld } from './support/small-world.js';

let service: Server;
let summary: object | null;
let responders: Responders;
let world: World;
let clock: ManualClock;
let control: ControlServer;
let base: string;

beforeEach(async () => {
  summary = null;
  service = createServer((request, response) => {
    if (request.url === '/status/api/v2/summary.json' && summary !== null) response.end(JSON.stringify(summary));
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  const serviceUrl = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;
  clock = new ManualClock();
  responders = new Responders(clock, serviceUrl);
  ({ world } = smallWorld({ clock, responders }));
  await responders.start();
  control = new ControlServer(world, serviceUrl);
  base = await control.start(0);
});
afterEach(async () => {
  world.stop();
  await control.stop();
  await responders.stop();
  service.closeAllConnections();
  service.close();
});

const state = async () => (await (await fetch(`${base}/control/state`)).json()) as State;
const post = (path: string, body: object) =>
  fetch(base + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

function page(title = 'Shopify removed orders/paid', key = 'shop:acme/orders/paid:subscription-removed'): void {
  responders.pager.incidents.take(
    {
      routingKey: responders.pager.routingKeys.removed,
      action: 'trigger',
      dedupKey: key,
      summary: title,
      severity: 'critical',
      payload: {},
      links: [],
    },
    clock.now(),
  );
}

describe('the control page', () => {
  it('shows who was paged, when, by which route and key, and lets whoever is on call act', async () => {
    page();
    const { view } = await state();
    expect(view.texts['told.count']).toBe('1 incident, 1 open');
    expect(view.lists['told.incidents']).toMatchObject([
      {
        text: 'Shopify removed orders/paid',
        tone: 'bad',
        badges: ['removed', 'critical', 'triggered'],
        detail: expect.stringMatching(/^paged \d\d:\d\d:\d\d · shop:acme\/orders\/paid:subscription-removed$/),
      },
    ]);
    const [{ id = '' } = {}] = responders.pager.incidents.list;
    expect((await post('/control/incident', { press: `acknowledged ${id}` })).status).toBe(200);
    expect((await state()).view.lists['told.incidents']).toMatchObject([
      {
        badges: ['removed', 'critical', 'acknowledged by Robin On-Call'],
        presses: [{ label: 'Give back' }, { label: 'Resolve' }],
      },
    ]);
    await post('/control/incident', { press: `resolved ${id}` });
    expect((await state()).view.lists['told.incidents']).toMatchObject([{ tone: 'good', presses: [] }]);
    expect((await post('/control/incident', { press: `deleted ${id}` })).status).toBe(400);
  });

  it('is whole without its script, and escapes what was sent', async () => {
    page('<img src=x onerror=alert(1)>');
    const html = await (await fetch(base)).text();
    expect(html).toContain('&lt;img src=x onerror=alert(1)&gt;');
    expect(html).toMatch(/<form method="post" action="\/control\/incident"/);
    expect(html).not.toContain(responders.pager.token);
    expect(html).not.toContain(responders.pager.routingKeys.removed);
  });

  it('shows what the public sees beside what is true, and when the page said something else', async () => {
    await responders.publicPage.look();
    expect((await state()).view.texts['told.public']).toBe('The public page cannot be read: HTTP 404.');
    summary = {
      status: { indicator: 'major', description: 'Partial System Outage' },
      components: [{ name: 'Intake', status: 'partial_outage' }],
      incidents: [{ name: 'Orders are missing', status: 'identified', incident_updates: [{ body: 'We know which.' }] }],
    };
    await responders.publicPage.look();
    const { view } = await state();
    expect(view.texts['told.public']).toBe('Partial System Outage');
    expect(view.texts['told.truth']).toBe('Nothing has been sold yet.');
    expect(view.lists['told.components']).toEqual([{ text: 'Intake: partial outage', tone: 'bad' }]);
    expect(view.lists['told.said']).toHaveLength(2);
  });

  it('makes trouble for the pager, the rota and the mail server, says so, and ends it', async () => {
    for (const [kind, value] of [
      ['pager', 'failing'],
      ['on-call', 'nobody'],
      ['mail', 'down'],
    ]) {
      expect((await post('/control/trouble', { kind, value })).status).toBe(200);
    }
    await until(() => responders.mail.isDown, { what: 'the mail server is down' });
    expect((await state()).active).toEqual(['PagerDuty fails (500)', 'Nobody is on call', 'The mail server is down']);
    await post('/control/trouble', { kind: 'calm' });
    await until(() => !responders.mail.isDown, { what: 'the mail server is up' });
    expect((await state()).active).toEqual([]);
    expect((await post('/control/trouble', { kind: 'pager', value: 'asleep' })).status).toBe(400);
  });
});

describe('the mail catcher', () => {
  it('keeps what it is handed, and shows it', async () => {
    const transport = createTransport(responders.mail.url);
    await transport.sendMail({ from: 'a@example.com', to: 'b@example.com', subject: 'Wörter', text: 'Zeile 1\n' });
    transport.close();
    expect(responders.mail.mails).toMatchObject([
      { from: 'a@example.com', to: ['b@example.com'], subject: 'Wörter', text: expect.stringContaining('Zeile 1') },
    ]);
    expect((await state()).view.lists['told.mails']).toMatchObject([{ text: expect.stringContaining('Wörter') }]);
  });
});

describe('the check', () => {
  it('hears the heartbeat, is late without it, and then raises the alarm', async () => {
    const url = `${base}/ping/${responders.check.id}`;
    expect(responders.check.state).toBe('new');
    expect(await (await fetch(url, { method: 'POST' })).text()).toBe('OK');
    expect(responders.check.state).toBe('up');
    clock.advance(61_000);
    expect(responders.check.state).toBe('late');
    clock.advance(60_000);
    expect(responders.check.state).toBe('down');
    await fetch(url);
    expect(responders.check.state).toBe('up');
    await fetch(`${url}/fail`, { method: 'POST', body: 'tell-removed hangs' });
    expect([responders.check.state, responders.check.pings.at(-1)?.body]).toEqual(['down', 'tell-removed hangs']);
    expect((await fetch(`${base}/ping/another-one`)).status).toBe(404);
  });
});
