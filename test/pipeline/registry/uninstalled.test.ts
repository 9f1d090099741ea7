import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ShopDeclaration } from '../../../src/pipeline/config.js';
import type { Shop } from '../../../src/pipeline/contract.js';
import { WholeLine } from '../../support/whole-line.js';
import { until } from '../../support/until.js';

const ACME = 'acme.myshopify.com';
const BODY = '{"id":548380009,"name":"Acme","domain":"acme.myshopify.com","myshopify_domain":null}';
const DECLARED: ShopDeclaration = {
  domain: ACME,
  accessToken: 'shpat_one',
  subscriptions: 'shop',
  destinations: [],
  settings: {},
};

let line: WholeLine;
beforeEach(async () => {
  line = await WholeLine.start({ shops: [DECLARED] });
});
afterEach(() => line.stop());

const shop = () => line.pipeline.registry.shopByDomain('real', ACME) as Shop;
const declare = (change: Partial<ShopDeclaration> = {}) =>
  line.pipeline.registry.applyDeclared({ shops: [{ ...DECLARED, ...change }], destinations: [] }, 'real');
const uninstall = async (at = new Date(), webhookId: string = randomUUID()) => {
  expect(await line.send({ topic: 'app/uninstalled', body: BODY, triggeredAt: at.toISOString(), webhookId })).toBe(200);
  await line.untilRouted();
};
const untilMarked = () => until(() => shop().uninstalledAt !== null, { what: 'the shop is marked as uninstalled' });
const audit = async () => {
  const rows = await line.database.rows<{ entry: string }>(
    `select actor || ' ' || action || ' ' || subject as entry from kernel.audit
      where action in ('shop.uninstall', 'shop.update') order by id`,
  );
  return rows.map(({ entry }) => entry);
};

describe('app/uninstalled', () => {
  it('marks the shop as of when the merchant did it, forgets the dead token, and is in the audit log', async () => {
    const at = new Date(Date.now() + 10);
    await until(() => Date.now() > at.getTime());
    await uninstall(at);
    await untilMarked();
    expect(shop()).toMatchObject({ uninstalledAt: at, accessToken: null });
    expect(await audit()).toEqual([`shopify shop.uninstall ${ACME}`]);
    expect(await line.webhookOutcomes()).toMatchObject([{ topic: 'app/uninstalled', outcome: 'no-effect' }]);
  });

  it('has one effect, however often it arrives, under the same id or another', async () => {
    await uninstall(new Date(), 'one');
    await untilMarked();
    const first = shop().uninstalledAt;
    await uninstall(new Date(), 'one');
    await uninstall(new Date(), 'two');
    await line.pipeline.registry.refresh();
    expect(shop().uninstalledAt).toEqual(first);
    expect(await audit()).toHaveLength(1);
  });

  it('ends no installation that is younger than it', async () => {
    const before = new Date(shop().connectedAt.getTime() - 1);
    await uninstall(before);
    await line.pipeline.registry.refresh();
    expect(shop()).toMatchObject({ uninstalledAt: null, accessToken: 'shpat_one' });
    expect(await audit()).toEqual([]);
  });
});

describe('a shop that was uninstalled', () => {
  beforeEach(async () => {
    await uninstall();
    await untilMarked();
  });

  it('stays so when the file declares the dead token again, at every start', async () => {
    await declare();
    await declare();
    expect(shop()).toMatchObject({ accessToken: null });
    expect(shop().uninstalledAt).not.toBeNull();
    expect(await audit()).toHaveLength(1);
  });

  it('is connected anew by another token, and an old app/uninstalled that comes late changes nothing', async () => {
    const left = shop().uninstalledAt as Date;
    await declare({ accessToken: 'shpat_two' });
    expect(shop()).toMatchObject({ accessToken: 'shpat_two', uninstalledAt: null });
    expect(shop().connectedAt.getTime()).toBeGreaterThanOrEqual(left.getTime());
    await uninstall(left);
    await line.pipeline.registry.refresh();
    expect(shop().uninstalledAt).toBeNull();
    await uninstall();
    await untilMarked();
  });
});
