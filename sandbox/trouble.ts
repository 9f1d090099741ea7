import { PAGER_MODES, type PagerMode } from './pagerduty/pagerduty.js';
import type { AdminTrouble } from './shopify/admin-api.js';
import { BULK_MODES, type BulkTrouble } from './shopify/bulk-operations.js';

/** How one store's webhooks misbehave. All zero is calm. */
export interface StoreTrouble {
  /** share of webhooks that Shopify silently never sends */
  drop: number;
  /** share sent a second time with the same webhook id */
  duplicate: number;
  /** share sent a second time with another webhook id and the same event id, as two subscriptions would */
  repeat: number;
  /** share held back for some seconds, so that later ones overtake them */
  reorder: number;
  /** seconds by which every webhook is late */
  delay: number;
  /** share of bodies of orders, refunds and customers cut down to a lone `{"id": …}`, as over an event bus that is too small */
  oversize: number;
  /** how many times faster the store sells; 1 is calm */
  flood: number;
  /** signs with the secret before this one until then (ms); 0 is calm */
  oldSecretUntilMs: number;
}

export const CALM: Readonly<StoreTrouble> = {
  drop: 0,
  duplicate: 0,
  repeat: 0,
  reorder: 0,
  delay: 0,
  oversize: 0,
  flood: 1,
  oldSecretUntilMs: 0,
};

/** How a destination misbehaves. `losing` answers 2xx and keeps nothing; `cutting` keeps it and hangs up unanswered. */
const DESTINATION_MODES = ['calm', 'down', 'slow', 'throttling', 'losing', 'cutting'] as const;
export type DestinationMode = (typeof DESTINATION_MODES)[number];
const ADMIN_MODES = [
  'none',
  'unavailable',
  'frozen',
  'throttled',
  'refusing-writes',
] as const satisfies readonly AdminTrouble[];
/** How a destination's reports misbehave: what it can be asked, not what it is sent. */
const REPORT_MODES = ['calm', 'down', 'quota'] as const;
export type ReportMode = (typeof REPORT_MODES)[number];

/** Whether anybody is on call at the pager. */
const ON_CALL_MODES = ['somebody', 'nobody'] as const;
type OnCallMode = (typeof ON_CALL_MODES)[number];
const MAIL_MODES = ['calm', 'down'] as const;
type MailMode = (typeof MAIL_MODES)[number];

const SHARES = ['drop', 'duplicate', 'repeat', 'reorder', 'oversize'] as const;

/** One order to the sandbox, parsed. `store` and `topic` left out mean all of them. */
export type Trouble =
  | { kind: (typeof SHARES)[number]; store: string | null; share: number }
  | { kind: 'delay'; store: string | null; seconds: number }
  | { kind: 'flood'; store: string | null; factor: number }
  | { kind: 'old-secret'; store: string | null; seconds: number }
  | { kind: 'remove-subscription'; store: string | null; topic: string | null }
  | { kind: 'forged-mail'; store: string | null; topic: string | null }
  | { kind: 'uninstall'; store: string | null }
  | { kind: 'reinstall'; store: string | null }
  | { kind: 'destination'; destination: string | null; mode: DestinationMode }
  | { kind: 'reports'; destination: string | null; mode: ReportMode }
  | { kind: 'admin'; mode: AdminTrouble }
  | { kind: 'bulk'; mode: BulkTrouble }
  | { kind: 'pager'; mode: PagerMode }
  | { kind: 'on-call'; mode: OnCallMode }
  | { kind: 'mail'; mode: MailMode }
  | { kind: 'rate'; ordersPerSecond: number }
  | { kind: 'calm' };

export class BadRequest extends Error {}

/**
 * Reads `{kind, store?, topic?, destination?, value?}` as JSON or a form sends it.
 *
 * @throws BadRequest with a sentence that says what would be right
 */
export function parseTrouble(input: Readonly<Record<string, unknown>>): Trouble {
  const kind = text(input.kind) ?? '';
  const store = text(input.store);
  const share = SHARES.find((known) => known === kind);
  if (share !== undefined) return { kind: share, store, share: number(input.value, 0, 1, `a share from 0 to 1`) };
  switch (kind) {
    case 'delay':
      return { kind, store, seconds: number(input.value, 0, 86_400, 'seconds from 0 to 86400') };
    case 'flood':
      return { kind, store, factor: number(input.value, 0, 1_000, 'a factor from 0 to 1000') };
    case 'old-secret':
      return { kind, store, seconds: number(input.value, 0, 86_400, 'seconds from 0 to 86400') };
    case 'remove-subscription':
    case 'forged-mail':
      return { kind, store, topic: text(input.topic) };
    case 'uninstall':
    case 'reinstall':
      return { kind, store };
    case 'destination':
      return { kind, destination: text(input.destination), mode: oneOf(DESTINATION_MODES, input.value) };
    case 'reports':
      return { kind, destination: text(input.destination), mode: oneOf(REPORT_MODES, input.value) };
    case 'admin':
      return { kind, mode: oneOf(ADMIN_MODES, input.value) };
    case 'bulk':
      return { kind, mode: oneOf(BULK_MODES, input.value) };
    case 'pager':
      return { kind, mode: oneOf(PAGER_MODES, input.value) };
    case 'on-call':
      return { kind, mode: oneOf(ON_CALL_MODES, input.value) };
    case 'mail':
      return { kind, mode: oneOf(MAIL_MODES, input.value) };
    case 'rate':
      return { kind, ordersPerSecond: number(input.value, 0, 500, 'orders per second from 0 to 500') };
    case 'calm':
      return { kind };
    default:
      throw new BadRequest(`unknown kind of trouble: ${kind}`);
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' && value !== 'all' ? value : null;
}

function number(value: unknown, low: number, high: number, wanted: string): number {
  const parsed = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof parsed !== 'number' || !(parsed >= low && parsed <= high)) throw new BadRequest(`value must be ${wanted}`);
  return parsed;
}

