import { createServer, connect, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';

/** A way to PostgreSQL that can be cut, hung and closed: a database in trouble, or a process that is no more. */
export class PgProxy {
  private readonly pairs = new Set<{ near: Socket; far: Socket }>();
  private mode: 'pass' | 'hang' | 'refuse' = 'pass';
  private armed: { left: number; fire: () => void } | null = null;

  private constructor(
    private readonly server: Server,
    /** The database through the proxy. */
    readonly url: string,
  ) {}

  static async to(databaseUrl: string): Promise<PgProxy> {
    const { host, port, user, password, database } = new pg.Client(databaseUrl);
    const target = host.startsWith('/') ? { path: join(host, `.s.PGSQL.${port}`) } : { host, port };
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port');
    const login = encodeURIComponent(user ?? '') + (password ? `:${encodeURIComponent(password)}` : '');
    const proxy = new PgProxy(server, `postgres://${login}@127.0.0.1:${address.port}/${database}`);
    server.on('connection', (near: Socket) => proxy.join(near, connect(target)));
    return proxy;
  }

  /** Lets everything through again; what was held back goes on. */
  pass(): void {
    this.mode = 'pass';
    for (const { near, far } of this.pairs) {
      near.resume();
      far.resume();
    }
  }

  /** Calls `fire` in place of passing on what is sent to the database, when so many pieces of it have passed. */
  arm(pieces: number, fire: () => void): void {
    this.armed = { left: pieces, fire };
  }

  /** Connections stay, but nothing passes in either direction. */
  hang(): void {
    this.mode = 'hang';
    for (const { near, far } of this.pairs) {
      near.pause();
      far.pause();
    }
  }

  /** Hangs the answers only: what is sent arrives and takes effect, and nobody hears of it. */
  hangAnswers(): void {
    for (const { far } of this.pairs) far.pause();
  }

  /** Breaks all connections and refuses new ones. */
  refuse(): void {
    this.mode = 'refuse';
    this.cut();
  }

  /** Breaks all connections; new ones are welcome. */
  cut(): void {
    for (const { near, far } of this.pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private join(near: Socket, far: Socket): void {
    if (this.mode === 'refuse') {
      near.resetAndDestroy();
      far.destroy();
      return;
    }
    const pair = { near, far };
    this.pairs.add(pair);
    near.on('data', (bytes) => {
      if (this.armed !== null && this.armed.left-- <= 0) {
        const { fire } = this.armed;
        this.armed = null;
        fire();
      } else far.write(bytes);
    });
    far.on('data', (bytes) => near.write(bytes));
    for (const socket of [near, far]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
    if (this.mode === 'hang') this.hang();
  }
}
