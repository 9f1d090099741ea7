import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A wire between the adapter and PostgreSQL that can be cut, stopped up, or cut the moment a load or a read has been answered. */
export class FaultyProxy {
  mode: 'ok' | 'hang' | 'cut-before' | 'apply-then-cut' = 'ok';
  private server: Server | null = null;
  private readonly sockets = new Set<Socket>();
  private port = 0;

  constructor(private readonly target: string) {}

  async start(): Promise<number> {
    const server = createServer((socket) => this.join(socket));
    await new Promise<void>((resolve) => server.listen(this.port, '127.0.0.1', resolve));
    this.server = server;
    this.port = (server.address() as AddressInfo).port;
    return this.port;
  }

  async stop(): Promise<void> {
    const { server } = this;
    this.server = null;
    for (const socket of this.sockets) socket.destroy();
    if (server !== null) await new Promise((resolve) => server.close(resolve));
  }

  async acceptAgain(): Promise<void> {
    if (this.server === null) await this.start();
  }

  private join(near: Socket): void {
    const far = connect(this.target);
    let loading = false;
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (chunk) => {
      if (this.mode === 'hang') return;
      loading ||= chunk.includes('insert into') || chunk.includes('as wanted (subject_id');
      if (this.mode === 'cut-before' && loading) near.destroy();
      else far.write(chunk);
    });
    far.on('data', (chunk) => {
      if (this.mode === 'apply-then-cut' && loading) near.destroy();
      else if (this.mode !== 'hang') near.write(chunk);
    });
  }
}
