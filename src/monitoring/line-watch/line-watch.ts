import type { Clock } from '../../kernel/clock.js';
import type { PipelineReader, RegistryReader } from '../../pipeline/contract.js';
import type { Duty } from '../../kernel/duty.js';
import type { SignalBook } from '../signals/signal-book.js';
import type { SoldCounts } from '../throughput/sold-counts.js';
import { FRESH_MS, growingDeadLetters } from './dead-letters-growing.js';
import { ATTEMPTS_WINDOW_MS, refusingDestinations } from './destination-refusing.js';
import { HeldFindings } from './held-findings.js';
import { FLEET, staleProofs } from './stale-proof.js';

const LOOK_EVERY_MS = 30_000;
/** A destination that has taken everything for five minutes is back. */
const REFUSING_HOLD_MS = 5 * 60_000;
/** No new dead letter for half an hour: the window itself, and as long again. */
const GROWING_HOLD_MS = 15 * 60_000;

export interface LineWatchDeps {
  clock: Clock;
  registry: Pick<RegistryReader, 'shops' | 'destinations'>;
  reader: Pick<PipelineReader, 'lanes' | 'attempts' | 'deadLetterCounts'>;
  sold: Pick<SoldCounts, 'proved'>;
  signals: Pick<SignalBook, 'signals' | 'replace'>;
}

/**
 * Signals from what is measured already: the line's own books show that a destination refuses, that dead letters become
 * more, and that nothing is proved any more. A duty each, so that one that cannot look hides no other.
 */
export class LineWatch {
  private readonly refusing: HeldFindings;
  private readonly growing: HeldFindings;
  private readonly stale: HeldFindings;

  constructor(private readonly deps: LineWatchDeps) {
    this.refusing = new HeldFindings(deps.signals, 'destination-refusing', REFUSING_HOLD_MS);
    this.growing = new HeldFindings(deps.signals, 'dead-letters-growing', GROWING_HOLD_MS);
    this.stale = new HeldFindings(deps.signals, 'reconciliation-stale', 0);
  }

  duties(): Duty[] {
    const duty = (name: string, look: () => Promise<void>): Duty => ({
      name,
      pauseMs: LOOK_EVERY_MS,
      round: async () => {
        await look();
        return 'idle';
      },
    });
    return [
      duty('destination-watch', () => this.lookForRefusing()),
      duty('dead-letter-watch', () => this.lookForDeadLetters()),
      duty('proof-watch', () => this.lookForStaleProofs()),
    ];
  }

  async lookForRefusing(): Promise<void> {
    const { clock, reader, registry } = this.deps;
    const nowMs = clock.nowMs();
    const attempts = await reader.attempts(new Date(nowMs - ATTEMPTS_WINDOW_MS));
    const found = refusingDestinations(await reader.lanes(), attempts, registry.destinations(), nowMs);
    await this.refusing.settle(found, nowMs);
  }

  async lookForDeadLetters(): Promise<void> {
    const { clock, reader, registry } = this.deps;
    const nowMs = clock.nowMs();
    const counts = await reader.deadLetterCounts(new Date(nowMs - FRESH_MS));
    await this.growing.settle(growingDeadLetters(counts, registry.destinations()), nowMs);
  }

  async lookForStaleProofs(): Promise<void> {
    const { clock, registry, sold } = this.deps;
    const nowMs = clock.nowMs();
    const provedUntil = new Map(
      (await sold.proved()).flatMap(({ shopId, spans }): [string, Date][] => {
        const last = spans.at(-1);
        return last ? [[shopId, last.untilAt]] : [];
      }),
    );
    const folded = (await this.stale.subjects(nowMs)).has(FLEET);
    await this.stale.settle(staleProofs(registry.shops(), provedUntil, nowMs, folded), nowMs);
  }
}
