import type { Topic } from '../../sandbox/shopify/lifecycle.js';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** What happens to both systems alike, at its hour of the story. */
export type Misfortune =
  /** Nobody outside gets through to intake: a certificate ran out, a route is gone. */
  | { kind: 'door-closed'; afterMs: number; forMs: number }
  /** Shopify deletes subscriptions by mistake, as on 2020-12-11. Stores by their number. */
  | { kind: 'deleted-by-shopify'; afterMs: number; store: number; topics: readonly Topic[] }
  /** Shopify never sends a share of its webhooks. */
  | { kind: 'never-sent'; afterMs: number; forMs: number; share: number };

export interface Story {
  startAtMs: number;
  days: number;
  stores: number;
  /** All stores together, on the first day. */
  ordersPerDay: number;
  /** Each day's volume against the day before. */
  growthPerDay: number;
  /** How a day's orders fall on its hours (UTC). Only their proportions count. */
  hours: readonly number[];
  topics: readonly Topic[];
  misfortunes: readonly Misfortune[];
}

const at = (day: number, hour: number, minute = 0): number => (day - 1) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS;

/** Ten days of October 2019, with a weekend in the middle. Docs/replay-2019.md has the reasons and the sources. */
export const STORY_2019: Story = {
  startAtMs: Date.parse('2019-10-09T00:00:00Z'),
  days: 10,
  stores: 2,
  ordersPerDay: 160,
  growthPerDay: 1.2 ** (1 / 30), // 20 % a month
  hours: [2, 1, 1, 1, 1, 2, 3, 4, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 9, 9, 8, 7, 5, 3],
  topics: ['orders/create', 'orders/paid', 'orders/cancelled', 'refunds/create'],
  misfortunes: [
    { kind: 'never-sent', afterMs: at(2, 9), forMs: 6 * HOUR_MS, share: 0.05 },
    { kind: 'deleted-by-shopify', afterMs: at(9, 10, 40), store: 1, topics: ['orders/create', 'orders/paid'] },
    { kind: 'door-closed', afterMs: at(10, 8, 5), forMs: 40 * MINUTE_MS },
  ],
};

/** Orders in a minute, all stores together, before chance. */
export function ordersPerMinute(story: Story, atMs: number): number {
  const sinceMs = atMs - story.startAtMs;
  const hour = new Date(atMs).getUTCHours();
  const sum = story.hours.reduce((total, weight) => total + weight, 0);
  const perHour = (story.ordersPerDay * (story.hours[hour] ?? 0)) / sum;
  return (perHour / 60) * story.growthPerDay ** (sinceMs / DAY_MS);
}
