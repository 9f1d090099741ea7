import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fastify } from 'fastify';
import pg from 'pg';
import { SystemClock } from '../../src/kernel/clock.js';
import { Intake, type IntakeOptions } from '../../src/pipeline/intake/intake.js';
import { intakeServerFactory } from '../../src/pipeline/intake/server-factory.js';
import { SignatureCheck } from '../../src/pipeline/intake/signature.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { SECRET } from '../orders.js';
import { answer } from '../rpc.js';
import { pipelineOptions, productMetrics } from './product.js';
import { openRival, type RivalName, type Store } from './stores.js';

/**
 * - `plumbline`: the product's intake, its inbox in the database
 * - `journal`: the same without a database, so that everything goes to the spill journal
 * - `nothing`: the same server and the same intake, storing nothing
 * - `bare`: node:http and the signature, no more
 * - a rival's name: the product's server and intake over that store
 */
export type FrontKind = 'plumbline' | 'journal' | 'nothing' | 'bare' | RivalName;

export interface FrontPlace {
  kind: FrontKind;
  databaseUrl: string;
  dataDir: string;
  redisPort: number;
}

export type FrontApi = {
  open: { takes: FrontPlace; gives: { port: number } };
  /** Throws away what was stored, between measurements. */
  empty: { takes: null; gives: void };
  close: { takes: null; gives: void };
};

const NOWHERE = 'postgres://bench@127.0.0.1:1/none';

interface Front {
  server: Server;
  empty: () => Promise<void>;
  close: () => Promise<void>;
}

async function openFront(place: FrontPlace): Promise<Front> {
  switch (place.kind) {
    case 'bare':
      return { server: bareServer(), empty: () => Promise.resolve(), close: () => Promise.resolve() };
    case 'plumbline':
    case 'journal':
      return openPipeline(place);
    case 'nothing':
      return overStore({
        append: () => Promise.resolve(),
        empty: () => Promise.resolve(),
        close: () => Promise.resolve(),
      });
    default:
      return overStore(await openRival(place.kind, place));
  }
}

async function openPipeline({ kind, databaseUrl, dataDir }: FrontPlace): Promise<Front> {
  const url = kind === 'journal' ? NOWHERE : databaseUrl;
  const pipeline = await Pipeline.openIntake(
    pipelineOptions({ databaseUrl: url, dataDir, roles: { intake: true, worker: false } }),
  );
  return {
    server: await serverOf(pipeline.intake),
    async empty() {
      if (kind === 'journal') return;
      const client = new pg.Client({ connectionString: databaseUrl });
      await client.connect();
      await client.query('truncate pipeline.inbox_segment');
      await client.end();
    },
    // The streams and the journal's files go with the process; a stop would wait for a database that is not there.
    close: () => Promise.resolve(),
  };
}

async function overStore(store: Store): Promise<Front> {
  const metrics = productMetrics();
  const options: IntakeOptions = {
    signature: new SignatureCheck([{ secret: SECRET, world: 'real' }]),
    append: (entry) => store.append(entry),
    clock: new SystemClock(),
    recorder: { answered: (status, ms) => metrics.intakeAnswered(ms / 1_000, status) },
  };
  return { server: await serverOf(new Intake(options)), empty: () => store.empty(), close: () => store.close() };
}

async function serverOf(intake: Intake): Promise<Server> {
  const app = fastify({ serverFactory: intakeServerFactory(intake) });
  await app.ready();
  return app.server;
}

function bareServer(): Server {
  return createServer((req, res) => {
    const chunks: Buffer[] = [];
    req.on('data', (chunk: Buffer) => chunks.push(chunk));
    req.on('end', () => {
      const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      const claimed = Buffer.from(String(req.headers['x-shopify-hmac-sha256']), 'base64');
      const digest = createHmac('sha256', SECRET).update(body).digest();
      const ok = claimed.length === digest.length && timingSafeEqual(digest, claimed);
      res.writeHead(ok ? 200 : 401, ['content-type', 'text/plain', 'content-length', '3']).end('ok\n');
    });
  });
}

let front: Front | null = null;

answer<FrontApi>({
  async open(place) {
    const opened = await openFront(place);
    front = opened;
    await new Promise<void>((resolve) => opened.server.listen(0, '127.0.0.1', resolve));
    return { port: (opened.server.address() as AddressInfo).port };
  },
  empty: () => front?.empty(),
  close: () => front?.close(),
});
