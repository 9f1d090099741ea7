import type { ComparerApi } from '../children/comparer.js';
import type { LedgerWriterApi } from '../children/ledger-writer.js';
import type { Contender, Scenario } from '../scenario.js';
import { sampleOf } from '../scenario.js';

const SHOPS = 200;
/** One hour's share of 300 million orders a month. */
export const LISTED = 417_000;

export const comparison: Scenario = {
  name: 'comparison',
  title:
    'an hour of listed orders compared with the grown ledger: the newest ones, and as many from all over the month',
  async prepare(lab, settings) {
    const databaseUrl = await lab.database();
    const writer = lab.child<LedgerWriterApi>('ledger-writer');
    await writer.call('open', { databaseUrl });
    await writer.call('grow', { rows: settings.ledgerRows, shops: SHOPS });
    await writer.kill();
    const contenders: Contender[] = [];
    const closing: (() => Promise<void>)[] = [];
    for (const which of ['newest', 'spread'] as const) {
      const comparer = lab.child<ComparerApi>('comparer');
      await comparer.call('open', { databaseUrl });
      const { listed } = await comparer.call('list', { orders: Math.min(LISTED, settings.ledgerRows / 8), which });
      contenders.push({
        name: which,
        async measure() {
          const { result, cost } = await lab.cost([comparer.pid], () => comparer.call('compare', null));
          if (result.atRest !== listed || result.exceptions > 0) {
            throw new Error(`${listed} listed orders are at rest, and ${result.atRest} were found so`);
          }
          return sampleOf(listed, result.seconds, cost, { listed, ledgerRows: settings.ledgerRows });
        },
      });
      closing.push(() => comparer.kill());
    }
    return {
      contenders,
      base: 'newest',
      close: async () => void (await Promise.all(closing.map((close) => close()))),
    };
  },
};
