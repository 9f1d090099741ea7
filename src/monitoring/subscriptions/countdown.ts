import type { Clock } from '../../kernel/clock.js';
import type { Round } from '../../kernel/loop.js';
import type { IntakeTallies, IntakeTally, RegistryReader, Shop } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import type { SignalBook } from '../signals/signal-book.js';
import { evidenceOf } from './subscription-findings.js';

/**
 * Eight failures in a row, and Shopify removes a subscription made through the Admin API; one of the app's TOML file
 * stays and loses the event. Source: shopify.dev/docs/apps/build/webhooks/verify-deliveries (read 2026-11)
 */
const FAILURES_TO_REMOVAL = 8;
/** One failure is every restart of ours. */
const TOLD_FROM = 2;

const KIND = 'subscription-countdown';

/**
 * How near our own answers have brought each subscription to its end. Pure.
 *
 * @param since when each subject was first counted, by subject
 */
export function countdown(
  tallies: readonly IntakeTally[],
  shopOf: (domain: string) => Shop | undefined,
  since: (subject: string) => Date,
): Finding[] {
  return tallies.flatMap(({ shopDomain, topic, failuresInRow, lastStatus }): Finding[] => {
    const shop = shopOf(shopDomain);
    // Nobody has connected it, or nobody wants it any more: there is no subscription of ours to lose.
    if (shop === undefined || shop.uninstalledAt !== null || failuresInRow < TOLD_FROM) return [];
    const subject = `${shopDomain}/${topic}`;
    const left = Math.max(0, FAILURES_TO_REMOVAL - failuresInRow);
    return [
      {
        kind: KIND,
        subject,
        shopId: shop.id,
        facts: {
          topic,
          failuresInRow,
          of: FAILURES_TO_REMOVAL,
          left,
          since: since(subject),
          lastStatus,
          risk:
            shop.subscriptions === 'shop'
              ? 'after eight failures in a row Shopify removes the subscription'
              : 'eight failures lose the event; the subscription stays, because it is in the app’s TOML file',
        },
        evidence: evidenceOf(shop),
      },
    ];
  });
}

/** Follows our own answers to Shopify, and asks for a look when Shopify may have drawn its conclusion. */
export class Countdown {
  private readonly counts = new Map<string, number>();

  constructor(
    private readonly deps: {
      tallies: IntakeTallies;
      registry: RegistryReader;
      signals: SignalBook;
      hint: (shopId: string, why: string) => Promise<void>;
      clock: Clock;
    },
  ) {}

  async round(): Promise<Round> {
    const { tallies, registry, signals, clock } = this.deps;
    const failing = await tallies.failing();
    const open = await signals.open(KIND);
    if (failing.length === 0 && open.length === 0) {
      this.counts.clear();
      return 'idle';
    }
    const openSince = new Map(open.map(({ subject, facts }) => [subject, facts['since']]));
    const nowAt = clock.now();
    const since = (subject: string): Date => {
      const told = openSince.get(subject);
      return typeof told === 'string' ? new Date(told) : nowAt;
    };
    const shops = new Map(registry.shops().map((shop) => [shop.domain, shop]));
    const findings = countdown(failing, (domain) => shops.get(domain), since);
    await signals.replace(KIND, null, findings);
    await this.hintWhereSpent(findings);
    return 'idle';
  }

  /** Once for each further failure: the subscription may be gone. */
  private async hintWhereSpent(findings: readonly Finding[]): Promise<void> {
    const counted = new Map(findings.map(({ subject, facts }) => [subject, Number(facts['failuresInRow'])]));
    for (const { subject, shopId, facts } of findings) {
      const isNews = this.counts.get(subject) !== counted.get(subject);
      if (facts['left'] === 0 && isNews && shopId != null) {
        await this.deps.hint(shopId, `${String(facts['failuresInRow'])} failures in a row: ${subject}`);
      }
    }
    this.counts.clear();
    for (const [subject, count] of counted) this.counts.set(subject, count);
  }
}
