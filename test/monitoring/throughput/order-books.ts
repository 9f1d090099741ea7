import type {
  Destination,
  HourCount,
  LedgerReader,
  ReadBack,
  RegistryReader,
  Shop,
  ShopHour,
  State,
} from '../../../src/pipeline/contract.js';
import type { Stage } from '../../../src/monitoring/contract.js';
import { HOUR_MS } from '../../../src/monitoring/throughput/hour-row.js';
import type { GapCount, ProvedShop, SoldCounts, SoldHour } from '../../../src/monitoring/throughput/sold-counts.js';
import { destination as destinationOf } from '../../support/events.js';

interface LedgerLine {
  shopId: string;
  orderId: string;
  destinationId: number;
  soldAt: Date;
  dueAt: Date | null;
  acceptedAt: Date | null;
  state: State;
  updatedAt: Date;
}

interface SoldLine {
  shopId: string;
  orderId: string;
  soldAt: Date;
  due: boolean;
  updatedAt: Date;
}

interface GapLine {
  shopId: string;
  orderId: string;
  destinationId: number;
  soldAt: Date;
  stage: Stage;
  state: 'missing' | 'dead' | 'recovered';
  updatedAt: Date;
}

export const hourOf = (at: Date): Date => new Date(Math.floor(at.getTime() / HOUR_MS) * HOUR_MS);

/**
 * The books that throughput is counted from, in memory: the ledger's rows, what Shopify has listed, gaps and proofs.
 * Counts are made by looking at every line, so they are right by being simple.
 */
export class OrderBooks {
  readonly ledger = new Map<string, LedgerLine>();
  readonly listed = new Map<string, SoldLine>();
  readonly gapLines = new Map<string, GapLine>();
  readonly proofs = new Map<string, ProvedShop>();
  /** How often hours were asked for: what a pass costs. */
  asked: ShopHour[] = [];

  write(line: LedgerLine): void {
    this.ledger.set(`${line.shopId}/${line.orderId}/${line.destinationId}`, line);
  }

  list(line: SoldLine): void {
    this.listed.set(`${line.shopId}/${line.orderId}`, line);
  }

  find(line: GapLine): void {
    this.gapLines.set(`${line.shopId}/${line.orderId}/${line.destinationId}`, line);
  }

  prove(shopId: string, fromAt: Date, untilAt: Date): void {
    this.proofs.set(shopId, { shopId, spans: [{ fromAt, untilAt }] });
  }

  readonly ledgerReader: Pick<LedgerReader, 'touchedHours' | 'hourCounts'> = {
    touchedHours: (sinceAt, untilAt) => Promise.resolve(touched([...this.ledger.values()], sinceAt, untilAt)),
    hourCounts: (hours, { lateAfterMs, nowAt }) => {
      this.asked.push(...hours);
      return Promise.resolve(
        hours.flatMap((hour) => {
          const lines = [...this.ledger.values()].filter((line) => isIn(line, hour));
          const ids = [...new Set(lines.map(({ destinationId }) => destinationId))];
          return ids.map((id) =>
            countOf(
              hour,
              id,
              lines.filter(({ destinationId }) => destinationId === id),
              nowAt.getTime() - lateAfterMs,
              lateAfterMs,
            ),
          );
        }),
      );
    },
  };

  readonly soldCounts: SoldCounts = {
    hours: (hours) =>
      Promise.resolve(
        hours.flatMap((hour): SoldHour[] => {
          const lines = [...this.listed.values()].filter((line) => isIn(line, hour));
          return lines.length === 0
            ? []
            : [
                {
                  shopId: hour.shopId,
                  hourAt: hour.hourAt,
                  orders: lines.length,
                  due: lines.filter(({ due }) => due).length,
                },
              ];
        }),
      ),
    gaps: (hours) =>
      Promise.resolve(
        hours.flatMap((hour) => [...this.gapLines.values()].filter((line) => isIn(line, hour)).map(gapCountOf)),
      ),
    proved: (shopIds) =>
      Promise.resolve([...this.proofs.values()].filter(({ shopId }) => shopIds?.includes(shopId) ?? true)),
    touchedHours: (sinceAt, untilAt) =>
      Promise.resolve(touched([...this.listed.values(), ...this.gapLines.values()], sinceAt, untilAt)),
  };
}

