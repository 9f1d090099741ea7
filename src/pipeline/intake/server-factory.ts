import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { isIntakePath, type Intake } from './intake.js';

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

const SERVER_OPTIONS: ServerOptions = {
  // Shopify reuses connections, and a proxy before us keeps its own for 60 s: ours must outlive them.
  keepAliveTimeout: 65_000,
  headersTimeout: 10_000,
  requestTimeout: 30_000, // intake itself answers within 4 s; this is for the rest of the service
  connectionsCheckingInterval: 1_000, // how precisely the two above are kept
};

/**
 * Fastify's `serverFactory`: a node:http server that answers intake's paths itself and hands everything else on.
 * Fastify's own machinery costs as much as checking the signature (docs/performance.md), so webhooks go below it.
 *
 * @returns what `fastify({ serverFactory })` and Nest's `FastifyAdapter` take
 */
export function intakeServerFactory(intake: Intake): (handler: Handler) => Server {
  return (handler) => {
    const server = createServer(SERVER_OPTIONS, (req, res) => {
      if (isIntakePath(req.url ?? '')) intake.handle(req, res);
      else handler(req, res);
    });
    server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
      if (isIntakePath(req.url ?? '')) return intake.handleExpecting(req, res);
      res.writeContinue();
      handler(req, res);
    });
    return server;
  };
}
