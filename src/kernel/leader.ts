import pg from 'pg';
import type { Clock } from './clock.js';
import { QuietClient, clientConfig } from './database.js';
import { messageOf } from './errors.js';
import type { Logger } from './log.js';
import { Loop, type LoopHealth } from './loop.js';

// First key of the advisory lock; the second is a hash of the name. The class is ours alone.
const LEADER_LOCK = 0x504c0003;
const CHECK_EVERY_MS = 2_000;

const TRY = `select pg_try_advisory_lock($1, hashtext($2)) as held`;
const STILL = `select 1`;
const SHOW = `
insert into kernel.leader (name, process, since) values ($1, $2, $3)
on conflict (name) do update set process = excluded.process, since = excluded.since`;

/**
 * One leader for a kind of scheduled work, over any number of processes: whoever holds the advisory lock.
 *
 * The lock belongs to a connection that does nothing else. When that ends - our death, a restart of the database, a
 * network that is cut - the server lets it go, and another process takes over within seconds. A leader that was cut
 * off learns it at its next look, so for a moment two may believe in themselves: what they do must be safe to do
 * twice. The lock spares work; it is no proof.
 */
export class Leader {
  private client: pg.Client | null = null;
  private abort = new AbortController();
  private readonly loop: Loop;

  constructor(
    private readonly options: {
      name: string;
      databaseUrl: string;
      processName: string;
      clock: Clock;
      log: Logger;
      /** Told when leadership comes and goes. */
      changed?: (isLeader: boolean) => void;
    },
  ) {
    this.loop = new Loop({
      name: `leader-${options.name}`,
      pauseMs: CHECK_EVERY_MS,
      clock: options.clock,
      log: options.log,
      round: async () => {
        await this.look();
        return 'idle';
      },
    });
  }

  /** Aborted when leadership is lost; a fresh one for each time it is held. */
  get signal(): AbortSignal {
    return this.abort.signal;
  }

  get isLeader(): boolean {
    return this.client !== null;
  }

  start(): this {
    this.loop.start();
    return this;
  }

  health(): LoopHealth {
    return this.loop.health();
  }

  async stop(): Promise<void> {
    await this.loop.stop();
    const { client } = this;
    this.lose();
    await client?.end().catch(() => undefined); // releases the lock
  }

  /** One look. Public so that a test can drive it step by step. */
  async look(): Promise<void> {
    if (this.client) {
      try {
        await this.client.query(STILL);
      } catch (error) {
        this.options.log.warn({ leader: this.options.name, err: messageOf(error) }, 'no longer the leader');
        void this.client?.end().catch(() => undefined);
        this.lose();
      }
      return;
    }
    const { name, databaseUrl, processName, clock } = this.options;
    const client = new QuietClient(clientConfig(databaseUrl, `plumbline-leader-${name}`));
    try {
      await client.connect();
      const { rows } = await client.query<{ held: boolean }>(TRY, [LEADER_LOCK, name]);
      if (rows[0]?.held !== true) {
        await client.end();
        return;
      }
      await client.query(SHOW, [name, processName, clock.now()]);
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    this.abort = new AbortController();
    this.client = client;
    client.on('end', () => {
      if (this.client === client) this.lose();
    });
    this.options.log.info({ leader: name }, 'leads now');
    this.options.changed?.(true);
  }

  private lose(): void {
    if (!this.client) return;
    this.client = null;
    this.abort.abort();
    this.options.changed?.(false);
  }
}
