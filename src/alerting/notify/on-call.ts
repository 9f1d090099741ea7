import type { Clock } from '../../kernel/clock.js';
import type { Duty } from '../../kernel/duty.js';
import type { Logger } from '../../kernel/log.js';
import type { SignalDesk } from '../../monitoring/contract.js';
import type { World } from '../../pipeline/contract.js';
import type { PagerDuty } from './pagerduty.js';
import type { Rounds } from './rounds.js';
import type { WorldChannels } from './world-channels.js';

const PAUSE_MS = 60_000;
const EVERY_MS = 3_600_000;
const AGAIN_MS = 300_000; // a look that failed is made again sooner
const UNKNOWN_MS = 3 * EVERY_MS; // so long nobody could say who is on call: that is a gap too
const WEBHOOKS_PATH = '/inbound/pagerduty';
const PAGE = 100;

/**
 * Whether there is anybody to page. Every hour each escalation policy is looked up; one that nobody is on call for takes
 * every event, makes an incident of it, and wakes nobody.
 */
export class OnCallWatch {
  constructor(
    private readonly deps: {
      rounds: Rounds;
      signals: SignalDesk;
      channels: () => readonly WorldChannels[];
      clock: Clock;
      log: Logger;
    },
  ) {}

  duty(): Duty {
    return {
      name: 'on-call-watch',
      pauseMs: PAUSE_MS,
      staleAfterMs: 5 * PAUSE_MS,
      round: async () => {
        for (const channels of this.deps.channels()) await this.look(channels);
        return 'idle';
      },
    };
  }

  /** Worlds whose webhook subscription PagerDuty has switched off, and since when we know. */
  async webhooksOff(): Promise<ReadonlyMap<World, Date>> {
    const off = new Map<World, Date>();
    for (const { world } of this.deps.channels()) {
      const since = await this.deps.rounds.doneAt(`webhooks-off:${world}`);
      if (since !== null) off.set(world, since);
    }
    return off;
  }

  private async look({ world, pager, escalationPolicies, webhookSecrets }: WorldChannels): Promise<void> {
    const { rounds } = this.deps;
    if (pager === null || !pager.canLook || !(await rounds.take(`on-call:${world}`, EVERY_MS))) return;
    await this.forgetOthers(world, escalationPolicies);
    let isKnown = true;
    for (const policy of escalationPolicies) isKnown = (await this.lookAt(world, pager, policy)) && isKnown;
    if (webhookSecrets.length > 0) isKnown = (await this.lookAtWebhooks(world, pager)) && isKnown;
    if (!isKnown) await rounds.set(`on-call:${world}`, new Date(this.deps.clock.nowMs() - EVERY_MS + AGAIN_MS));
  }

  /** @returns whether anything could be said */
  private async lookAt(world: World, pager: PagerDuty, policy: string): Promise<boolean> {
    const { rounds, signals, clock, log } = this.deps;
    const seen = `on-call-seen:${world}:${policy}`;
    const subject = `${world}/${policy}`;
    const report = (why: string, since: Date): Promise<void> =>
      signals.report({
        kind: 'on-call-gap',
        subject,
        facts: { world, policy, why, since },
        evidence: '/api/v1/channels',
      });
    const looked = await pager.onCall(policy);
    if (looked.outcome === 'unknown') {
      log.warn({ world, policy, detail: looked.detail }, 'who is on call could not be looked up');
      const lastAt = await rounds.doneAt(seen);
      if (lastAt === null) await rounds.set(seen, clock.now());
      else if (clock.nowMs() - lastAt.getTime() >= UNKNOWN_MS) await report('nobody can say who is on call', lastAt);
      return false;
    }
    await rounds.set(seen, clock.now());
    if (looked.found.length > 0) await signals.close('on-call-gap', subject);
    else await report('nobody is on call', await this.since(subject));
    return true;
  }

  private async lookAtWebhooks(world: World, pager: PagerDuty): Promise<boolean> {
    const { rounds, clock } = this.deps;
    const looked = await pager.disabledSubscriptions(WEBHOOKS_PATH);
    if (looked.outcome === 'unknown') return false;
    const name = `webhooks-off:${world}`;
    if (looked.found.length === 0) await rounds.forget(name);
    else if ((await rounds.doneAt(name)) === null) await rounds.set(name, clock.now());
    return true;
  }

  /** A finding keeps its instant, or each look would be news. */
  private async since(subject: string): Promise<Date> {
    const open = (await this.open()).find((signal) => signal.subject === subject);
    const since = open?.facts['since'];
    return typeof since === 'string' ? new Date(since) : this.deps.clock.now();
  }

  /** Policies that are not configured any more are nobody's gap. */
  private async forgetOthers(world: World, policies: readonly string[]): Promise<void> {
    for (const { subject } of await this.open()) {
      const [ofWorld, policy = ''] = subject.split('/');
      if (ofWorld === world && !policies.includes(policy)) await this.deps.signals.close('on-call-gap', subject);
    }
  }

  private async open(): Promise<{ subject: string; facts: Readonly<Record<string, unknown>> }[]> {
    return (await this.deps.signals.signals({ kind: 'on-call-gap', state: 'open' }, { limit: PAGE })).items;
  }
}
