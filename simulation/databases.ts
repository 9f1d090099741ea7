import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clientConfig, Database, QuietClient } from '../src/kernel/database.js';
import { EmbeddedPostgres } from '../src/kernel/embedded-postgres.js';
import { silentLogger } from '../src/kernel/log.js';
import { migrate } from '../src/kernel/migrate.js';

const TEMPLATE = 'plumbline_template';
const MEMORY_DISK = '/dev/shm';
const ROOM_BYTES = 4 * 1024 ** 3;
/** Keeps what lies in memory far below that room. */
const WAL_MAX = '512MB';
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/** A PostgreSQL server that copies a migrated template for whoever asks. */
export class Databases {
  private readonly admin: Database;
  private made = 0;

  /**
   * @param urlOf the URL of a database of the server
   * @param prefix names the databases made here
   */
  constructor(
    private readonly urlOf: (name: string) => string,
    private readonly prefix: string,
    private readonly template = TEMPLATE,
  ) {
    this.admin = new Database({ url: urlOf('postgres'), log: silentLogger, poolSize: 4 });
  }

  /** @returns the URL of an empty database with Plumbline's schema, and of one with none */
  async pair(): Promise<{ own: string; warehouse: string; drop: () => Promise<void> }> {
    const own = `${this.prefix}_${++this.made}`;
    const warehouse = `${own}_lake`;
    await this.admin.query(`create database ${own} template ${this.template}`);
    await this.admin.query(`create database ${warehouse}`);
    const drop = async (): Promise<void> => {
      for (const name of [own, warehouse]) await this.drop(name);
    };
    return { own: this.urlOf(own), warehouse: this.urlOf(warehouse), drop };
  }

  /** It waits for a checkpoint, which takes a busy disk longer than a statement may take. */
  private async drop(name: string): Promise<void> {
    const patient = { statement_timeout: 0, query_timeout: 0 };
    const client = new QuietClient({ ...clientConfig(this.urlOf('postgres'), 'plumbline-simulation'), ...patient });
    await client.connect();
    try {
      await client.query(`drop database if exists ${name} with (force)`);
    } finally {
      await client.end();
    }
  }

  async end(): Promise<void> {
    await this.admin.end();
  }
}

/**
 * A server of its own for one run, gone without a trace after it. It is as durable as any, because Plumbline takes no
 * webhook in over one that is not; but what is thrown away need not wait for a disk, so it lies in memory where there is room.
 */
export async function withOwnServer<Result>(work: (databases: Databases) => Promise<Result>): Promise<Result> {
  const dataDir = await mkdtemp(join(await roomyDirectory(), 'plumbline-simulation-'));
  const server = await EmbeddedPostgres.start({ dataDir, log: silentLogger, settings: { max_wal_size: WAL_MAX } });
  const clear = async (): Promise<void> => {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  // The server outlives whoever started it, unless it is told.
  const interrupted = (signal: NodeJS.Signals): void => {
    void clear().finally(() => process.kill(process.pid, signal));
  };
  for (const signal of SIGNALS) process.once(signal, interrupted);
  try {
    await server.ensureDatabase(TEMPLATE);
    await migrate(server.url(TEMPLATE), silentLogger);
    const databases = new Databases((name) => server.url(name), 'simulation');
    try {
      return await work(databases);
    } finally {
      await databases.end();
    }
  } finally {
    for (const signal of SIGNALS) process.off(signal, interrupted);
    await clear();
  }
}

async function roomyDirectory(): Promise<string> {
  const memory = await statfs(MEMORY_DISK).catch(() => null);
  return memory !== null && memory.bavail * memory.bsize >= ROOM_BYTES ? MEMORY_DISK : tmpdir();
}
