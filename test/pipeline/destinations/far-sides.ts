import pg from 'pg';
import { SystemClock, type Clock } from '../../../src/kernel/clock.js';
import { silentLogger } from '../../../src/kernel/log.js';
import type { Destination, DestinationKind } from '../../../src/pipeline/contract.js';
import type { DeliveryItem, DestinationAdapter } from '../../../src/pipeline/destinations/adapter.js';
import { createAdapters } from '../../../src/pipeline/destinations/registry.js';
import { Ga4Receiver } from '../../../sandbox/receivers/ga4.js';
import type { Receiver } from '../../../sandbox/receivers/receiver.js';
import { SegmentReceiver } from '../../../sandbox/receivers/segment.js';
import { WebhookReceiver } from '../../../sandbox/receivers/webhook.js';
import { FaultyProxy } from './faulty-proxy.js';
import { destinationOf } from './items.js';

export const WEBHOOK_SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
export const SECRETS = ['ga4-s3cret-value', 'segment-s3cret-key', WEBHOOK_SECRET, 'warehouse-s3cret'];

/** Segment's other secret; only its reports know it. */
export const PUBLIC_TOKEN = 'segment-public-s3cret';

/** One kind of destination with its adapter, as the conformance suite needs it: the far side, and trouble with it. */
export interface FarSide {
  adapter: DestinationAdapter;
  destination: Destination;
  /** How often the far side took the event into account: what its reports would count. */
  effects(item: DeliveryItem): Promise<number>;
  trouble(mode: 'ok' | 'hang' | 'cut-before' | 'apply-then-cut'): void;
  refuse(): Promise<void>;
  acceptAgain(): Promise<void>;
  /** Makes the far side refuse this one event for what is in it; returns the event to send. */
  poison(item: DeliveryItem): DeliveryItem;
  /** The receiver, for kinds that speak HTTP. */
  http: Receiver | null;
  close(): Promise<void>;
}

const LOOPBACK = ['127.0.0.0/8'];

function adapterOf(kind: DestinationKind, clock: Clock): DestinationAdapter {
  const adapters = createAdapters({ clock, allowPrivateAddresses: LOOPBACK, log: silentLogger });
  const adapter = adapters.get(kind);
  if (adapter === undefined) throw new Error(`no adapter for ${kind}`);
  return adapter;
}

function overHttp(
  receiver: Receiver,
  kind: DestinationKind,
  clock: Clock,
  own: Record<string, unknown>,
  rest: Pick<FarSide, 'effects' | 'poison'>,
): FarSide {
  const adapter = adapterOf(kind, clock);
  return {
    adapter,
    destination: destinationOf(kind, own),
    trouble: (mode) => receiver.misbehave({ mode }),
    refuse: () => receiver.refuse(),
    acceptAgain: () => receiver.acceptAgain(),
    http: receiver,
    close: async () => {
      await adapter.close();
      await receiver.stop();
    },
    ...rest,
  };
}

/** @param clock for both sides, where a test lives through their delays */
export async function ga4FarSide(clock: Clock = new SystemClock()): Promise<FarSide & { receiver: Ga4Receiver }> {
  const receiver = new Ga4Receiver();
  receiver.nowMs = () => clock.nowMs();
  const endpoint = await receiver.start();
  const own = {
    measurementId: 'G-TEST',
    apiSecret: SECRETS[0],
    endpoint,
    propertyId: receiver.reports.propertyId,
    serviceAccount: receiver.serviceAccount,
    dataEndpoint: endpoint,
  };
  const farSide = overHttp(receiver, 'ga4', clock, own, {
    effects: async ({ event, eventId }) => {
      // GA4 counts a purchase once however often it came, and everything else as often as it came.
      const arrivals = receiver.eventIds.counts.get(eventId) ?? 0;
      return event.kind === 'purchase' ? Math.min(arrivals, 1) : arrivals;
    },
    poison: (item) => item,
  });
  return { ...farSide, receiver };
}

export async function segmentFarSide(
  clock: Clock = new SystemClock(),
): Promise<FarSide & { receiver: SegmentReceiver }> {
  const receiver = new SegmentReceiver();
  receiver.nowMs = () => clock.nowMs();
  const endpoint = await receiver.start();
  receiver.writeKey = SECRETS[1] ?? null;
  receiver.overview.publicToken = PUBLIC_TOKEN;
  const reading = { publicToken: PUBLIC_TOKEN, sourceId: receiver.overview.sourceId, publicEndpoint: endpoint };
  const farSide = overHttp(
    receiver,
    'segment',
    clock,
    { writeKey: SECRETS[1], endpoint, ...reading },
    {
      effects: async ({ eventId }) => (receiver.messages.has(eventId) ? 1 : 0),
      poison: (item) => {
        receiver.poison.add(item.eventId);
        return item;
      },
    },
  );
  return { ...farSide, receiver };
}

export async function webhookFarSide(): Promise<FarSide & { receiver: WebhookReceiver }> {
  const receiver = new WebhookReceiver(WEBHOOK_SECRET);
  const url = await receiver.start();
  const farSide = overHttp(
    receiver,
    'webhook',
    new SystemClock(),
    { url: `${url}/in`, secret: WEBHOOK_SECRET },
    {
      effects: async ({ eventId }) => (receiver.events.has(eventId) ? 1 : 0),
      poison: (item) => item,
    },
  );
  return { ...farSide, receiver };
}

/** @param databaseUrl of a test database on a Unix socket; the adapter reaches it through a wire that can fail */
export async function postgresFarSide(
  databaseUrl: string,
): Promise<FarSide & { proxy: FaultyProxy; pool: pg.Pool; urlFor(user: string): string }> {
  const url = new URL(databaseUrl);
  const proxy = new FaultyProxy(`${url.searchParams.get('host') ?? ''}/.s.PGSQL.${url.port || '5432'}`);
  const port = await proxy.start();
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 2 });
  const urlFor = (user: string): string => `postgres://${user}:${SECRETS[3]}@127.0.0.1:${port}${url.pathname}`;
  const adapter = adapterOf('postgres', new SystemClock());
  return {
    adapter,
    destination: destinationOf('postgres', { url: urlFor(url.username) }),
    effects: async ({ eventId }) => {
      const { rows } = await pool.query<{ found: string | null }>(`select to_regclass('plumbline_events') as found`);
      if (rows[0]?.found == null) return 0;
      const counted = await pool.query('select 1 from plumbline_events where event_id = $1', [eventId]);
      return counted.rowCount ?? 0;
    },
    trouble: (mode) => {
      proxy.mode = mode;
    },
    refuse: () => proxy.stop(),
    acceptAgain: () => proxy.acceptAgain(),
    // A year that timestamptz cannot hold: the server says 22008 and refuses the statement, all rows of it.
    poison: (item) => ({ ...item, event: { ...item.event, occurredAt: '9999999-01-01T00:00:00.000Z' } }),
    http: null,
    close: async () => {
      await adapter.close();
      await proxy.stop();
      await pool.end();
    },
    proxy,
    pool,
    urlFor,
  };
}
