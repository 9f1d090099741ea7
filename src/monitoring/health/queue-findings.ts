import type { Destination, InboxLag, QueueAge, World } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import { atLeast } from '../signals/steps.js';

/** Age, not depth, is what customers feel: a long queue that moves is no trouble. */
const OLD_MS = 5 * 60_000;

/** What waits for longer than it should, and for nobody but us. Pure. */
export function queueFindings(
  ages: readonly QueueAge[],
  inbox: InboxLag,
  destinations: readonly Pick<Destination, 'id' | 'name' | 'world'>[],
  nowMs: number,
): Finding[] {
  const isOld = (oldestAt: Date): boolean => nowMs - oldestAt.getTime() > OLD_MS;
  const minutes = (oldestAt: Date): number => atLeast(Math.floor((nowMs - oldestAt.getTime()) / 60_000));
  const waiting = ages.flatMap((age) => {
    const destination = destinations.find(({ id }) => id === age.destinationId);
    return destination !== undefined && isOld(age.oldestAt) ? [{ ...age, destination }] : [];
  });
  const findings = [...Map.groupBy(waiting, ({ destination }) => destination.world)].map(
    ([world, ofWorld]: [World, typeof waiting]): Finding => {
      const oldestAt = ofWorld.reduce(
        (oldest, each) => (each.oldestAt < oldest ? each.oldestAt : oldest),
        new Date(nowMs),
      );
      return {
        kind: 'queue-old',
        subject: `${world}/deliveries`,
        world,
        facts: {
          queue: 'deliveries',
          minutesAtLeast: minutes(oldestAt),
          waitingAtLeast: atLeast(ofWorld.reduce((sum, each) => sum + each.deliveries, 0)),
          destinationsAtLeast: atLeast(ofWorld.length),
        },
        evidence: '/api/v1/destinations',
      };
    },
  );
  if (inbox.oldestAt === null || !isOld(inbox.oldestAt)) return findings;
  return [
    ...findings,
    {
      kind: 'queue-old',
      subject: 'inbox',
      facts: { queue: 'inbox', minutesAtLeast: minutes(inbox.oldestAt), waitingAtLeast: atLeast(inbox.entries) },
      evidence: '/healthz',
    },
  ];
}
