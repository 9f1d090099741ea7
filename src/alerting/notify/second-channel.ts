import { isNeverMuted, ruleNamed } from '../catalogue.js';
import type { Notification, Sent } from './notification.js';
import { cut, minuteOf, wordsOf, type PublicUrl, type Words } from './words.js';

/** What goes out as one message of the second channel. */
export interface Message extends Words {
  /** The same however often it is sent: whoever gets it twice can tell. */
  id: string;
}

/** Whoever reads tickets: no page stands behind these, so nothing of them is in doubt. */
export const TICKETS = 'tickets';

/** A way to people that shares nothing with the pager. */
export interface SecondChannel {
  /** How rows and the API name it. */
  readonly recipient: string;
  /** Whether it says all of a message: what is cut off nobody hears of. */
  fits(message: Message): boolean;
  tell(message: Message, signal: AbortSignal): Promise<Sent>;
  close(): void;
}

/** @prop notifications what it says, so what is settled with its answer */
export interface Planned {
  message: Message;
  notifications: Notification[];
}

/** What a plan depends on, beside what is due. */
interface Way extends Pick<SecondChannel, 'fits'> {
  hasPager: boolean;
}

/** In one digest, if its channel takes so many. What is more comes in the next. */
export const DIGEST_MAX = 200;
/** What is named in a digest by a line of its own, beside removals and missing orders, which all are. */
const NAMED_MAX = 20;

/**
 * How a flood is told: each by itself while there is room, the worst first; what is more goes together as one. In it every
 * removal and every missing order still has its line (invariant 9); the others are counted by name.
 *
 * @param due worst first; the last of them are in no message when a digest cannot hold them
 * @param free how many messages may go now
 * @param way.fits whether the channel says all of a message
 * @param way.hasPager whether a pager was to tell first, which is what is doubted
 */
export function planMessages(
  due: readonly Notification[],
  free: number,
  publicUrl: PublicUrl,
  way: Way = { fits: () => true, hasPager: true },
): Planned[] {
  if (due.length <= free) return due.map((one) => single(one, publicUrl, way));
  if (free <= 0) return [];
  const alone = due.slice(0, free - 1).map((one) => single(one, publicUrl, way));
  return [...alone, fullest(due.slice(free - 1, free - 1 + DIGEST_MAX), publicUrl, way)];
}

/** As much of the worst as one message holds; the first whatever its length. */
function fullest(rest: readonly Notification[], publicUrl: PublicUrl, way: Way): Planned {
  const holding = (count: number): Planned => {
    const [only] = rest;
    return count === 1 && only ? single(only, publicUrl, way) : digest(rest.slice(0, count), publicUrl, way);
  };
  let held = holding(1);
  for (let [least, most] = [2, rest.length]; least <= most;) {
    const count = Math.ceil((least + most) / 2);
    const tried = holding(count);
    if (way.fits(tried.message)) [held, least] = [tried, count + 1];
    else most = count - 1;
  }
  return held;
}

function single(notification: Notification, publicUrl: PublicUrl, { hasPager }: Way): Planned {
  const words = wordsOf(notification, publicUrl);
  const isInDoubt = hasPager && notification.recipient !== TICKETS && notification.body.name !== 'notifier-failing';
  const why =
    notification.action === 'trigger' && isInDoubt
      ? ['The pager has not confirmed that anybody is paged for this; so it comes this way too.']
      : [];
  return {
    message: { ...words, lines: [...words.lines, ...why], id: `plumbline-${notification.id}` },
    notifications: [notification],
  };
}

function digest(rest: readonly Notification[], publicUrl: PublicUrl, { hasPager }: Way): Planned {
  const [first] = rest;
  const isNamed = new Set([...rest.filter(isNeverFolded), ...rest.slice(0, NAMED_MAX)]);
  const named = rest.filter((one) => isNamed.has(one)).map(lineOf);
  const counts = new Map<string, number>();
  for (const one of rest.filter((each) => !isNamed.has(each))) {
    const name = `${one.body.name}, ${one.action === 'resolve' ? 'resolved' : `SEV${one.severity}`}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const isInDoubt = hasPager && first?.recipient !== TICKETS;
  const doubt = isInDoubt ? ['The pager has not confirmed that anybody is paged for these.'] : [];
  const others = [...counts].map(([name, count]) => `and ${count} more: ${name}`);
  const links =
    publicUrl === null ? [] : [{ href: `${publicUrl.replace(/\/+$/, '')}/api/v1/alerts`, text: 'Alerts (API)' }];
  return {
    message: {
      id: `plumbline-digest-${first?.id ?? ''}-${rest.at(-1)?.id ?? ''}`,
      title: `[${rest.length} at once] ${cut(first?.summary ?? '', 200)} …`,
      lines: [...doubt, ...named, ...others],
      links,
    },
    notifications: [...rest],
  };
}

function lineOf({ action, severity, summary, body }: Notification): string {
  const verb = action === 'resolve' ? 'Resolved' : `SEV${severity}`;
  return `[${verb}] ${cut(summary, 300)} (since ${minuteOf(body.since)}, runbook ${body.runbook})`;
}

/** Invariant 9: never folded into a count, whatever else happens. */
export function isNeverFolded({ body }: Pick<Notification, 'body'>): boolean {
  const rule = ruleNamed(body.name);
  return rule !== undefined && isNeverMuted(rule);
}
