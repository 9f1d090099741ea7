import type { AlertFolderApi } from '../children/alert-folder.js';
import { residentBytes } from '../machine.js';
import { sampleOf, type Contender, type Scenario } from '../scenario.js';

const CHANGES = 100_000;
const QUICK_CHANGES = 20_000;
const SHOPS = 5_000;
const MB = 2 ** 20;
const SAMPLE_EVERY_MS = 100;

/** What alerting makes of a storm of signals, beside the least that could be done with them: read and written once more. */
export const alerts: Scenario = {
  name: 'alerts',
  title: "a storm of signals' changes from 5,000 shops, folded into alerts",
  async prepare(lab, settings) {
    const contenders: Contender[] = [];
    const closing: (() => Promise<void>)[] = [];
    for (const how of ['alerts', 'insert'] as const) {
      const databaseUrl = await lab.database();
      const folder = lab.child<AlertFolderApi>('alert-folder');
      await folder.call('open', { databaseUrl });
      const storm = () => folder.call('storm', { changes: settings.quick ? QUICK_CHANGES : CHANGES, shops: SHOPS });
      // A young process takes memory until its heap has the size it is told to begin with.
      await storm();
      await folder.call('fold', { how });
      contenders.push({
        name: how,
        async measure() {
          await storm();
          const rss: number[] = [];
          const watch = setInterval(() => rss.push(residentBytes(folder.pid, 'VmRSS')), SAMPLE_EVERY_MS);
          try {
            const { result, cost } = await lab.cost([folder.pid], () => folder.call('fold', { how }));
            const quarter = (number: number): number =>
              Math.max(...rss.slice(Math.floor((rss.length * number) / 4), Math.ceil((rss.length * (number + 1)) / 4)));
            return sampleOf(result.changes, result.seconds, cost, {
              alerts: result.alerts,
              rssMaxMb: residentBytes(folder.pid, 'VmHWM') / MB,
              rssGrowth: quarter(3) / quarter(1),
            });
          } finally {
            clearInterval(watch);
          }
        },
      });
      closing.push(() => folder.kill());
    }
    return {
      contenders,
      base: 'insert',
      close: async () => void (await Promise.all(closing.map((close) => close()))),
    };
  },
};
