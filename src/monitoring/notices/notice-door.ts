import { createHash, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../kernel/clock.js';
import type { Logger } from '../../kernel/log.js';
import type { Shop } from '../../pipeline/contract.js';
import type { NoticeSettings } from '../config.js';
import type { InboundAnswer, InboundMail } from '../contract.js';
import { checkDkim, type LookUpTxt } from './dkim.js';
import { draftsOf } from './draft.js';
import { valuesOf } from './mail.js';
import { onceKey, type NoticeBook, type World } from './notice-book.js';
import type { NoticeMetrics } from './notice-metrics.js';
import type { Handed, Provider, ProviderDeps } from './providers/inbound.js';
import { mailgun, MAILGUN_PAST_MS } from './providers/mailgun.js';
import { readPostmark } from './providers/postmark.js';
import { readRaw } from './providers/raw.js';
import { readSendgrid } from './providers/sendgrid.js';
import { ses } from './providers/ses.js';
import { judgeTrust, type Verdict } from './trust.js';
import { readWords } from './wording.js';

export const SHOPIFY_SENDERS = ['shopify.com'];

// Providers wait 10 s and more for an answer. Past it they repeat, and the repeat is taken once.
const ANSWER_WITHIN_MS = 9_000;
const DKIM_WITHIN_MS = 5_000;
/** Mails under way at once. Past it the provider is asked to come again: a flood must not eat the process. */
const UNDER_WAY_MAX = 16;

export interface DoorDeps extends ProviderDeps {
  book: NoticeBook;
  shops: () => readonly Shop[];
  clock: Clock;
  log: Logger;
  metrics: NoticeMetrics;
  lookUpTxt: LookUpTxt;
  /** What the configuration says; `null` = nothing. */
  settings: NoticeSettings | null;
  /** Who knows the last segment of the address may hand mails in, for shops of that world. */
  secrets: readonly { secret: string; world: World }[];
}

/**
 * Where mails come in: whoever hands one in is checked, the mail is checked, what it says is stored, and only then is it
 * answered.
 *
 * Invariant: what is refused leaves no trace but a count, and what is answered 200 is stored. A forged mail in an honest
 * envelope is stored too, as untrusted: then people see that somebody tries.
 */
export class NoticeDoor implements InboundMail {
  readonly providers: readonly string[];
  private readonly byName: ReadonlyMap<string, Provider>;
  private readonly secrets: readonly { digest: Buffer; world: World }[];
  private readonly senders: readonly string[];
  private underWay = 0;

  constructor(private readonly deps: DoorDeps) {
    const { settings } = deps;
    this.byName = new Map<string, Provider>([
      ['postmark', readPostmark],
      ['sendgrid', readSendgrid],
      ['mailgun', mailgun(deps, settings?.mailgunSigningKey)],
      ['ses', ses(deps, settings?.snsTopicArns ?? [])],
      ['raw', readRaw],
    ]);
    this.providers = [...this.byName.keys()];
    this.secrets = deps.secrets.map(({ secret, world }) => ({ digest: digestOf(secret), world }));
    this.senders = settings?.shopifySenders ?? SHOPIFY_SENDERS;
  }

  admits(secret: string): boolean {
    return this.worldOf(secret) !== null;
  }

  async take(request: { provider: string; secret: string; contentType: string; body: Buffer }): Promise<InboundAnswer> {
    const { provider } = request;
    const world = this.worldOf(request.secret);
    const read = this.byName.get(provider);
    if (world === null || !read) return { status: 401, detail: 'There is no such address.' };
    return this.answered(provider, async () => this.keep(provider, world, await read(request)));
  }

  /** A mail from the SMTP listener, which is on the machine itself: of the real world, and checked here. */
  takeSmtp(raw: Buffer): Promise<InboundAnswer> {
    return this.answered('smtp', async () =>
      this.keep('smtp', 'real', await readRaw({ contentType: 'message/rfc822', body: raw })),
    );
  }

  private async answered(provider: string, work: () => Promise<InboundAnswer>): Promise<InboundAnswer> {
    if (this.underWay >= UNDER_WAY_MAX) return this.refuse(provider, 503, 'Too many mails at once; send it again.');
    this.underWay += 1;
    const done = work()
      .catch((error: unknown) => {
        this.deps.log.error({ err: error, provider }, 'a mail could not be taken');
        return this.refuse(provider, 503, 'The mail could not be stored; send it again.');
      })
      .finally(() => (this.underWay -= 1));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<InboundAnswer>((resolve) => {
      timer = setTimeout(
        () => resolve(this.refuse(provider, 503, 'Storing took too long; send it again.')),
        ANSWER_WITHIN_MS,
      );
    });
    try {
      return await Promise.race([done, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  private async keep(provider: string, world: World, handed: Handed): Promise<InboundAnswer> {
    const { deps } = this;
    switch (handed.outcome) {
      case 'refused':
        return this.refuse(provider, handed.status, handed.detail);
      case 'later':
        deps.log.warn({ provider, detail: handed.detail }, 'a mail is asked to come again');
        return this.refuse(provider, 503, handed.detail);
      case 'done':
        return { status: 200, detail: handed.detail };
      case 'mail':
        break;
    }
    const { mail, raw, nonce } = handed;
    const checked = await this.verdictOf(handed.verdict, mail.from, raw);
    if (checked.outcome === 'later') {
      deps.log.warn(
        { provider, detail: checked.detail },
        'a mail is asked to come again: its signature cannot be checked',
      );
      return this.refuse(provider, 503, 'The signature of the mail cannot be checked now; send it again.');
    }
    const trust = judgeTrust(mail.from, checked.verdict, this.senders);
    const drafts = draftsOf(mail, readWords(mail), trust, (key) => this.shopIdOf(world, key));
    const receipt = handed.receipt ?? valuesOf(mail.headers, 'message-id').at(-1) ?? null;
    // Content is part of the name: nobody's forged mail with a guessed id stands in the way of the true one.
    const isNamed = trust.isTrusted && receipt !== null;
    const stored = await deps.book.store({
      world,
      provider,
      drafts,
      mailKey: isNamed ? onceKey(world, provider, receipt, mail.subject, mail.text, mail.html) : null,
      nonce: nonce === undefined ? null : this.nonceOf(provider, nonce),
    });
    if (stored.outcome === 'replayed') {
      // Mailgun repeats whatever it is answered, but for 406.
      return this.refuse(provider, 406, 'This token has been taken already.');
    }
    if (stored.outcome === 'repeat') return { status: 200, detail: 'known' };
    for (const { draft, isNew } of stored.notices) {
      deps.metrics.noticed(draft.class, provider);
      if (!isNew) continue;
      const { class: kind, wording, shopId, topic, trust: why } = draft;
      deps.log[kind === 'other' ? 'info' : 'warn'](
        { provider, world, class: kind, wording, shopId, topic, trust: why },
        'a mail that claims to be of Shopify',
      );
    }
    return { status: 200, detail: 'stored' };
  }

  /** The provider's word where it says yes; else what we find ourselves, where we have the mail as it was sent. */
  private async verdictOf(
    theirs: Verdict | null,
    from: readonly string[],
    raw: Buffer | null,
  ): Promise<{ outcome: 'checked'; verdict: Verdict | null } | { outcome: 'later'; detail: string }> {
    const isEnough = theirs !== null && judgeTrust(from, theirs, this.senders).isTrusted;
    // Nobody needs the signature of a mail that does not even claim to be Shopify's.
    const claims = { by: 'claim', dkimDomains: [], isAligned: true };
    if (isEnough || raw === null || !judgeTrust(from, claims, this.senders).isTrusted) {
      return { outcome: 'checked', verdict: theirs };
    }
    return checkDkim(raw, {
      lookUp: this.deps.lookUpTxt,
      allowed: this.senders,
      nowAt: this.deps.clock.now(),
      deadlineMs: DKIM_WITHIN_MS,
    });
  }

  private shopIdOf(world: World, key: string): string | null {
    return this.deps.shops().find((shop) => shop.world === world && shop.key === key)?.id ?? null;
  }

  private nonceOf(provider: string, nonce: string): { key: Buffer; untilAt: Date } {
    // Past this the timestamp itself is refused; twice as long, for clocks that differ.
    return {
      key: onceKey('nonce', provider, nonce),
      untilAt: new Date(this.deps.clock.nowMs() + 2 * MAILGUN_PAST_MS),
    };
  }

  /** Every secret is compared, whichever fits, and by digests of one length: time tells nothing. */
  private worldOf(secret: string): World | null {
    const given = digestOf(secret);
    let world: World | null = null;
    for (const known of this.secrets) if (timingSafeEqual(known.digest, given)) world = known.world;
    return world;
  }

  private refuse(provider: string, status: Exclude<InboundAnswer['status'], 200>, detail: string): InboundAnswer {
    this.deps.metrics.refused(provider, status);
    return { status, detail };
  }
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
