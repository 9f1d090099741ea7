import type { Finding, SignalKind, SignalView } from '../contract.js';
import type { SignalBook } from '../signals/signal-book.js';

interface Held {
  finding: Finding;
  foundAtMs: number;
}

/**
 * Findings of one kind that stay for a while after they were last found, so that what comes and goes is one signal and
 * not twenty.
 *
 * What was open when this process took the lead counts as found then: it closes only after as long a calm as any other.
 */
export class HeldFindings {
  private held: Map<string, Held> | null = null;

  constructor(
    private readonly signals: Pick<SignalBook, 'signals' | 'replace'>,
    private readonly kind: SignalKind,
    private readonly holdMs: number,
  ) {}

  /** Subjects that are open, or held so. */
  async subjects(nowMs: number): Promise<ReadonlySet<string>> {
    return new Set((await this.load(nowMs)).keys());
  }

  /** @param findings everything that is wrong of the kind now */
  async settle(findings: readonly Finding[], nowMs: number): Promise<void> {
    const held = await this.load(nowMs);
    for (const [subject, { foundAtMs }] of held) if (nowMs - foundAtMs >= this.holdMs) held.delete(subject);
    for (const finding of findings) held.set(finding.subject, { finding, foundAtMs: nowMs });
    await this.signals.replace(
      this.kind,
      null,
      [...held.values()].map(({ finding }) => finding),
    );
  }

  private async load(nowMs: number): Promise<Map<string, Held>> {
    if (this.held) return this.held;
    const held = new Map<string, Held>();
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: { items: SignalView[]; nextCursor: string | null } = await this.signals.signals(
        { kind: this.kind, state: 'open' },
        { limit: 200, ...(cursor === '' ? {} : { cursor }) },
      );
      for (const { subject, facts, evidence } of page.items) {
        held.set(subject, { finding: { kind: this.kind, subject, facts, evidence }, foundAtMs: nowMs });
      }
      cursor = page.nextCursor;
    }
    this.held = held;
    return held;
  }
}
