import type { Clock } from '../../kernel/clock.js';
import { messageOf } from '../../kernel/errors.js';
import type { Logger } from '../../kernel/log.js';
import type { Duty } from '../../kernel/duty.js';
import type { Round } from '../../kernel/loop.js';
import { ROUTES } from '../contract.js';
import type { Notification, Sent } from './notification.js';
import { type Claim, type Outbox, type Recipient } from './outbox.js';
import { PAGER_PACE, SECOND_PACE } from './pace.js';
import { DIGEST_MAX, planMessages, TICKETS, type SecondChannel } from './second-channel.js';
import { canConfirm, type WorldChannels } from './world-channels.js';

/** A claim's lease. A process that dies with one holds its notifications back for so long, and no longer. */
export const LEASE_MS = 30_000;
// A try that begins with less than this left of the lease could end after it, and be made twice.
const TRY_MS = 17_000;
const BATCH_MAX = 20;
const PAUSE_MS = 1_000;
const FIRST_DIGEST_SLOT = 1;

/** What was said, for the meters. */
export type OnSaid = (channel: Notification['channel'], outcome: Sent['outcome'], count: number) => void;

/**
 * Says what is to be said. One duty a recipient, so that one that hangs holds up nobody else; any number of processes,
 * because the outbox makes them take turns.
 */
export class Sender {
  constructor(
    private readonly deps: {
      outbox: Outbox;
      /** Read anew each round: the sandbox's come later than the service. */
      channels: () => readonly WorldChannels[];
      clock: Clock;
      log: Logger;
      said: OnSaid;
    },
  ) {}

  duties(): Duty[] {
    return [
      ...ROUTES.map((route): Duty => {
        const round = (signal: AbortSignal): Promise<Round> =>
          this.everyWorld((channels) => this.page(channels, route, signal));
        return { name: `tell-${route}`, pauseMs: PAUSE_MS, staleAfterMs: 2 * LEASE_MS, round };
      }),
      {
        name: 'tell-second-channel',
        pauseMs: PAUSE_MS,
        staleAfterMs: 2 * LEASE_MS,
        round: (signal) =>
          this.everyWorld(async (channels) => {
            const { second } = channels;
            if (second === null) return false;
            const isBusy = await this.tellSecond(channels, second, second.recipient, signal);
            return (await this.tellSecond(channels, second, TICKETS, signal)) || isBusy;
          }),
      },
    ];
  }

  /** One world's trouble is not the other's: each is tried, whatever the other meets. */
  private async everyWorld(round: (channels: WorldChannels) => Promise<boolean>): Promise<Round> {
    const rounds = await Promise.allSettled(this.deps.channels().map(round));
    const failed = rounds.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
    return rounds.some((each) => each.status === 'fulfilled' && each.value) ? 'busy' : 'idle';
  }

  private async page(channels: WorldChannels, route: string, signal: AbortSignal): Promise<boolean> {
    const { outbox } = this.deps;
    const { pager, world } = channels;
    const recipient: Recipient = { world, channel: 'pagerduty', recipient: route };
    const claim = await outbox.claim(recipient, PAGER_PACE, BATCH_MAX);
    if (claim === null) return false;
    const isProof = !canConfirm(channels);
    for (const [index, notification] of claim.notifications.entries()) {
      if (signal.aborted || !this.hasTime(claim)) {
        await outbox.giveBack(claim.notifications.slice(index));
        return !signal.aborted;
      }
      const sent: Sent =
        pager === null
          ? { outcome: 'refused', detail: 'no pager is configured' }
          : lastWay(channels, notification, await pager.send(notification, signal));
      const rest = claim.notifications.slice(index + 1);
      await this.settle(claim, [notification], sent, isProof && pager !== null, rest);
      if (sent.outcome === 'failed' || sent.outcome === 'throttled') {
        await outbox.giveBack(rest);
        return false;
      }
    }
    return true;
  }

  private async tellSecond(
    { world, pager, publicUrl }: WorldChannels,
    second: SecondChannel,
    recipient: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { outbox } = this.deps;
    let free = 0;
    const claim = await outbox.claim({ world, channel: 'second', recipient }, SECOND_PACE, DIGEST_MAX, (slots) => {
      free = slots;
      // With one slot or more everything that is due goes: what has no slot of its own is in the digest.
      return { rows: slots === 0 ? 0 : DIGEST_MAX, used: (count) => Math.min(slots, count) };
    });
    if (claim === null) return false;
    const planned = planMessages(claim.notifications, Math.max(free, FIRST_DIGEST_SLOT), publicUrl, {
      fits: (message) => second.fits(message),
      hasPager: pager !== null,
    });
    const isPlanned = new Set(planned.flatMap(({ notifications }) => notifications));
    await outbox.giveBack(claim.notifications.filter((each) => !isPlanned.has(each)));
    for (const [index, { message, notifications }] of planned.entries()) {
      const isAtEnd = signal.aborted || !this.hasTime(claim);
      const sent = isAtEnd ? null : await second.tell(message, signal);
      const rest = planned.slice(sent === null ? index : index + 1).flatMap((each) => each.notifications);
      if (sent !== null) await this.settle(claim, notifications, sent, true, rest);
      if (sent === null || sent.outcome === 'failed' || sent.outcome === 'throttled') {
        await outbox.giveBack(rest);
        return false;
      }
    }
    return true;
  }

  private hasTime({ leasedUntilMs }: Claim): boolean {
    return leasedUntilMs - this.deps.clock.nowMs() >= TRY_MS;
  }

  /** @param rest of the claim; without an owner when this one cannot be recorded */
  private async settle(
    claim: Claim,
    said: readonly Notification[],
    sent: Sent,
    isProof: boolean,
    rest: readonly Notification[],
  ): Promise<void> {
    const { outbox, log } = this.deps;
    this.deps.said(claim.recipient.channel, sent.outcome, said.length);
    const facts = {
      channel: claim.recipient.channel,
      recipient: claim.recipient.recipient,
      world: claim.recipient.world,
      notifications: said.map(({ id, dedupeKey, action }) => ({ id, dedupeKey, action })),
    };
    if (sent.outcome === 'taken') log.info(facts, 'told');
    else log.warn({ ...facts, outcome: sent.outcome, detail: sent.detail }, 'not told');
    try {
      await outbox.settle(claim, said, sent, isProof);
    } catch (error) {
      // It may have been said and is not recorded: when the lease ends it is said once more, with the same key.
      log.error({ ...facts, err: error }, `what became of it could not be recorded: ${messageOf(error)}`);
      // Nobody else need wait for that; when the database is away altogether, they wait for the lease's end too.
      await outbox.giveBack(rest).catch(() => undefined);
      throw error;
    }
  }
}

/** What a pager will never take, the second channel says. Without one a page is tried again: it may be mended there. */
function lastWay({ second }: WorldChannels, { action, body }: Notification, sent: Sent): Sent {
  if (sent.outcome !== 'refused' || second !== null || action !== 'trigger' || body.class !== 'page') return sent;
  return { outcome: 'failed', answered: true, detail: sent.detail };
}
