import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Logger } from './kernel/log.js';

/** What the sandbox says of itself in its first line. */
const readySchema = z.object({
  ready: z.literal(true),
  controlUrl: z.string(),
  stores: z.array(z.object({ domain: z.string(), adminUrl: z.string(), accessToken: z.string() })),
  destinations: z.object({
    ga4: z.object({
      url: z.string(),
      propertyId: z.string(),
      serviceAccount: z.string(),
      settlingHours: z.number(),
    }),
    segment: z.object({
      url: z.string(),
      publicToken: z.string(),
      sourceId: z.string(),
      settlingMinutes: z.number(),
    }),
    webhook: z.object({ url: z.string(), secret: z.string() }),
  }),
  pager: z.object({
    host: z.string(),
    routingKeys: z.object({ removed: z.string(), orders: z.string(), routine: z.string() }),
    token: z.string(),
    webhookSecrets: z.array(z.string()),
    escalationPolicy: z.string(),
    ca: z.string(),
  }),
  mail: z.object({ url: z.string() }),
  heartbeatUrl: z.string(),
});
type SandboxWorld = z.output<typeof readySchema>;

export interface SandboxOptions {
  /** Where the service takes webhooks. */
  serviceUrl: string;
  /** What the pretended Shopify signs with. */
  clientSecret: string;
  accessToken: string;
  /** Where it hands in the mails that Shopify would send; the address is a secret. */
  mailTo: string;
  port: number;
  log: Logger;
}

const READY_WITHIN_MS = 15_000;
const STOP_WITHIN_MS = 2_000;

/**
 * The sandbox as a child process. It speaks HTTP only and shares nothing with the service but addresses; it ends with
 * the service, whichever way that ends.
 */
export class SandboxProcess {
  private constructor(
    readonly world: SandboxWorld,
    private readonly child: ChildProcess,
  ) {}

  /** @throws Error when it does not come up within 15 s */
  static async start(options: SandboxOptions): Promise<SandboxProcess> {
    const script = fileURLToPath(new URL('../sandbox/main.js', import.meta.url));
    const child = spawn(process.execPath, [script, '--port', String(options.port), '--service', options.serviceUrl], {
      stdio: ['pipe', 'pipe', 'inherit'],
      // Its secrets go by environment, because a command line is readable for every user of the machine; of the
      // service's own environment it gets nothing but what was meant for it.
      env: {
        ...Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(PATH|TZ|SANDBOX_\w+)$/.test(name))),
        SANDBOX_SECRET: options.clientSecret,
        SANDBOX_ACCESS_TOKEN: options.accessToken,
        SANDBOX_MAIL_TO: options.mailTo,
      },
    });
    child.on('exit', (code, signal) => options.log.info({ code, signal }, 'sandbox ended'));
    try {
      return new SandboxProcess(await firstLine(child), child);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  get running(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Whom the sandbox's world tells: its own pager, mail server and check. */
  channels(publicUrl: string) {
    const { pager, mail, heartbeatUrl } = this.world;
    return {
      alerting: {
        publicUrl,
        pagerduty: {
          routingKeys: pager.routingKeys,
          eventsHost: pager.host,
          restHost: pager.host,
          token: pager.token,
          webhookSecrets: pager.webhookSecrets,
          escalationPolicies: [pager.escalationPolicy],
        },
        secondChannel: {
          kind: 'email' as const,
          url: mail.url,
          from: 'plumbline@sandbox.example',
          to: ['on-call@sandbox.example'],
        },
        heartbeatUrl,
        tickets: 'pagerduty' as const,
      },
      pagerCa: pager.ca,
    };
  }

  /** Tells each store where its webhooks go, and lets them sell. @param keys callback key by store domain */
  async startSelling(keys: Readonly<Record<string, string>>): Promise<void> {
    const response = await fetch(new URL('/control/start', this.world.controlUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ callbacks: keys }),
      signal: AbortSignal.timeout(5_000),
    });
    if (!response.ok) throw new Error(`the sandbox refused to start: HTTP ${response.status}`);
    await response.body?.cancel();
  }

  async stop(): Promise<void> {
    if (!this.running) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_WITHIN_MS);
    await ended;
    clearTimeout(timer);
  }
}

async function firstLine(child: ChildProcess): Promise<SandboxWorld> {
  if (!child.stdout) throw new Error('the sandbox has no output');
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([
    once(lines, 'line').then(([text]) => String(text)),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the sandbox ended with ${String(code)}`))),
    new Promise<never>((_resolve, reject) => {
      setTimeout(
        () => reject(new Error(`the sandbox is not ready after ${READY_WITHIN_MS} ms`)),
        READY_WITHIN_MS,
      ).unref();
    }),
  ]);
  return readySchema.parse(JSON.parse(line));
}
