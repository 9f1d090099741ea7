import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Ga4Receiver } from '../../sandbox/receivers/ga4.js';
import { SegmentReceiver } from '../../sandbox/receivers/segment.js';
import { WebhookReceiver } from '../../sandbox/receivers/webhook.js';
import { Database } from '../../src/kernel/database.js';
import { EmbeddedPostgres } from '../../src/kernel/embedded-postgres.js';
import { silentLogger } from '../../src/kernel/log.js';
import { SeededRandom } from '../../src/kernel/random.js';
import { Senders, SECRET, SHOP, type Sent } from './senders.js';
import { verdict, type CrashReport } from './verdict.js';

const HOOK_SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const READY_WITHIN_MS = 60_000;
// A claim whose process died is free again when its lease (40 s) has run out; then it has to be delivered.
const DRAIN_WITHIN_MS = 180_000;

export interface CrashOptions {
  /** How often the service is killed, and how often PostgreSQL is. */
  rounds: { service: number; postgres: number };
  seed: number;
  /** The built `src/main.js`. */
  serviceMain: string;
  /** An empty directory; the caller removes it. */
  workDir: string;
  say: (line: string) => void;
}

/**
 * Kills the service and its database again and again under load, and then holds what was answered against what arrived.
 *
 * The load is Shopify's: every webhook is repeated with the same id until it is answered 200, some are sent twice, and
 * some facts come by a second webhook. Everything is real: the built service as a process, PostgreSQL with fsync, HTTP.
 */
export async function crashRun(options: CrashOptions): Promise<CrashReport> {
  const world = await World.open(options);
  try {
    return await world.run();
  } finally {
    await world.close();
  }
}

class World {
  readonly ga4 = new Ga4Receiver();
  readonly segment = new SegmentReceiver();
  readonly hook = new WebhookReceiver(HOOK_SECRET);
  private readonly random: SeededRandom;
  private service: ChildProcess | null = null;
  private senders: Senders | null = null;
  private restarts = 0;
  private said = '';

  private constructor(
    private readonly options: CrashOptions,
    private readonly postgres: EmbeddedPostgres,
    private readonly port: number,
    private readonly database: Database,
    private readonly warehouse: Database,
  ) {
    this.random = new SeededRandom(options.seed);
    postgres.on('restart', () => (this.restarts += 1));
  }

  static async open(options: CrashOptions): Promise<World> {
    const postgres = await EmbeddedPostgres.start({ dataDir: join(options.workDir, 'database'), log: silentLogger });
    await postgres.ensureDatabase('plumbline');
    await postgres.ensureDatabase('warehouse');
    const database = new Database({ url: postgres.url('plumbline'), log: silentLogger, poolSize: 2 });
    const warehouse = new Database({ url: postgres.url('warehouse'), log: silentLogger, poolSize: 2 });
    const world = new World(options, postgres, await freePort(), database, warehouse);
    await mkdir(join(options.workDir, 'service'), { recursive: true });
    const urls = await Promise.all([world.ga4.start(), world.segment.start(), world.hook.start()]);
    await writeFile(join(options.workDir, 'plumbline.yaml'), configuration(urls, postgres.url('warehouse')));
    return world;
  }

  async run(): Promise<CrashReport> {
    await this.startService();
    const senders = new Senders(`http://127.0.0.1:${this.port}`, new SeededRandom(this.options.seed + 1));
    this.senders = senders;
    senders.start(8);
    const rounds = shuffle(this.options.rounds, this.random);
    for (const [index, target] of rounds.entries()) {
      await pause(this.random.integer(150, 900));
      await (target === 'service' ? this.killService() : this.killPostgres());
      this.options.say(`round ${index + 1} of ${rounds.length}: killed ${target}; ${senders.answered.length} answered`);
    }
    await pause(500);
    if (this.service) this.mustRun(this.service);
    await senders.stop();
    await this.untilDrained();
    return verdict({
      sent: senders.answered,
      repeatsSent: senders.repeatsSent,
      database: this.database,
      warehouse: this.warehouse,
      ga4: this.ga4,
      segment: this.segment,
      hook: this.hook,
      kills: this.options.rounds,
    });
  }

  async close(): Promise<void> {
    await this.senders?.stop();
    if (this.service?.exitCode === null) {
      const ended = once(this.service, 'exit');
      this.service.kill('SIGKILL');
      await ended;
    }
    await Promise.allSettled([this.database.end(), this.warehouse.end()]);
    await Promise.all([this.ga4.stop(), this.segment.stop(), this.hook.stop()]);
    await this.postgres.stop();
  }

