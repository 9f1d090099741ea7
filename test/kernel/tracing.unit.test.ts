import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';

const HOOKS = fileURLToPath(new URL('../support/typescript-hooks.mjs', import.meta.url));
const TRACING = new URL('../../src/kernel/tracing.ts', import.meta.url).href;

let collector: Server;
afterEach(() => collector.close());

/** Runs a program that imports tracing first, then serves a request and asks two. @returns what was exported */
async function traced(endpoint: boolean): Promise<{ said: string; exported: string }> {
  let exported = '';
  collector = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => {
      if (request.url === '/v1/traces') exported += chunk.toString('latin1');
    });
    request.on('end', () => response.end());
  });
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  const program = `
    const { tracing } = await import(${JSON.stringify(TRACING)});
    const http = await import('node:http');
    const server = http.createServer((request, response) => response.end()).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const origin = 'http://127.0.0.1:' + server.address().port;
    await (await fetch(origin + '/served?api_secret=hush-1')).text();
    await (await fetch('${url}/hush-2/collect?api_secret=hush-3')).text();
    server.close();
    await tracing.stop();
    process.stdout.write(String(tracing.on));`;
  const { OTEL_EXPORTER_OTLP_ENDPOINT: _, ...env } = process.env;
  const child = spawn(process.execPath, ['--import', HOOKS, '--input-type=module', '--eval', program], {
    env: endpoint ? { ...env, OTEL_EXPORTER_OTLP_ENDPOINT: url } : env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(child, 'exit');
  return { said, exported };
}

it('exports spans of what is served and asked, when a collector is named', async () => {
  const { said, exported } = await traced(true);
  expect(said).toBe('true');
  expect(exported).toContain('plumbline');
  expect(exported).toContain('instrumentation-http');
  expect(exported).toContain('/served');
  expect(exported).toContain('instrumentation-undici');
  expect(exported).not.toMatch(/process\.command|host\.id/);
});

it('exports no path and no query of an outgoing call: both may hold a secret', async () => {
  const { exported } = await traced(true);
  expect(exported).toContain('instrumentation-undici');
  expect(exported).not.toMatch(/hush-[23]/);
});

it('does nothing without one', async () => {
  expect(await traced(false)).toEqual({ said: 'false', exported: '' });
});
