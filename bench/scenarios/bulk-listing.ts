import type { BulkReaderApi } from '../children/bulk-reader.js';
import type { BulkStorageApi } from '../children/bulk-storage.js';
import type { Lab } from '../lab.js';
import { residentBytes } from '../machine.js';
import { sampleOf, type Sample, type Scenario } from '../scenario.js';

const ORDERS = 1_000_000;
const QUICK_ORDERS = 100_000;
const MB = 2 ** 20;
const SAMPLE_EVERY_MS = 100;

/** One result read from its first line to its last, by a process of its own: memory of an earlier one would count. */
async function read(lab: Lab, url: string, orders: number, how: 'list' | 'parse'): Promise<Sample> {
  const reader = lab.child<BulkReaderApi>('bulk-reader');
  await reader.call(how, { url, orders: 1_000 }); // warm, and its modules loaded
  const rss: number[] = [];
  const watch = setInterval(() => rss.push(residentBytes(reader.pid, 'VmRSS')), SAMPLE_EVERY_MS);
  try {
    const { result, cost } = await lab.cost([reader.pid], () => reader.call(how, { url, orders }));
    if (result.orders !== orders) throw new Error(`${result.orders} orders were read of ${orders}`);
    const quarter = (number: number): number =>
      Math.max(...rss.slice(Math.floor((rss.length * number) / 4), Math.ceil((rss.length * (number + 1)) / 4)));
    return sampleOf(orders, result.seconds, cost, {
      orders,
      rssMaxMb: residentBytes(reader.pid, 'VmHWM') / MB,
      rssGrowth: quarter(3) / quarter(1),
    });
  } finally {
    clearInterval(watch);
    await reader.kill();
  }
}

export const bulkListing: Scenario = {
  name: 'bulk-listing',
  title:
    'one bulk result of a million orders (100,000 with --quick), streamed from a local storage that makes it on the fly',
  async prepare(lab, { quick }) {
    const storage = lab.child<BulkStorageApi>('bulk-storage');
    const { url } = await storage.call('open', null);
    const orders = quick ? QUICK_ORDERS : ORDERS;
    return {
      contenders: [
        { name: 'listing', measure: () => read(lab, url, orders, 'list') },
        { name: 'json-parse', measure: () => read(lab, url, orders, 'parse') },
      ],
      base: 'json-parse',
      roundsMax: 3,
      close: () => storage.kill(),
    };
  },
};
