import { Agent as HttpAgent, request as httpRequest, type ClientRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

/** Shopify's own limits (shopify.dev/docs/apps/build/webhooks, "verify deliveries"; read 2026-09). */
export const SHOPIFY_LIMITS = { connectMs: 1_000, totalMs: 5_000 };

export type Answer =
  | { outcome: 'answered'; status: number; tookMs: number }
  | { outcome: 'connect-timeout' | 'timeout' | 'broken'; detail: string; tookMs: number };

/** How one request travels and what comes back. Never rejects. */
export interface Transport {
  post(uri: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Answer>;
  close(): void;
}

/** Sends webhooks as Shopify does: keep-alive, 1 s to connect, 5 s for all of it, redirects not followed. */
export class Postman implements Transport {
  private readonly http: HttpAgent;
  private readonly https: HttpsAgent;

  constructor(
    socketsMax: number,
    private readonly limits: { connectMs: number; totalMs: number } = SHOPIFY_LIMITS,
  ) {
    const options = {
      keepAlive: true,
      maxSockets: socketsMax,
      maxFreeSockets: socketsMax,
      scheduling: 'lifo' as const,
    };
    this.http = new HttpAgent(options);
    this.https = new HttpsAgent(options);
  }

  async post(uri: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Answer> {
    const answer = await this.once(uri, headers, body);
    // A kept connection that the far side closed while idle says nothing about the webhook: any client tries anew.
    return answer === 'stale' ? this.fresh(uri, headers, body) : answer;
  }

  close(): void {
    this.http.destroy();
    this.https.destroy();
  }

  private async fresh(uri: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Answer> {
    const again = await this.once(uri, { ...headers, Connection: 'close' }, body);
    return again === 'stale' ? { outcome: 'broken', detail: 'connection closed twice', tookMs: 0 } : again;
  }

  private once(uri: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Answer | 'stale'> {
    const startedAt = performance.now();
    const { connectMs, totalMs } = this.limits;
    return new Promise((resolve) => {
      let connectTimer: NodeJS.Timeout | undefined;
      const done = (answer: Answer | 'stale') => {
        clearTimeout(connectTimer);
        clearTimeout(totalTimer);
        resolve(answer);
      };
      const fail = (outcome: 'connect-timeout' | 'timeout' | 'broken', detail: string) => {
        done({ outcome, detail, tookMs: performance.now() - startedAt });
        request?.destroy();
      };
      const totalTimer = setTimeout(() => {
        fail('timeout', `no answer within ${totalMs} ms`);
      }, totalMs);
      let request: ClientRequest | undefined;
      try {
        const options = { method: 'POST', headers: { ...headers, 'Content-Length': String(body.length) } };
        request = uri.startsWith('https:')
          ? httpsRequest(uri, { ...options, agent: this.https })
          : httpRequest(uri, { ...options, agent: this.http });
      } catch (error) {
        fail('broken', error instanceof Error ? error.message : String(error));
        return;
      }
      const sent = request;
      sent.on('socket', (socket) => {
        if (!socket.connecting) return;
        connectTimer = setTimeout(() => {
          fail('connect-timeout', `no connection within ${connectMs} ms`);
        }, connectMs);
        socket.once('connect', () => {
          clearTimeout(connectTimer);
        });
      });
      sent.on('response', (response) => {
        response.on('error', () => {
          fail('broken', 'answer cut');
        });
        response.on('aborted', () => {
          fail('broken', 'answer cut');
        });
        response.on('end', () => {
          done({ outcome: 'answered', status: response.statusCode ?? 0, tookMs: performance.now() - startedAt });
        });
        response.resume();
      });
      sent.on('error', (error: NodeJS.ErrnoException) => {
        const isStale = sent.reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
        if (isStale) done('stale');
        else fail('broken', error.code ?? error.message);
      });
      sent.end(body);
    });
  }
}
