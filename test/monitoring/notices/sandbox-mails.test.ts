import request from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../sandbox/clock.js';
import { Mailer } from '../../../sandbox/shopify/mailer.js';
import { Numbers } from '../../../sandbox/shopify/numbers.js';
import { parseTrouble } from '../../../sandbox/trouble.js';
import type { World } from '../../../sandbox/world.js';
import { ConsoleApp, NOON_MS } from '../../console/console-app.js';
import { COFFEE, smallWorld } from '../../sandbox/support/small-world.js';
import { until } from '../../support/until.js';

const SECRET = 'secret-of-the-sandbox';
let app: ConsoleApp;
let world: World;
let mailer: Mailer;
let shopId: string;

beforeAll(async () => {
  app = await ConsoleApp.open({ notices: { secrets: [{ secret: SECRET, world: 'sandbox' }] } });
  await app.registry.applyDeclared(
    { shops: [{ domain: COFFEE, subscriptions: 'shop', destinations: [], settings: {} }], destinations: [] },
    'sandbox',
  );
  const shop = app.registry.shops().find(({ domain }) => domain === COFFEE);
  shopId = shop?.id ?? '';
  mailer = new Mailer(`${app.url}/inbound/email/postmark/${SECRET}`, systemClock, new Numbers(5, NOON_MS));
  ({ world } = smallWorld({
    serviceUrl: app.url,
    onMail: (mail) => mailer.send(mail, mail.isForged ? 'forged' : 'shopify'),
  }));
  world.start({ [COFFEE]: shop?.key ?? '' });
  world.stopSelling();
});
afterAll(async () => {
  world.stop();
  mailer.stop();
  await app.close();
});

async function notices(kind: string): Promise<object[]> {
  const { body } = await request(app.url)
    .get(`/api/v1/notices?class=${kind}&shop=${COFFEE}`)
    .set('authorization', `Bearer ${app.token('viewer')}`);
  return (body as { items: object[] }).items;
}

describe('in the pretended world', () => {
  it('a forged mail is listed, and nobody looks because of it', async () => {
    world.make(parseTrouble({ kind: 'forged-mail', store: COFFEE, topic: 'orders/paid' }));
    await until(async () => (await notices('untrusted')).length === 1);
    await app.notices.duty().round();
    expect(app.hints).toEqual([]);
    expect(world.subscriptions.listening(COFFEE, 'orders/paid')).toHaveLength(1);
  });

  it('a removal brings its mail, and the mail makes the watch look at that shop', async () => {
    world.make(parseTrouble({ kind: 'remove-subscription', store: COFFEE, topic: 'orders/paid' }));
    const [notice] = await until(async () => {
      const found = await notices('removed');
      return found.length > 0 && found;
    });
    expect(notice).toMatchObject({ world: 'sandbox', shop: COFFEE, topic: 'orders/paid', count: 1 });
    await app.notices.duty().round();
    expect(app.hints).toEqual([`${shopId}, notice-removed`]);
  });
});
