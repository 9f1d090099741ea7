import type { Random } from '../random.js';
import type { Mail } from '../shopify/webhook-sender.js';

/** The people behind the plain handler: how they hear of trouble, and what they then do. */
export interface PeopleSettings {
  /** Hours of a working day (UTC) at which somebody opens the folder that Shopify's mails are filed into. */
  looksAtHours: readonly number[];
  /** How many of the newest they glance over before they close it again. */
  glancesOver: number;
  /** How likely a mail about a removal is recognised as another kind than the hundreds around it. */
  recognises: number;
  /** From having recognised it to the subscription being there again. */
  recreatesWithinMs: number;
  /** A store that lost this share of a day's orders tells them, on the next working day at the hour below. */
  complainsAboveShare: number;
  complainsAtHour: number;
  /** From the first complaint to somebody who looks into single engines rather than at hosts, restarts them and adds some. */
  digsForMs: number;
  enginesThen: number;
}

const HOUR_MS = 3_600_000;

export const PEOPLE_2019: Readonly<PeopleSettings> = {
  looksAtHours: [8, 15], // two engineers ten hours apart, each at the beginning of the day
  glancesOver: 30, // one screen
  recognises: 0.25, // its subject and its body differ from the others' in a word or two
  recreatesWithinMs: 0.5 * HOUR_MS,
  complainsAboveShare: 0.1, // a store compares its reports by the day and takes less for a delay
  complainsAtHour: 10,
  digsForMs: 26 * HOUR_MS, // the pings are green and the hosts have memory to spare, so the search begins elsewhere
  enginesThen: 16,
};

/** A mail as it lies in the folder. The shop is known to who opens it: its address holds the key. */
export interface FiledMail extends Mail {
  domain: string;
}

export function isWorkingDay(atMs: number): boolean {
  const day = new Date(atMs).getUTCDay();
  return day !== 0 && day !== 6;
}

/** @returns removals recognised in one look at the folder, newest first */
export function glance(folder: readonly FiledMail[], settings: PeopleSettings, random: Random): FiledMail[] {
  return folder
    .slice(-settings.glancesOver)
    .reverse()
    .filter(({ kind }) => kind === 'removed' && random.chance(settings.recognises));
}
