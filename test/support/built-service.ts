import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import { until } from './until.js';

const MAIN = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** The service as a user starts it: the build, as a process of its own, with an environment of its own. */
export class BuiltService {
  stdout = '';
  stderr = '';
  readonly exit: Promise<Exit>;

  private constructor(
    readonly child: ChildProcess,
    readonly port: number,
    readonly dataDir: string,
  ) {
    child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.exit = once(child, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
    }));
  }

  /** @param files written into its directory before it starts, by name */
  static async start(env: Record<string, string> = {}, files: Record<string, string> = {}): Promise<BuiltService> {
    if (!existsSync(MAIN)) throw new Error('the service is not built; `npm test` does it, or `npm run build`');
    const dataDir = env['PLUMBLINE_DATA_DIR'] ?? (await mkdtemp(join(inject('runDir'), 'service-')));
    for (const [name, content] of Object.entries(files)) await writeFile(join(dataDir, name), content);
    const port = await freePort();
    const child = spawn(process.execPath, [MAIN], {
      cwd: dataDir,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        PORT: String(port),
        PLUMBLINE_METRICS_PORT: '0',
        PLUMBLINE_DATA_DIR: dataDir,
        PLUMBLINE_SANDBOX: 'off',
        LOG_LEVEL: 'info',
        ...env,
      },
    });
    return new BuiltService(child, port, dataDir);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves when it has said that it is ready; fails with what it said instead. */
  async untilReady(timeoutMs = 60_000): Promise<this> {
    await until(
      () => {
        if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}: ${this.stderr}`);
        return this.stdout.includes('Plumbline is ready');
      },
      { timeoutMs, everyMs: 50, what: 'the service is ready' },
    );
    return this;
  }

  async stop(): Promise<Exit> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGTERM');
    return this.exit;
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
