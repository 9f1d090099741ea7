import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../kernel/database.js';
import type { Round } from '../../kernel/loop.js';
import type { Finding, SignalDesk } from '../../monitoring/contract.js';
import type { World } from '../../pipeline/contract.js';

const DAY_MS = 86_400_000;
/** Two a shift of twelve hours: whoever is woken more often stops looking. */
const PAGES_MAX = 4;
const OFFENDERS = 3;

/** Pages that somebody was woken by, by name and world. Index: notification_of_time. */
const COUNT = `
select n.world, n.body->>'name' as name, count(*)::integer as pages
  from alerting.notification n
 where n.created_at > $1 and n.channel = 'pagerduty' and n.action = 'trigger' and n.reason = 'new'
   and n.body->>'class' = 'page'
 group by 1, 2 order by 3 desc, 2`;

interface Counted {
  world: World;
  name: string;
  pages: number;
}

/** Whether people are paged more often than they can stand, with who does most of it. Pure. */
export function pageVolumeFindings(counts: readonly Counted[]): Finding[] {
  return [...Map.groupBy(counts, ({ world }) => world)].flatMap(([world, ofWorld]): Finding[] => {
    const pages = ofWorld.reduce((sum, one) => sum + one.pages, 0);
    if (pages <= PAGES_MAX) return [];
    const worst = [...ofWorld].sort((one, other) => other.pages - one.pages || (one.name < other.name ? -1 : 1));
    return [
      {
        kind: 'page-volume-high',
        subject: world,
        world,
        facts: {
          pagesAtLeast: stepOf(pages),
          offenders: worst.slice(0, OFFENDERS).map(({ name, pages: count }) => `${name} (${stepOf(count)})`),
        },
        evidence: '/api/v1/notifications',
      },
    ];
  });
}

/** 5, 10, 20, 50 …: exact while it is small; a signal that grows by one at every look would be news all day. */
function stepOf(count: number): number {
  if (count < 5) return count;
  const tens = 10 ** Math.floor(Math.log10(count));
  return ([5, 2].find((step) => step * tens <= count) ?? 1) * tens;
}

/** Alerts that need no action are a defect that is itself counted. */
export class PageVolume {
  constructor(private readonly deps: { database: Database; clock: Clock; signals: Pick<SignalDesk, 'replace'> }) {}

  async round(): Promise<Round> {
    const { database, clock, signals } = this.deps;
    const from = new Date(clock.nowMs() - DAY_MS);
    const counts = await database.rows<Counted & Record<string, unknown>>(COUNT, [from]);
    await signals.replace('page-volume-high', null, pageVolumeFindings(counts));
    return 'idle';
  }
}
