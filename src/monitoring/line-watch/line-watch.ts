import type { Clock } from '../../kernel/clock.js';
import type { PipelineReader, RegistryReader } from '../../pipeline/contract.js';
import { lookout, type Duty } from '../../kernel/duty.js';
import type { SignalBook } from '../signals/signal-book.js';
import type { SoldCounts } from '../throughput/sold-counts.js';
import { FRESH_MS, growingDeadLetters } from './dead-letters-growing.js';
import { ATTEMPTS_WINDOW_MS, refusingDestinations } from './destination-refusing.js';
import { kindsOut, rejectedCredentials } from './destination-outage.js';
import { HeldFindings } from './held-findings.js';
import { FLEET, staleProofs } from './stale-proof.js';

const LOOK_EVERY_MS = 30_000;
/** A destination that has taken everything for five minutes is back. */
const REFUSING_HOLD_MS = 5 * 60_000;
/** While its lane is blocked a destination is tried twice a minute, and a refused key may be met only then. */
const REJECTED_HOLD_MS = 10 * 60_000;
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
  private readonly out: HeldFindings;
  private readonly rejected: HeldFindings;
  private readonly growing: HeldFindings;
  private readonly stale: HeldFindings;

  constructor(private readonly deps: LineWatchDeps) {
    this.refusing = new HeldFindings(deps.signals, 'destination-refusing', REFUSING_HOLD_MS);
    this.out = new HeldFindings(deps.signals, 'destination-outage', REFUSING_HOLD_MS);
    this.rejected = new HeldFindings(deps.signals, 'credentials-rejected', REJECTED_HOLD_MS);
    this.growing = new HeldFindings(deps.signals, 'dead-letters-growing', GROWING_HOLD_MS);
    this.stale = new HeldFindings(deps.signals, 'reconciliation-stale', 0);
  }

  duties(): Duty[] {
    return [
      lookout('destination-watch', LOOK_EVERY_MS, () => this.lookForRefusing()),
      lookout('dead-letter-watch', LOOK_EVERY_MS, () => this.lookForDeadLetters()),
      lookout('proof-watch', LOOK_EVERY_MS, () => this.lookForStaleProofs()),
    ];
  }

  async lookForRefusing(): Promise<void> {
    const { clock, reader, registry } = this.deps;
    const nowMs = clock.nowMs();
    const attempts = await reader.attempts(new Date(nowMs - ATTEMPTS_WINDOW_MS));
    const lanes = await reader.lanes();
    const destinations = registry.destinations();
    await this.refusing.settle(refusingDestinations(lanes, attempts, destinations, nowMs), nowMs);
    await this.out.settle(kindsOut(attempts, lanes, destinations, this.linked()), nowMs);
    await this.rejected.settle(rejectedCredentials(attempts, destinations), nowMs);
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

  /** Lanes by destination: one a shop that is connected and sends its events there. */
  private linked(): Map<string, number> {
    const { registry } = this.deps;
    const names = new Map(registry.destinations().map(({ id, name }) => [id, name]));
    const linked = new Map<string, number>();
    for (const shop of registry.shops()) {
      if (shop.uninstalledAt !== null) continue;
      for (const id of shop.destinationIds) {
        const name = names.get(id);
        if (name !== undefined) linked.set(name, (linked.get(name) ?? 0) + 1);
      }
    }
    return linked;
  }
}
