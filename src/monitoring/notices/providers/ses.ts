import { z } from 'zod';
import type { Logger } from '../../../kernel/log.js';
import { addressesIn, readMime, valuesOf, type HeaderField, type Mail } from '../mail.js';
import type { Verdict } from '../trust.js';
import { readJson, refused, type Handed, type Provider, type ProviderDeps } from './inbound.js';
import { envelope, isSnsAddress, SnsSignatures, type Envelope } from './sns.js';

// SNS repeats for hours, not for days; older than this a message is somebody's copy.
const PAST_MS = 3 * 86_400_000;
const FUTURE_MS = 5 * 60_000;

const status = z.looseObject({ status: z.string() }).optional();

/** Source: docs.aws.amazon.com/ses/latest/dg, "Contents of notifications for Amazon SES email receiving" (read 2026-11). */
const received = z.looseObject({
  notificationType: z.literal('Received'),
  receipt: z.looseObject({ dkimVerdict: status, dmarcVerdict: status }),
  mail: z.looseObject({
    messageId: z.string().min(1).max(300),
    headers: z.array(z.looseObject({ name: z.string(), value: z.string() })).default([]),
    commonHeaders: z.looseObject({ from: z.array(z.string()).default([]), subject: z.string().optional() }).optional(),
  }),
  /** Only with the SNS action, and at most 150 KB. */
  content: z.string().optional(),
});

/** Amazon SES through SNS: every message is signed, and only topics that the configuration names are listened to. */
export function ses(deps: ProviderDeps & { log: Logger }, topicArns: readonly string[]): Provider {
  const signatures = new SnsSignatures(deps);
  return async ({ body }): Promise<Handed> => {
    const parsed = envelope.safeParse(readJson(body));
    if (!parsed.success) return refused(400, 'This is no signed message of SNS.');
    const message = parsed.data;
    // First, because it costs nothing: a stranger's message makes us fetch no certificate.
    if (!topicArns.includes(message.TopicArn)) return refused(403, 'This topic is not among notices.snsTopicArns.');
    const ageMs = deps.clock.nowMs() - new Date(message.Timestamp).getTime();
    if (!(ageMs <= PAST_MS && ageMs >= -FUTURE_MS)) return refused(401, 'The timestamp is not of these days.');
    const checked = await signatures.check(message);
    if (!checked.ok) {
      return checked.isTransient ? { outcome: 'later', detail: checked.detail } : refused(401, checked.detail);
    }
    switch (message.Type) {
      case 'SubscriptionConfirmation':
        return confirm(deps, message);
      case 'UnsubscribeConfirmation':
        deps.log.warn({ topicArn: message.TopicArn }, 'SNS sends no mails any more: the subscription has been ended');
        return { outcome: 'done', detail: 'unsubscribed' };
      case 'Notification':
        return readNotification(message);
    }
  };
}

async function confirm(deps: ProviderDeps & { log: Logger }, message: Envelope): Promise<Handed> {
  const url = message.SubscribeURL ?? '';
  const asked = URL.parse(url)?.searchParams;
  const isConfirmation = asked?.get('Action') === 'ConfirmSubscription' && asked.get('TopicArn') === message.TopicArn;
  if (!isSnsAddress(url, message.TopicArn) || !isConfirmation) {
    return refused(401, 'SubscribeURL is no confirmation of this topic.');
  }
  const answer = await deps.get(url);
  if (!answer.ok) return { outcome: 'later', detail: `The subscription could not be confirmed: ${answer.detail}` };
  deps.log.info({ topicArn: message.TopicArn }, 'subscribed to the mails that SES receives');
  return { outcome: 'done', detail: 'subscribed' };
}

async function readNotification(message: Envelope): Promise<Handed> {
  const parsed = received.safeParse(readJson(Buffer.from(message.Message)));
  // A topic that also carries bounces, or SES's own trial message: signed, and no mail.
  if (!parsed.success) return { outcome: 'done', detail: 'no received mail' };
  const { receipt, mail, content } = parsed.data;
  const raw = content === undefined ? null : bytesOf(content);
  const read = raw === null ? headersOnly(mail) : await readMime(raw);
  return { outcome: 'mail', mail: read, receipt: mail.messageId, verdict: verdictOf(receipt), raw };
}

/** DMARC's verdict alone says that the signature is the author's; DKIM's says only that there is a valid one. */
function verdictOf({ dmarcVerdict }: z.output<typeof received>['receipt']): Verdict {
  const isAligned = dmarcVerdict?.status.toUpperCase() === 'PASS';
  return { by: 'ses dmarcVerdict', dkimDomains: [], isAligned };
}

function headersOnly({ headers, commonHeaders }: z.output<typeof received>['mail']): Mail {
  const fields = headers.map(({ name, value }): HeaderField => [name, value]);
  const from = valuesOf(fields, 'from');
  return {
    from: (from.length > 0 ? from : (commonHeaders?.from ?? [])).flatMap(addressesIn),
    subject: commonHeaders?.subject ?? valuesOf(fields, 'subject')[0] ?? '',
    text: null,
    html: null,
    headers: fields,
  };
}

/** The SNS action passes the mail on as UTF-8 or, when told to, in base64. */
function bytesOf(content: string): Buffer {
  const isBase64 = /^[A-Za-z0-9+/\r\n]+={0,2}\s*$/.test(content);
  return Buffer.from(content, isBase64 ? 'base64' : 'utf8');
}
