import { setTimeout as pause } from 'node:timers/promises';
import type { z } from 'zod';
import { listOf } from '../shapes.js';
import { auditShape, subscriptionShape } from '../subscriptions.http.js';
import type { Query } from './api-client.js';
import type { Cli } from './cli.js';
import { CliFailure, EXIT } from './exit.js';
import { when } from './table.js';

type Subscription = z.output<typeof subscriptionShape>;

const PAGE = '200';
const LOOK_EVERY_MS = 500;
/** A shop is looked at within seconds; a thousand of them take a minute or two. */
const LOOKED_WITHIN_MS = 180_000;

/** Nothing is wrong with these: there is nothing that could be listed, or nothing that anybody wants. */
const AT_REST: ReadonlySet<Subscription['state']> = new Set([
  'ok',
  'unwanted',
  'app-owned',
  'no-destination',
  'uninstalled',
]);

const HEADERS = ['SHOP', 'TOPIC', 'STATE', 'SINCE', 'FINDINGS'];
const rowOf = (each: Subscription): (string | null)[] => [
  each.shop,
  each.topic,
  each.state,
  when(each.since),
  each.findings.map(({ kind }) => kind).join(', ') || each.reason,
];

export function addSubscriptions({ program, api, command, list, print, outcome }: Cli): void {
  command(program, 'subscriptions', 'what is wanted of Shopify and what is there')
    .option('--shop <domain>', 'only of this shop')
    .option('--limit <n>', 'at most this many', PAGE)
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      const answer = await api.ask(listOf(subscriptionShape), 'GET', '/api/v1/subscriptions', { query });
      list(answer, { json: json ?? false }, HEADERS, rowOf, 'No shop yet.');
    });

  command(program, 'audit', 'look at the subscriptions now; ends with 1 when something is not as wanted')
    .option('--shop <domain>', 'only of this shop')
    .action(async ({ json, shop }: { json?: boolean; shop?: string }) => {
      const asked = await api.ask(auditShape, 'POST', '/api/v1/subscriptions/audit', { body: { shop } });
      const items = await looked(shop, Date.parse(asked.requestedAt));
      const wrong = items.filter(({ state }) => !AT_REST.has(state));
      if (wrong.length > 0) outcome.exitCode = EXIT.no;
      const fine = `${items.length} subscriptions of ${asked.shops.length} shops: nothing is wrong.`;
      if (json) print({ items, nextCursor: null }, { json }, () => '');
      else list({ items: wrong, nextCursor: null }, {}, HEADERS, rowOf, fine);
    });

  /** Every subscription, once each shop has been looked at since. */
  async function looked(shop: string | undefined, sinceMs: number): Promise<Subscription[]> {
    for (let waitedMs = 0; waitedMs <= LOOKED_WITHIN_MS; waitedMs += LOOK_EVERY_MS) {
      const items = await all(shop);
      const isSeen = ({ lastTriedAt }: Subscription) => lastTriedAt !== null && Date.parse(lastTriedAt) >= sinceMs;
      if (items.every(isSeen)) return items;
      await pause(LOOK_EVERY_MS);
    }
    throw new CliFailure(
      EXIT.unavailable,
      'not every shop has been looked at: does a process with the role watch run?',
    );
  }

  async function all(shop: string | undefined): Promise<Subscription[]> {
    const items: Subscription[] = [];
    for (let cursor: string | undefined; ;) {
      const query: Query = { limit: PAGE, shop, cursor };
      const page = await api.ask(listOf(subscriptionShape), 'GET', '/api/v1/subscriptions', { query });
      items.push(...page.items);
      if (page.nextCursor === null) return items;
      cursor = page.nextCursor;
    }
  }
}
