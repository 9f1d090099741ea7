import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { messageOf } from '../../../kernel/errors.js';
import type { ProviderDeps } from './inbound.js';

const text = z.string();

/**
 * The envelope in which SNS posts to an HTTPS endpoint.
 * Source: docs.aws.amazon.com/sns/latest/dg, "Parsing Amazon SNS message formats" (read 2026-11).
 */
export const envelope = z.looseObject({
  Type: z.enum(['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']),
  MessageId: text.min(1).max(200),
  TopicArn: text.max(400),
  Message: text,
  Subject: text.optional(),
  Timestamp: text.max(60),
  Token: text.optional(),
  SubscribeURL: text.max(4_000).optional(),
  SignatureVersion: z.enum(['1', '2']),
  Signature: text.max(4_000),
  SigningCertURL: text.max(1_000),
});
export type Envelope = z.output<typeof envelope>;

const SIGNED: Record<Envelope['Type'], readonly string[]> = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
  UnsubscribeConfirmation: ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'],
};

/** What is signed: name and value of each field that is there, each on a line of its own, in the order of names. */
export function stringToSign(message: Envelope): string {
  return SIGNED[message.Type]
    .filter((field) => message[field] !== undefined)
    .map((field) => `${field}\n${String(message[field])}\n`)
    .join('');
}

/**
 * Whether an address is SNS's own, in the topic's region. The host is matched whole and the region letter by letter:
 * `sns.s3-us-west-2.amazonaws.com` is a bucket that anybody could have named "sns".
 */
export function isSnsAddress(url: string, topicArn: string): boolean {
  const parsed = URL.parse(url);
  if (parsed?.protocol !== 'https:' || parsed.port !== '' || parsed.username !== '' || parsed.password !== '')
    return false;
  const [, region] = /^sns\.([a-z]{2}(?:-[a-z]+)+-\d{1,2})\.amazonaws\.com(?:\.cn)?$/.exec(parsed.hostname) ?? [];
  return region !== undefined && topicArn.split(':')[3] === region;
}

export type SignatureCheck = { ok: true } | { ok: false; isTransient: boolean; detail: string };

const CERTIFICATES_MAX = 16; // AWS has one a region at a time

/** Checks signatures of SNS (version 1, SHA-1; version 2, SHA-256), with the certificate from SNS's own address. */
export class SnsSignatures {
  private readonly certificates = new Map<string, string>();

  constructor(private readonly deps: ProviderDeps) {}

  async check(message: Envelope): Promise<SignatureCheck> {
    const url = message.SigningCertURL;
    if (!isSnsAddress(url, message.TopicArn) || !URL.parse(url)?.pathname.endsWith('.pem')) {
      return { ok: false, isTransient: false, detail: 'SigningCertURL is no address of SNS.' };
    }
    const fetched = await this.certificate(url);
    if (!fetched.ok)
      return { ok: false, isTransient: true, detail: `The certificate of SNS did not come: ${fetched.detail}` };
    try {
      const certificate = new X509Certificate(fetched.body);
      const nowMs = this.deps.clock.nowMs();
      if (certificate.validFromDate.getTime() > nowMs || certificate.validToDate.getTime() < nowMs) {
        this.certificates.delete(url);
        return { ok: false, isTransient: false, detail: 'The certificate of SNS is not valid now.' };
      }
      const hash = message.SignatureVersion === '1' ? 'RSA-SHA1' : 'RSA-SHA256';
      const key = createPublicKey(fetched.body);
      const isValid = verify(hash, Buffer.from(stringToSign(message)), key, Buffer.from(message.Signature, 'base64'));
      return isValid
        ? { ok: true }
        : { ok: false, isTransient: false, detail: 'The signature is not that of the message.' };
    } catch (error) {
      this.certificates.delete(url);
      return { ok: false, isTransient: false, detail: `The certificate cannot be read: ${messageOf(error)}` };
    }
  }

  private async certificate(url: string): Promise<{ ok: true; body: string } | { ok: false; detail: string }> {
    const known = this.certificates.get(url);
    if (known !== undefined) return { ok: true, body: known };
    const fetched = await this.deps.get(url);
    if (!fetched.ok) return fetched;
    if (this.certificates.size >= CERTIFICATES_MAX) this.certificates.clear();
    this.certificates.set(url, fetched.body);
    return fetched;
  }
}
