import { z } from 'zod';
import { addressesIn, readMime, valuesOf, type HeaderField } from '../mail.js';
import type { Verdict } from '../trust.js';
import { readJson, refused, type Handed, type InboundRequest } from './inbound.js';

const text = z.string().nullish();

const payload = z.looseObject({
  MessageID: z.string().min(1).max(300),
  From: text,
  FromFull: z.looseObject({ Email: text }).nullish(),
  Subject: text,
  TextBody: text,
  HtmlBody: text,
  Headers: z.array(z.looseObject({ Name: z.string(), Value: text })).nullish(),
  /** There when "Include raw email content in JSON payload" is ticked. */
  RawEmail: text,
});

/**
 * Postmark's inbound webhook. It signs nothing: the secret address is its password.
 * Source: postmarkapp.com/developer/webhooks/inbound-webhook (read 2026-11).
 */
export async function readPostmark({ body }: InboundRequest): Promise<Handed> {
  const parsed = payload.safeParse(readJson(body));
  if (!parsed.success) return refused(400, 'This is no inbound message of Postmark.');
  const { data } = parsed;
  const receipt = data.MessageID;
  if (data.RawEmail) {
    const raw = Buffer.from(data.RawEmail, 'utf8');
    return { outcome: 'mail', mail: await readMime(raw), receipt, verdict: null, raw };
  }
  const headers = (data.Headers ?? []).map(({ Name, Value }): HeaderField => [Name, Value ?? '']);
  const author = data.FromFull?.Email ?? '';
  const from = author === '' ? addressesIn(data.From ?? '') : [author];
  const mail = {
    from: [...from, ...valuesOf(headers, 'from').slice(1).flatMap(addressesIn)],
    subject: data.Subject ?? '',
    text: data.TextBody ?? null,
    html: data.HtmlBody ?? null,
    headers,
  };
  return { outcome: 'mail', mail, receipt, verdict: spamVerdict(headers), raw: null };
}

/**
 * What SpamAssassin at Postmark says of DKIM: `DKIM_VALID_AU` is a valid signature of the author's own domain. Postmark
 * puts its findings above everything that came with the mail, below its own Received; a second list, or one further
 * down, is the sender's own invention. It sometimes skips the check: then there is no verdict.
 */
function spamVerdict(headers: readonly HeaderField[]): Verdict | null {
  const lists = valuesOf(headers, 'x-spam-tests');
  const [list] = lists;
  if (list === undefined || lists.length > 1) return null;
  const above = headers.slice(
    0,
    headers.findIndex(([name]) => name.toLowerCase() === 'x-spam-tests'),
  );
  const isPostmarks =
    above.every(([name]) => /^(return-path|received|x-spam-[a-z-]+)$/i.test(name)) &&
    valuesOf(above, 'received').length <= 1;
  if (!isPostmarks) return null;
  const tests = list.toUpperCase().split(/[\s,]+/);
  return { by: 'postmark X-Spam-Tests', dkimDomains: [], isAligned: tests.includes('DKIM_VALID_AU') };
}
