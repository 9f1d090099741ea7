import type { Clock } from '../../kernel/clock.js';
import type { InboxGapView, PipelineReader, RegistryReader } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import type { SignalBook } from '../signals/signal-book.js';
import type { RunStore } from './run-store.js';

const LOOK_BACK_MS = 14 * 86_400_000;
/** A webhook tells of a change that is up to four hours old when it is a late repeat (docs/shopify.md); one hour more. */
const TOLD_LATE_MS = 5 * 3_600_000;

/**
 * Stored webhooks that are gone: what was in them nobody knows, so every shop is compared with Shopify for the time around
 * them.
 *
 * Once a gap and shop, however often it is looked at: the run's reason names the gap.
 */
export class InboxGapWatch {
  constructor(
    private readonly deps: {
      runs: RunStore;
      reader: Pick<PipelineReader, 'inboxGaps'>;
      registry: Pick<RegistryReader, 'shops'>;
      signals: SignalBook;
      clock: Clock;
    },
  ) {}

  async look(): Promise<void> {
    const { reader, registry, runs, signals, clock } = this.deps;
    const gaps = await reader.inboxGaps(new Date(clock.nowMs() - LOOK_BACK_MS));
    const installed = registry.shops().filter(({ uninstalledAt }) => uninstalledAt === null);
    const shopIds = installed.map(({ id }) => id);
    const findings: Finding[] = [];
    for (const gap of gaps) {
      const why = `inbox-gap ${nameOf(gap)}`;
      const fromAt = new Date(gap.afterAt.getTime() - TOLD_LATE_MS);
      await runs.requestOnce(shopIds, { fromAt, toAt: gap.beforeAt }, why);
      const { asked, ended } = await runs.progressOf(why);
      if (ended < asked) findings.push(findingOf(gap));
    }
    await signals.replace('inbox-gap', null, findings);
  }
}

function findingOf(gap: InboxGapView): Finding {
  const { segments, noticedAt, afterAt, beforeAt } = gap;
  return {
    kind: 'inbox-gap',
    subject: nameOf(gap),
    facts: { segments, noticedAt, storedAfter: afterAt, storedBefore: beforeAt },
    evidence: '/api/v1/reconciliations',
  };
}

function nameOf({ streamId, firstSeq, lastSeq }: InboxGapView): string {
  return `${streamId}/${firstSeq}-${lastSeq}`;
}
