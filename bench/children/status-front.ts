import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import { SystemClock } from '../../src/kernel/clock.js';
import { StatusDoor, statusServerFactory } from '../../src/status-page/door.js';
import { ServedPage } from '../../src/status-page/served-page.js';
import type { DayFigure, Publication, SnapshotComponent } from '../../src/status-page/snapshot.js';
import { answer } from '../rpc.js';

/**
 * - `plumbline`: the product's page and door, over the product's server
 * - `fastify`: a route of the framework that hands out the same bytes
 * - `bare`: node:http that hands out the same bytes, whatever is asked
 */
export type StatusFrontKind = 'plumbline' | 'fastify' | 'bare';

export type StatusFrontApi = {
  open: { takes: { kind: StatusFrontKind }; gives: { port: number; pageBytes: number } };
};

const COMPONENTS = ['intake', 'processing', 'delivery:ga4', 'delivery:segment', 'reconciliation', 'status'] as const;
const CONFIRMED_EVERY_MS = 2_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A page as full as they come: 90 days of every component, ten incidents with their updates. */
function publicationAt(nowMs: number): Publication {
  const proof = { atMs: nowMs - 600_000, goodUntilMs: nowMs + 12 * HOUR_MS, by: 'reconciliation of 300 of 300 stores' };
  const days = Array.from({ length: 90 }, (_, back): DayFigure => {
    const day = new Date(nowMs - back * DAY_MS).toISOString().slice(0, 10);
    return { day, owed: 41_000 + back, arrived: 41_000 + back - (back % 9 === 0 ? 3 : 0), isSettled: back > 1 };
  }).reverse();
  return {
    version: '1',
    confirmedAtMs: nowMs,
    snapshot: {
      world: 'real',
      components: COMPONENTS.map((id): SnapshotComponent => {
        return { id, troubles: [], proof: id === 'status' ? 'publication' : proof, createdAtMs: 0, changedAtMs: 0 };
      }),
      entries: [],
      incidents: Array.from({ length: 10 }, (_, index) => ({
        id: `inc00000000${index}`,
        title: `Orders arrived late, for the ${index + 1}th time`,
        severity: 2 as const,
        state: 'resolved' as const,
        components: [{ id: 'intake' as const, before: 'operational' as const }],
        stores: 3,
        touchesOrders: true,
        ordersLost: 0,
        ordersUnrecoverable: 0,
        ordersLate: 17,
        ordersRecovered: 17,
        startedAtMs: nowMs - index * DAY_MS - HOUR_MS,
        declaredAtMs: nowMs - index * DAY_MS - HOUR_MS,
        mitigatedAtMs: nowMs - index * DAY_MS,
        resolvedAtMs: nowMs - index * DAY_MS,
        nextUpdateAtMs: null,
        updates: [
          {
            id: `upd00000000${index}`,
            atMs: nowMs - index * DAY_MS,
            state: 'resolved' as const,
            body: 'None was lost.',
          },
        ],
      })),
      days: Object.fromEntries(COMPONENTS.map((id) => [id, { unit: 'orders' as const, days }])),
      throughput: { yesterday: null, last28Days: { owed: 1_148_000, arrived: 1_147_991, days: 27 } },
      createdAtMs: nowMs - 90 * DAY_MS,
      changedAtMs: nowMs,
    },
  };
}

function openPage(): ServedPage {
  const clock = new SystemClock();
  const settings = { title: 'Bench', url: 'https://status.example.com', contact: null, components: {} };
  const page = new ServedPage({ clock, settings: () => settings });
  const publication = publicationAt(clock.nowMs());
  page.take(publication);
  // As in the service: confirmed all the time, with nothing new to say.
  setInterval(() => page.take({ ...publication, confirmedAtMs: clock.nowMs() }), CONFIRMED_EVERY_MS);
  return page;
}

async function serverOf(kind: StatusFrontKind, page: ServedPage): Promise<Server> {
  if (kind === 'plumbline') {
    const app = fastify({ serverFactory: statusServerFactory(new StatusDoor(page)) });
    await app.ready();
    return app.server;
  }
  const bytes = page.at('')?.brotli ?? Buffer.alloc(0);
  const headers = {
    'content-type': 'text/html; charset=utf-8',
    'content-encoding': 'br',
    'content-length': bytes.length,
  };
  if (kind === 'bare') return createServer((_req, res) => void res.writeHead(200, headers).end(bytes));
  const app = fastify();
  app.get('/status', (_request, reply) => reply.headers(headers).send(bytes));
  await app.ready();
  return app.server;
}

answer<StatusFrontApi>({
  async open({ kind }) {
    const page = openPage();
    const server = await serverOf(kind, page);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const pageBytes = page.at('')?.brotli?.length ?? 0;
    return { port: (server.address() as AddressInfo).port, pageBytes };
  },
});