function isIn(line: { shopId: string; soldAt: Date }, hour: ShopHour): boolean {
  return line.shopId === hour.shopId && hourOf(line.soldAt).getTime() === hour.hourAt.getTime();
}

function touched(
  lines: readonly { shopId: string; soldAt: Date; updatedAt: Date }[],
  sinceAt: Date,
  untilAt: Date,
): ShopHour[] {
  return lines
    .filter(({ updatedAt }) => updatedAt >= sinceAt && updatedAt < untilAt)
    .map(({ shopId, soldAt }) => ({ shopId, hourAt: hourOf(soldAt) }));
}

function countOf(
  hour: ShopHour,
  destinationId: number,
  lines: readonly LedgerLine[],
  lateBeforeMs: number,
  lateAfterMs: number,
): HourCount {
  const count = (...states: State[]): number => lines.filter(({ state }) => states.includes(state)).length;
  const unconfirmed = lines.flatMap(({ state, acceptedAt }) =>
    state === 'accepted' && acceptedAt ? [acceptedAt] : [],
  );
  return {
    shopId: hour.shopId,
    hourAt: hour.hourAt,
    destinationId,
    logged: lines.length,
    processed: lines.length - count('expected'),
    accepted: count('accepted', 'confirmed'),
    confirmed: count('confirmed'),
    ignored: count('ignored'),
    failed: count('failed', 'unconfirmable'),
    missing: count('missing'),
    late: lines.filter(({ state, dueAt, acceptedAt }) => {
      if (dueAt === null) return false;
      if (acceptedAt !== null) return acceptedAt.getTime() - dueAt.getTime() > lateAfterMs;
      return state === 'queued' && dueAt.getTime() < lateBeforeMs;
    }).length,
    unconfirmedAcceptedAt: unconfirmed.length === 0 ? null : new Date(Math.max(...unconfirmed.map(Number))),
  };
}

function gapCountOf({ shopId, soldAt, destinationId, stage, state }: GapLine): GapCount {
  const one = (of: GapLine['state']): number => (state === of ? 1 : 0);
  return {
    shopId,
    hourAt: hourOf(soldAt),
    destinationId,
    stage,
    missing: one('missing'),
    dead: one('dead'),
    recovered: one('recovered'),
  };
}

export const GA4 = 1;
export const LAKE = 2;
export const HOOK = 3;
export const SETTLING_MS: Readonly<Record<number, number>> = { [GA4]: 24 * HOUR_MS, [LAKE]: 0, [HOOK]: HOUR_MS };

/** GA4 (read back by id, a day), a warehouse (at once), a webhook that cannot be read back and counts unpaid orders. */
const DESTINATIONS: ReadonlyMap<number, Destination> = new Map(
  [
    destinationOf({ id: GA4, name: 'acme-ga4', kind: 'ga4' }),
    destinationOf({ id: LAKE, name: 'acme-lake', kind: 'postgres' }),
    destinationOf({
      id: HOOK,
      name: 'acme-hook',
      kind: 'webhook',
      settings: { ...destinationOf().settings, purchaseOn: 'created' },
    }),
  ].map((one) => [one.id, one]),
);

export const readBack: Pick<ReadBack, 'ability'> = {
  ability: ({ id }) => ({
    means: id === HOOK ? 'none' : 'ids',
    kinds: new Set(['purchase']),
    settlingMs: SETTLING_MS[id] ?? 0,
    why: id === HOOK ? 'a webhook answers and says no more' : null,
  }),
};

export function shopOf(id: string, overrides: Partial<Shop> = {}): Shop {
  const destinationIds = [...DESTINATIONS.keys()];
  return {
    id,
    domain: `shop-${id}.myshopify.com`,
    key: `key-${id}`,
    world: 'real',
    adminUrl: null,
    accessToken: null,
    settings: {},
    destinationIds,
    links: destinationIds.map((destinationId) => ({ destinationId, linkedAt: null })),
    subscriptions: 'shop',
    connectedAt: new Date(0),
    uninstalledAt: null,
    ...overrides,
  };
}

export function registryOf(shops: readonly Shop[]): RegistryReader {
  return {
    shops: () => shops,
    destinations: () => [...DESTINATIONS.values()],
    shopById: (id) => shops.find((shop) => shop.id === id),
    destinationById: (id) => DESTINATIONS.get(id),
  };
}
