import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { readOptions } from '../../sandbox/options.js';

const SCRIPT = fileURLToPath(new URL('../../sandbox/main.ts', import.meta.url));
const HOOKS = new URL('../support/typescript-hooks.mjs', import.meta.url).href;
const LOOPBACK = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) as string;
let child: ChildProcess | null = null;

afterEach(() => {
  child?.kill('SIGKILL');
  child = null;
});

function start(...args: string[]): ChildProcess {
  child = spawn(process.execPath, ['--import', HOOKS, SCRIPT, '--port', '0', ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, SANDBOX_ACCESS_TOKEN: 'from-the-environment' },
  });
  return child;
}

async function firstLine(from: ChildProcess): Promise<Record<string, unknown>> {
  if (from.stdout === null) throw new Error('no output');
  const [line] = (await once(createInterface({ input: from.stdout }), 'line')) as [string];
  return JSON.parse(line) as Record<string, unknown>;
}

describe('the process', () => {
  it('says in one line where everything is, and sells only when told to', async () => {
    const ready = await firstLine(start('--stores', '2'));
    expect(ready).toMatchObject({
      ready: true,
      stores: [
        { domain: 'sandbox-harbour-coffee.myshopify.com', accessToken: 'from-the-environment' },
        { domain: 'sandbox-alpen-textil.myshopify.com' },
      ],
      destinations: {
        ga4: { url: LOOPBACK, propertyId: expect.stringMatching(/^\d+$/) as string, settlingHours: 2 / 60 },
        segment: { url: LOOPBACK, publicToken: expect.any(String) as string, settlingMinutes: 1 },
        webhook: { secret: expect.stringMatching(/^whsec_/) as string },
      },
    });
    const state = (await (await fetch(`${String(ready.controlUrl)}/control/state`)).json()) as object;
    expect(state).toMatchObject({ isSelling: false, sold: 0 });
  });

  it('ends on SIGTERM', async () => {
    const running = start();
    await firstLine(running);
    running.kill('SIGTERM');
    expect(await once(running, 'exit')).toEqual([0, null]);
  });

  it('ends when whoever started it goes away', async () => {
    const running = start();
    await firstLine(running);
    running.stdin?.destroy();
    expect(await once(running, 'exit')).toEqual([0, null]);
  });

  it('names every fault of its options at once and exits 78', async () => {
    const running = start('--rate', 'fast', '--stores', '0');
    let said = '';
    running.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    expect(await once(running, 'exit')).toEqual([78, null]);
    expect(said).toContain('--rate must be');
    expect(said).toContain('--stores must be');
  });
});

describe('an option', () => {
  it('of the command line goes before the environment, and that before the default', () => {
    const environment = { SANDBOX_SEED: '5', SANDBOX_TIME_SCALE: '60' };
    expect(readOptions(['--seed', '9'], environment)).toMatchObject({ seed: 9, timeScale: 60, rate: 2, stores: 3 });
  });
});
