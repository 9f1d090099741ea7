import { createHmac, timingSafeEqual } from 'node:crypto';
import { addressesIn, readMime, valuesOf, type HeaderField } from '../mail.js';
import type { Verdict } from '../trust.js';
import { readForm, readJson, refused, type Handed, type Provider, type ProviderDeps } from './inbound.js';

// Mailgun repeats for eight hours what was not answered, and does not say whether it signs again. A token is taken once
// within this time, so a longer window lets nobody repeat anything; it only makes us remember tokens for longer.
export const MAILGUN_PAST_MS = 9 * 3_600_000;
const FUTURE_MS = 5 * 60_000;

/**
 * Mailgun's routes: `forward()` and `store(notify=…)`, parsed or, to an address that ends in `/mime`, as MIME.
 * Source: documentation.mailgun.com, "Receive HTTP" and "Securing webhooks" (read 2026-11).
 */
export function mailgun({ clock }: Pick<ProviderDeps, 'clock'>, signingKey: string | undefined): Provider {
  return async (request): Promise<Handed> => {
    if (signingKey === undefined) return refused(403, 'notices.mailgunSigningKey is not configured.');
    const form = await readForm(request);
    if (!form) return refused(400, 'This is no form.');
    const timestamp = form.get('timestamp') ?? '';
    const token = form.get('token') ?? '';
    if (!isSigned(timestamp, token, form.get('signature') ?? '', signingKey)) {
      return refused(401, 'The signature is not that of timestamp and token.');
    }
    const ageMs = clock.nowMs() - Number(timestamp) * 1_000;
    if (!(ageMs <= MAILGUN_PAST_MS && ageMs >= -FUTURE_MS)) return refused(401, 'The timestamp is not of these hours.');

    const mime = form.get('body-mime');
    if (mime !== undefined) {
      const raw = Buffer.from(mime, 'utf8');
      return { outcome: 'mail', mail: await readMime(raw), receipt: null, verdict: null, raw, nonce: token };
    }
    const headers = headersIn(form.get('message-headers') ?? '');
    const author = form.get('from') ?? form.get('From') ?? '';
    const mail = {
      from: [...addressesIn(author), ...valuesOf(headers, 'from').slice(1).flatMap(addressesIn)],
      subject: form.get('subject') ?? form.get('Subject') ?? '',
      text: form.get('body-plain') ?? null,
      html: form.get('body-html') ?? null,
      headers,
    };
    return { outcome: 'mail', mail, receipt: null, verdict: spamVerdict(headers), raw: null, nonce: token };
  };
}

function isSigned(timestamp: string, token: string, signature: string, key: string): boolean {
  if (!/^\d{1,12}$/.test(timestamp) || token === '' || token.length > 200 || !/^[0-9a-f]{64}$/i.test(signature)) {
    return false;
  }
  const wanted = createHmac('sha256', key).update(`${timestamp}${token}`).digest();
  return timingSafeEqual(wanted, Buffer.from(signature, 'hex'));
}

/** `[["X-Mailgun-Incoming", "Yes"], …]` in the order of the mail. */
function headersIn(text: string): HeaderField[] {
  const parsed = readJson(Buffer.from(text));
  if (!Array.isArray(parsed)) return [];
  return parsed.flatMap((pair: unknown): HeaderField[] => {
    if (!Array.isArray(pair)) return [];
    const [name, value] = pair as unknown[];
    return typeof name === 'string' && typeof value === 'string' ? [[name, value]] : [];
  });
}

/**
 * What Mailgun's spam filter writes at the top of the mail, above every Received; a second line of that name, or one
 * further down, is the sender's own invention. "Pass" does not say whose signature it was: so all that are there must
 * be the author's.
 */
function spamVerdict(headers: readonly HeaderField[]): Verdict | null {
  const firstReceived = headers.findIndex(([name]) => name.toLowerCase() === 'received');
  const own = (name: string): string | null => {
    const [value, second] = valuesOf(headers, name);
    const at = headers.findIndex(([key]) => key.toLowerCase() === name);
    const isOwn = value !== undefined && second === undefined && (firstReceived === -1 || at < firstReceived);
    return isOwn ? value : null;
  };
  const check = own('x-mailgun-dkim-check-result');
  if (check === null) return null;
  const by = 'mailgun X-Mailgun-Dkim-Check-Result';
  if (check.trim().toLowerCase() !== 'pass') return { by, dkimDomains: [], isAligned: false };
  const signers = valuesOf(headers, 'dkim-signature').map(signerOf);
  const [signer] = signers;
  const isOne = signer !== undefined && signers.every((other) => other === signer);
  return { by, dkimDomains: isOne && signer !== '' ? [signer] : [], isAligned: false };
}

/** `d=` of a DKIM signature that covers From; '' = it has none, or two. */
function signerOf(signature: string): string {
  const tags = signature.split(';').map((tag) => tag.split('=', 2).map((part) => part.replace(/\s/g, '')));
  const values = (name: string): string[] => tags.flatMap(([key, value]) => (key === name ? [value ?? ''] : []));
  const [domain, second] = values('d');
  const covers = values('h').some((fields) => fields.toLowerCase().split(':').includes('from'));
  return domain !== undefined && second === undefined && covers ? domain.toLowerCase() : '';
}
