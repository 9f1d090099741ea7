import { Postman, type Answer, type Transport } from '../sandbox/shopify/post.js';

const CONNECT_MS = 1_000; // Shopify's own patience: sandbox/shopify/post.ts

interface Letter {
  uri: string;
  headers: Readonly<Record<string, string>>;
  body: Buffer;
  answer: (answer: Answer) => void;
}

/**
 * Webhooks to Plumbline: collected while the world lives through a stretch of virtual time, then sent over real HTTP with
 * Shopify's real patience, while time stands still. So Plumbline sees each at the end of its stretch: a little late, never
 * early.
 */
export class CollectedPost implements Transport {
  /** Closed: nobody outside gets through to intake, whatever the process behind it does. */
  isDoorOpen = true;
  /** Ids of the webhooks that were answered 2xx: from then on they are Plumbline's to answer for. */
  readonly stored = new Set<string>();
  private readonly postman = new Postman(64);
  private letters: Letter[] = [];

  post(uri: string, headers: Readonly<Record<string, string>>, body: Buffer): Promise<Answer> {
    if (!this.isDoorOpen) {
      return Promise.resolve({ outcome: 'connect-timeout', detail: 'the door is closed', tookMs: CONNECT_MS });
    }
    return new Promise((answer) => this.letters.push({ uri, headers, body, answer }));
  }

  get waiting(): number {
    return this.letters.length;
  }

  /** Sends all that waits, and what follows from the answers at this same instant. @returns how many were sent */
  async flush(): Promise<number> {
    let sent = 0;
    while (this.letters.length > 0) {
      const letters = this.letters.splice(0);
      sent += letters.length;
      await Promise.all(
        letters.map(async ({ uri, headers, body, answer }) => {
          const said = await this.postman.post(uri, headers, body);
          const isStored = said.outcome === 'answered' && said.status >= 200 && said.status < 300;
          if (isStored) this.stored.add(headers['X-Shopify-Webhook-Id'] ?? '');
          answer(said);
        }),
      );
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return sent;
  }

  close(): void {
    this.postman.close();
  }
}
