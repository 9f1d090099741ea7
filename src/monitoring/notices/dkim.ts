import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { messageOf } from '../../kernel/errors.js';
import { isWithin, type Verdict } from './trust.js';

/** Looks up TXT records. Rejects with the codes of node:dns. */
export type LookUpTxt = (name: string) => Promise<string[][]>;

export type DkimCheck =
  | { outcome: 'checked'; verdict: Verdict }
  /** The key could not be asked for; the sender should come again. */
  | { outcome: 'later'; detail: string };

const LOOKUPS_MAX = 8; // Shopify signs once or twice; a mail with a hundred signatures is somebody's attack

/**
 * Checks the DKIM signatures of a mail ourselves (RFC 6376, 8301, 8463).
 *
 * Only keys of expected domains are asked for: no stranger's mail makes us ask a stranger's name server. A signature
 * counts when it covers the whole body; a part of a body is no mail (`l=`).
 */
export async function checkDkim(
  raw: Buffer,
  options: { lookUp: LookUpTxt; allowed: readonly string[]; nowAt: Date; deadlineMs: number },
): Promise<DkimCheck> {
  let lookups = 0;
  const resolver = async (name: string, type: string): Promise<string[][]> => {
    const isExpected = options.allowed.some((domain) => isWithin(name.toLowerCase(), domain));
    if (type !== 'TXT' || !isExpected || ++lookups > LOOKUPS_MAX) throw noSuchKey();
    return options.lookUp(name);
  };
  const check = async (): Promise<DkimCheck> => {
    const { results, fromFields } = await dkimVerify(raw, { resolver, strict: true, curTime: options.nowAt });
    const valid = results.filter(
      ({ status, canonBodyLength, canonBodyLengthTotal }) =>
        status.result === 'pass' && status.testing !== true && canonBodyLength === canonBodyLengthTotal,
    );
    const unsure = results.find(({ status }) => status.result === 'temperror');
    if (valid.length === 0 && unsure) return { outcome: 'later', detail: String(unsure.status.comment) };
    // A second From would be shown by some readers and was signed by nobody.
    const dkimDomains = fromFields === 1 ? valid.flatMap(({ signingDomain }) => signingDomain ?? []) : [];
    return { outcome: 'checked', verdict: { by: 'DKIM checked here', dkimDomains, isAligned: false } };
  };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<DkimCheck>((resolve) => {
    timer = setTimeout(
      () => resolve({ outcome: 'later', detail: `no key within ${options.deadlineMs} ms` }),
      options.deadlineMs,
    );
  });
  try {
    return await Promise.race([check(), late]);
  } catch (error) {
    // What the library cannot read is no signature.
    return { outcome: 'checked', verdict: { by: `DKIM: ${messageOf(error)}`, dkimDomains: [], isAligned: false } };
  } finally {
    clearTimeout(timer);
  }
}

function noSuchKey(): Error {
  return Object.assign(new Error('no key is looked for there'), { code: 'ENOTFOUND' });
}
