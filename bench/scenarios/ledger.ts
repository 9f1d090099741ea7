import type { LedgerWriterApi } from '../children/ledger-writer.js';
import type { Contender, Scenario } from '../scenario.js';
import { sampleOf } from '../scenario.js';
import { freshIds } from './intake.js';

const SHOPS = 200;
const IDS_PER_MEASUREMENT = 10_000_000;

export const ledger: Scenario = {
  name: 'ledger',
  title: 'ledger cost of an order (planned, claimed, accepted, with its facts), by 500, on an empty and a grown ledger',
  async prepare(lab, settings) {
    const contenders: Contender[] = [];
    const closing: (() => Promise<void>)[] = [];
    for (const [name, rows] of [
      ['empty', 0],
      ['grown', settings.ledgerRows],
    ] as const) {
      const databaseUrl = await lab.database();
      const writer = lab.child<LedgerWriterApi>('ledger-writer');
      await writer.call('open', { databaseUrl });
      if (rows > 0) await writer.call('grow', { rows, shops: SHOPS });
      const write = (seconds: number) =>
        writer.call('write', { seconds, shops: SHOPS, firstId: freshIds(IDS_PER_MEASUREMENT) });
      await write(settings.warmUpSeconds);
      contenders.push({
        name,
        async measure() {
          if (rows === 0) await writer.call('empty', null);
          const { result, cost } = await lab.cost([writer.pid], () => write(settings.seconds));
          return sampleOf(result.orders, result.seconds, cost, {
            walBytes: cost.walBytes / result.orders,
            ledgerRows: rows,
          });
        },
      });
      closing.push(() => writer.kill());
    }
    return {
      contenders,
      base: 'empty',
      close: async () => void (await Promise.all(closing.map((close) => close()))),
    };
  },
};
