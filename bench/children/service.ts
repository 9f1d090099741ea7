import type { AddressInfo } from 'node:net';
import { fastify, type FastifyInstance } from 'fastify';
import { EmbeddedPostgres } from '../../src/kernel/embedded-postgres.js';
import { silentLogger } from '../../src/kernel/log.js';
import { migrate } from '../../src/kernel/migrate.js';
import { destinationSchema, shopSchema } from '../../src/pipeline/config.js';
import { intakeServerFactory } from '../../src/pipeline/intake/server-factory.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { SHOPS } from '../orders.js';
import { answer } from '../rpc.js';
import { pipelineOptions } from './product.js';

/** A destination of every shop: a kind and the sink's port it calls. */
export interface Target {
  name: string;
  kind: 'webhook' | 'segment';
  port: number;
  /** A disabled one parks what is routed to it. Default true. */
  enabled?: boolean;
}

export type ServiceApi = {
  /** @param databaseUrl `null` = the embedded server in `dataDir` */
  open: {
    takes: { databaseUrl: string | null; dataDir: string; intake: boolean; targets: readonly Target[] };
    gives: { port: number };
  };
  /** Webhooks that the router has not read yet. */
  unread: { takes: null; gives: number };
  close: { takes: null; gives: void };
};

const DATABASE = 'plumbline';

function declarationOf({ name, kind, port, enabled = true }: Target) {
  const address = `http://127.0.0.1:${port}`;
  return destinationSchema.parse(
    kind === 'segment'
      ? { name, kind, enabled, writeKey: 'bench', endpoint: address }
      : { name, kind, enabled, url: `${address}/hook`, secret: `whsec_${Buffer.alloc(24, 7).toString('base64')}` },
  );
}

let embedded: EmbeddedPostgres | null = null;
let pipeline: Pipeline | null = null;
let app: FastifyInstance | null = null;

answer<ServiceApi>({
  async open({ databaseUrl, dataDir, intake, targets }) {
    let url = databaseUrl;
    if (url === null) {
      embedded = await EmbeddedPostgres.start({ dataDir, log: silentLogger });
      await embedded.ensureDatabase(DATABASE);
      url = embedded.url(DATABASE);
      await migrate(url, silentLogger);
    }
    const opened = await Pipeline.openIntake(
      pipelineOptions({ databaseUrl: url, dataDir, roles: { intake, worker: true } }),
    );
    pipeline = opened;
    app = fastify({ serverFactory: intakeServerFactory(opened.intake) });
    await app.listen({ host: '127.0.0.1', port: 0 });
    await opened.openRest((registry) =>
      registry.applyDeclared(
        {
          destinations: targets.map(declarationOf),
          shops: SHOPS.map((domain) => shopSchema.parse({ domain, destinations: targets.map(({ name }) => name) })),
        },
        'real',
      ),
    );
    return { port: (app.server.address() as AddressInfo).port };
  },
  async unread() {
    return pipeline ? (await pipeline.reader.backlog(pipeline.database)).entries : 0;
  },
  async close() {
    await pipeline?.stop();
    await app?.close();
    await embedded?.stop();
    [pipeline, app, embedded] = [null, null, null];
  },
});