  private async startService(): Promise<void> {
    const { workDir, serviceMain } = this.options;
    const service = spawn(process.execPath, [serviceMain], {
      cwd: workDir,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        PORT: String(this.port),
        PLUMBLINE_METRICS_PORT: '0',
        PLUMBLINE_DATA_DIR: join(workDir, 'service'),
        PLUMBLINE_CONFIG: join(workDir, 'plumbline.yaml'),
        PLUMBLINE_SANDBOX: 'off',
        DATABASE_URL: this.postgres.url('plumbline'),
        LOG_LEVEL: 'fatal',
      },
    });
    this.said = '';
    service.stderr?.on('data', (chunk: Buffer) => (this.said = `${this.said}${chunk.toString()}`.slice(-4_000)));
    this.service = service;
    const deadlineMs = performance.now() + READY_WITHIN_MS;
    while (!(await this.isReady())) {
      this.mustRun(service);
      if (performance.now() > deadlineMs) throw new Error(`the service is not ready: ${this.said}`);
      await pause(25);
    }
  }

  private async isReady(): Promise<boolean> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}/readyz`, { signal: AbortSignal.timeout(2_000) });
      await response.arrayBuffer();
      return response.status === 200;
    } catch {
      return false;
    }
  }

  private async killService(): Promise<void> {
    const service = this.service;
    if (!service) throw new Error('no service to kill');
    this.mustRun(service);
    const ended = once(service, 'exit');
    service.kill('SIGKILL');
    await ended;
    await this.startService();
  }

  private async killPostgres(): Promise<void> {
    const before = this.restarts;
    process.kill(this.postgres.pid, 'SIGKILL');
    while (this.restarts === before) await pause(20);
  }

  /** A service that ends because its database went away has failed, whatever comes after. */
  private mustRun(service: ChildProcess): void {
    if (service.exitCode === null && service.signalCode === null) return;
    throw new Error(`the service ended by itself (${service.exitCode ?? service.signalCode}): ${this.said}`);
  }

  /** Everything answered has been routed and has left the queue, and the journal is empty. */
  private async untilDrained(): Promise<void> {
    const deadlineMs = performance.now() + DRAIN_WITHIN_MS;
    for (;;) {
      const left = await this.left();
      if (left === '') return;
      if (performance.now() > deadlineMs) throw new Error(`not drained within ${DRAIN_WITHIN_MS / 1000} s: ${left}`);
      await pause(200);
    }
  }

  private async left(): Promise<string> {
    const journal = (await readdir(join(this.options.workDir, 'service', 'journal'))).filter((name) =>
      name.endsWith('.sealed'),
    );
    const [row] = await this.database.rows<{ unread: string; queued: string }>(
      `select (select count(*) from pipeline.inbox_stream s join pipeline.inbox_segment g
                 on g.stream_id = s.id and g.day >= s.cursor_day and g.seq > s.cursor_seq
                where s.closed_at is null) as unread,
              (select count(*) from pipeline.delivery) as queued`,
    );
    const parts = [
      journal.length > 0 ? `${journal.length} journal files` : '',
      row?.unread !== '0' ? `${row?.unread} segments unread` : '',
      row?.queued !== '0' ? `${row?.queued} deliveries` : '',
    ];
    return parts.filter((part) => part !== '').join(', ');
  }
}

function shuffle(rounds: CrashOptions['rounds'], random: SeededRandom): ('service' | 'postgres')[] {
  const left = { ...rounds };
  const order: ('service' | 'postgres')[] = [];
  while (left.service + left.postgres > 0) {
    const target = random.next() * (left.service + left.postgres) < left.service ? 'service' : 'postgres';
    left[target] -= 1;
    order.push(target);
  }
  return order;
}

function configuration([ga4, segment, hook]: readonly [string, string, string], warehouse: string): string {
  return `shopify:
  clientSecrets: ["${SECRET}"]
shops:
  - domain: ${SHOP}
    destinations: [ga4, segment, lake, hook]
destinations:
  - {name: ga4, kind: ga4, measurementId: G-1, apiSecret: s, endpoint: "${ga4}"}
  - {name: segment, kind: segment, writeKey: k, endpoint: "${segment}"}
  - {name: lake, kind: postgres, url: "${warehouse}"}
  - {name: hook, kind: webhook, url: "${hook}/in", secret: ${HOOK_SECRET}}
security:
  allowPrivateAddresses: ["127.0.0.0/8"]
`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export type { CrashReport, Sent };
