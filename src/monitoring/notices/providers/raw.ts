import { readMime } from '../mail.js';
import { refused, type Handed, type InboundRequest } from './inbound.js';

/** The mail itself as the body, as a mail server's pipe or a forwarding worker posts it. We check it ourselves. */
export async function readRaw({ body }: InboundRequest): Promise<Handed> {
  if (body.length === 0) return refused(400, 'The request has no body.');
  return { outcome: 'mail', mail: await readMime(body), receipt: null, verdict: null, raw: body };
}
