import { addressesIn, readHeaderBlock, readMime, valuesOf } from '../mail.js';
import type { Verdict } from '../trust.js';
import { readForm, refused, type Handed, type InboundRequest } from './inbound.js';

/**
 * Twilio SendGrid's Inbound Parse, parsed or "raw, full MIME". It signs nothing unless asked to: the secret address is
 * its password.
 * Source: twilio.com/docs/sendgrid/for-developers/parsing-email/inbound-email (read 2026-11).
 */
export async function readSendgrid(request: InboundRequest): Promise<Handed> {
  const form = await readForm(request);
  const raw = form?.get('email');
  if (!form || (raw === undefined && !form.has('headers'))) return refused(400, 'This is no parsed mail of SendGrid.');
  const verdict = dkimVerdict(form.get('dkim') ?? '');
  if (raw !== undefined) {
    const bytes = Buffer.from(raw, 'utf8');
    return { outcome: 'mail', mail: await readMime(bytes), receipt: null, verdict, raw: bytes };
  }
  const headers = readHeaderBlock(form.get('headers') ?? '');
  const mail = {
    from: [...addressesIn(form.get('from') ?? ''), ...valuesOf(headers, 'from').slice(1).flatMap(addressesIn)],
    subject: form.get('subject') ?? '',
    text: form.get('text') ?? null,
    html: form.get('html') ?? null,
    headers,
  };
  return { outcome: 'mail', mail, receipt: null, verdict, raw: null };
}

/** `{@shopify.com : pass, @other.example : fail}`. Written by SendGrid beside the mail, so no sender can write it. */
function dkimVerdict(found: string): Verdict {
  const passed = [...found.matchAll(/@([a-z0-9.-]+)\s*:\s*pass\b/gi)].map(([, domain = '']) => domain);
  return { by: 'sendgrid dkim', dkimDomains: passed, isAligned: false };
}