function oneOf<Item extends string>(items: readonly Item[], value: unknown): Item {
  const found = items.find((item) => item === value);
  if (found === undefined) throw new BadRequest(`value must be one of ${items.join(', ')}`);
  return found;
}

/** The trouble as the log and the page say it, in plain words. */
export function sentence(trouble: Trouble): string {
  const where = 'store' in trouble ? (trouble.store === null ? 'every store' : trouble.store) : '';
  const percent = 'share' in trouble ? `${Math.round(trouble.share * 100)} %` : '';
  switch (trouble.kind) {
    case 'drop':
      return trouble.share === 0
        ? `No webhook is lost: ${where}`
        : `${percent} of webhooks are silently lost: ${where}`;
    case 'duplicate':
      return `${percent} of webhooks are sent twice with the same id: ${where}`;
    case 'repeat':
      return `${percent} of webhooks are told again under another id: ${where}`;
    case 'reorder':
      return `${percent} of webhooks are overtaken by later ones: ${where}`;
    case 'oversize':
      return `${percent} of webhooks hold an id and nothing else: ${where}`;
    case 'delay':
      return trouble.seconds === 0
        ? `Webhooks are on time: ${where}`
        : `Webhooks are ${trouble.seconds} s late: ${where}`;
    case 'flood':
      return trouble.factor === 1
        ? `Sells at its usual rate: ${where}`
        : `Sells ${trouble.factor} times as fast: ${where}`;
    case 'old-secret':
      return `Signs with the old secret for ${trouble.seconds} s: ${where}`;
    case 'remove-subscription':
      return `Subscription ${trouble.topic ?? 'of every topic'} removed: ${where}`;
    case 'forged-mail':
      return `Somebody forges a mail that ${trouble.topic ?? 'every topic'} was removed: ${where}`;
    case 'uninstall':
      return `App uninstalled: ${where}`;
    case 'reinstall':
      return `App installed again, without a subscription: ${where}`;
    case 'destination':
      return `${trouble.destination ?? 'Every destination'} is ${MODE_WORDS[trouble.mode]}`;
    case 'reports':
      return `Reports of ${trouble.destination ?? 'every destination'} ${REPORT_WORDS[trouble.mode]}`;
    case 'admin':
      return `The Admin API ${ADMIN_WORDS[trouble.mode]}`;
    case 'bulk':
      return `Bulk operations ${BULK_WORDS[trouble.mode]}`;
    case 'pager':
      return `PagerDuty ${PAGER_WORDS[trouble.mode]}`;
    case 'on-call':
      return trouble.mode === 'nobody' ? 'Nobody is on call' : 'Somebody is on call';
    case 'mail':
      return trouble.mode === 'down' ? 'The mail server is down' : 'The mail server takes mails';
    case 'rate':
      return `All stores together sell ${trouble.ordersPerSecond} orders per second`;
    case 'calm':
      return 'Calm: all trouble ended';
  }
}

export const MODE_WORDS: Record<DestinationMode, string> = {
  calm: 'well',
  down: 'down (503)',
  slow: 'slow (3 s per answer)',
  throttling: 'refusing with 429',
  losing: 'accepting and losing',
  cutting: 'keeping the event and hanging up',
};

export const REPORT_WORDS: Record<ReportMode, string> = {
  calm: 'answer',
  down: 'are down (503)',
  quota: 'are out of quota (429)',
};

export const PAGER_WORDS: Record<PagerMode, string> = {
  calm: 'takes events and pages',
  down: 'is down: it takes no connection',
  hanging: 'hangs: it takes connections and never answers',
  throttling: 'throttles every event (429)',
  failing: 'fails (500)',
  garbled: 'answers as a broken proxy would (502)',
  unheard: 'says 202 and pages nobody',
  losing: 'takes events and cuts off the answer',
};

export const ADMIN_WORDS: Record<AdminTrouble, string> = {
  none: 'answers',
  unavailable: 'is down (503)',
  frozen: 'says the shop is frozen (402)',
  throttled: 'throttles every query',
  'refusing-writes': 'refuses to change subscriptions',
};

const BULK_WORDS: Record<BulkTrouble, string> = {
  none: 'end well',
  fail: 'fail half-way',
  deny: 'fail for lack of a scope',
  stall: 'make no progress',
  expire: 'have lost their results',
  cut: 'have every other download cut half-way',
};
