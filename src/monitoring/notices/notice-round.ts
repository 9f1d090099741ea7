import type { Clock } from '../../kernel/clock.js';
import type { Logger } from '../../kernel/log.js';
import type { Round } from '../../kernel/loop.js';
import type { Shop } from '../../pipeline/contract.js';
import type { Finding } from '../contract.js';
import type { SignalBook } from '../signals/signal-book.js';
import type { Attention, DueHint, NoticeBook } from './notice-book.js';

/** Tells the subscription watch to look at a shop at once. Cheap: the watch looks in its own time. */
export type Hint = (shopId: string, why: string) => void | Promise<void>;

const HINTS_AT_ONCE = 200;
/** A mail that names no shop may be about any; past this many the watch's own minute is as soon. */
const SHOPS_ASKED_MAX = 100;
const FORGET_EVERY_MS = 3_600_000;

/**
 * What follows from stored notices: hints, and the signal for what a person has to read.
 *
 * Invariant: a notice is a hint that has been given only after the watch has taken it; a crash between the two gives it
 * twice, which costs one look at a shop.
 */
export class NoticeRound {
  private forgotAtMs = 0;

  constructor(
    private readonly deps: {
      book: NoticeBook;
      signals: Pick<SignalBook, 'replace'>;
      shops: () => readonly Shop[];
      hint: Hint;
      clock: Clock;
      log: Logger;
    },
  ) {}

  async run(): Promise<Round> {
    const { book, signals, clock } = this.deps;
    const due = await book.hintsDue(HINTS_AT_ONCE);
    await this.hint(due);
    await signals.replace('notice-unclassified', null, (await book.attention()).map(this.findingOf));
    if (clock.nowMs() - this.forgotAtMs >= FORGET_EVERY_MS) {
      await book.forget();
      this.forgotAtMs = clock.nowMs();
    }
    return due.length === HINTS_AT_ONCE ? 'busy' : 'idle';
  }

  /** One hint a shop, whatever number of mails: a hundred mails about one shop are one look. */
  private async hint(due: readonly DueHint[]): Promise<void> {
    const whyByShop = new Map<string, string>();
    const idsByShop = new Map<string, string[]>();
    for (const notice of due) {
      for (const shopId of this.shopsMeant(notice)) {
        // Removals come first in `due`, so the gravest reason is the one that stays.
        if (!whyByShop.has(shopId)) whyByShop.set(shopId, `notice-${notice.class}`);
        idsByShop.set(shopId, [...(idsByShop.get(shopId) ?? []), notice.id]);
      }
    }
    const failed = new Set<string>();
    for (const [shopId, why] of whyByShop) {
      try {
        await this.deps.hint(shopId, why);
      } catch (error) {
        this.deps.log.error({ err: error, shopId }, 'a hint could not be given; it is given again');
        for (const id of idsByShop.get(shopId) ?? []) failed.add(id);
      }
    }
    const given = due.flatMap(({ id }) => (failed.has(id) ? [] : [id]));
    if (given.length > 0) await this.deps.book.hinted(given);
  }

  private shopsMeant({ world, shopId }: DueHint): string[] {
    if (shopId !== null) return [shopId];
    const all = this.deps.shops().filter((shop) => shop.world === world && shop.uninstalledAt === null);
    return all.length > SHOPS_ASKED_MAX ? [] : all.map(({ id }) => id);
  }

  private readonly findingOf = ({ world, shopId, notices, sinceAt, hasRemoval }: Attention): Finding => {
    const shop = shopId === null ? undefined : this.deps.shops().find(({ id }) => id === shopId);
    const evidence = shop ? `/api/v1/notices?shop=${shop.domain}` : '/api/v1/notices';
    return {
      kind: 'notice-unclassified',
      subject: `${world === 'real' ? '' : `${world}/`}${shop?.domain ?? 'no-shop'}`,
      shopId,
      facts: { notices, sinceAt, hasRemoval },
      evidence,
    };
  };
}
