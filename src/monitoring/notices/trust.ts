import { domainOf } from './mail.js';

/** What somebody who checked the signatures of a mail has found. */
export interface Verdict {
  /** Who says so, for people: `postmark X-Spam-Tests`, `DKIM checked here`. */
  by: string;
  /** Domains whose DKIM signature is valid. */
  dkimDomains: readonly string[];
  /** DMARC passed, or a signature of the author's own domain is valid. */
  isAligned: boolean;
}

export interface Trust {
  isTrusted: boolean;
  /** Why, or why not; for people. */
  why: string;
  /** The author's domain; `null` = no author, or several. */
  senderDomain: string | null;
}

/**
 * Whether a mail is by whom it says, and that is Shopify. Everything else has no effect.
 *
 * A valid signature alone proves nothing: anybody signs mails with a domain of their own. It must be the domain that
 * the reader sees in From (alignment; RFC 7489, 3.1), and that must be one of those we expect.
 *
 * @param from every address of every From header
 * @param allowed domains, with their subdomains
 */
export function judgeTrust(from: readonly string[], verdict: Verdict | null, allowed: readonly string[]): Trust {
  const [author, second] = from;
  if (author === undefined || second !== undefined) {
    const why = author === undefined ? 'no author in From' : 'several authors in From';
    return { isTrusted: false, why, senderDomain: null };
  }
  const senderDomain = domainOf(author);
  const expected = senderDomain === null ? undefined : allowed.find((domain) => isWithin(senderDomain, domain));
  if (expected === undefined) return { isTrusted: false, why: 'not from an expected sender', senderDomain };
  if (verdict === null) return { isTrusted: false, why: 'nobody has checked its signature', senderDomain };
  const isSigned = verdict.isAligned || verdict.dkimDomains.some((domain) => isWithin(domain.toLowerCase(), expected));
  const why = isSigned ? verdict.by : `no valid signature of ${expected} (${verdict.by})`;
  return { isTrusted: isSigned, why, senderDomain };
}

/** Whether a domain is another one or a subdomain of it. */
export function isWithin(domain: string, parent: string): boolean {
  return domain === parent || domain.endsWith(`.${parent}`);
}
