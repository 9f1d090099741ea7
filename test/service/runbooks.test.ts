import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../src/console/cli/program.js';
import { BuiltService } from '../support/built-service.js';
import { commandsOf, quotedCommands } from '../support/quoted-commands.js';
import { until } from '../support/until.js';

const CLI = fileURLToPath(new URL('../../dist/src/console/cli/main.js', import.meta.url));
/** What a placeholder stands for when the running world has none of it: the answer is then "no", which is one. */
const NONE = '123456789012';

interface Ran {
  exitCode: number | null;
  said: string;
}

let service: BuiltService;
let token: string;
const world: Record<string, string> = {};

beforeAll(async () => {
  service = await (await BuiltService.start({ PLUMBLINE_SANDBOX: 'on' })).untilReady();
  token = (await readFile(join(service.dataDir, 'admin-token'), 'utf8')).trim();
  const control = /Sandbox\s+(http:\S+)/.exec(service.stdout)?.[1] ?? '';
  world['SHOP'] = (await first('/shops'))?.['domain'] ?? '';
  world['NAME'] = (await first('/destinations'))?.['name'] ?? '';
  const sold = await fetch(`${control}/control/order`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ store: world['SHOP'] }),
  });
  const { id, orderId = id } = (await sold.json()) as { id?: unknown; orderId?: unknown };
  world['ORDER'] = String(orderId);
  await until(async () => (await ask(`/orders/${world['SHOP']}/${world['ORDER']}`)).status === 200, {
    timeoutMs: 15_000,
    everyMs: 100,
    what: 'the order is in the ledger',
  });
}, 60_000);
afterAll(() => service?.stop());

function ask(path: string): Promise<Response> {
  return fetch(`${service.url}/api/v1${path}`, { headers: { authorization: `Bearer ${token}` } });
}

async function first(path: string): Promise<Record<string, string> | undefined> {
  return ((await (await ask(path)).json()) as { items: Record<string, string>[] }).items[0];
}

/** With its placeholders filled from the running world; nobody waits for minutes in a test. */
async function filled(text: string): Promise<string> {
  const ids: [RegExp, string][] = [
    [/dead-letters/, '/dead-letters?state=all'],
    [/reconciliation /, '/reconciliations'],
    [/notices/, '/notices'],
    [/ alert /, '/alerts'],
    [/ incident /, '/incidents?state=all'],
  ];
  const list = ids.find(([command]) => command.test(text))?.[1];
  const id = (list === undefined ? undefined : (await first(list))?.['id']) ?? NONE;
  return text
    .replaceAll(/\b(SHOP|NAME|ORDER)\b/g, (placeholder) => world[placeholder] ?? NONE)
    .replaceAll(/\bID\b/g, /\border /.test(text) ? (world['ORDER'] ?? NONE) : id)
    .replaceAll(/--wait \d+/g, '--wait 1')
    .replaceAll(/https?:\/\/(127\.0\.0\.1:8080|hooks\.example\.com)/g, service.url);
}

async function inShell(program: string, args: readonly string[]): Promise<Ran> {
  const child = spawn(program, args, {
    cwd: service.dataDir,
    env: { PATH: process.env['PATH'], PLUMBLINE_URL: service.url, PLUMBLINE_DATA_DIR: service.dataDir },
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, said };
}

async function type(line: string): Promise<Ran> {
  const words = line.split(' ');
  if (words[0] === 'curl') return inShell('curl', ['--max-time', '10', ...words.slice(1)]);
  const args = words.slice(2);
  let said = '';
  const exitCode = await runCli(args, {
    env: { PLUMBLINE_URL: service.url, PLUMBLINE_TOKEN: token, ACME_TOKEN: 'shpat_of_a_runbook' },
    cwd: service.dataDir,
    width: 120,
    out: (text) => (said += text),
    error: (text) => (said += text),
    // What it says is another process's: only that it can be asked is checked here, and how, by `the program itself`.
    checkConfig: () => Promise.resolve(0),
  });
  return { exitCode, said };
}

/** What was typed is understood when it is answered, with yes or with no. */
function expectUnderstood({ exitCode, said }: Ran, what: string): void {
  expect(said, what).not.toMatch(/^error: |unknown (command|option)|Usage: plumbline|missing required argument/m);
  expect([0, 1], `${what}\n${said}`).toContain(exitCode);
}

describe('the commands that the runbooks quote', () => {
  it('are found wherever a page quotes them', () => {
    const text =
      '---\ncommands:\n  - npx plumbline a\n---\n```\nnpx plumbline b\n```\n1. x\n\n   ```\n   npx plumbline c\n   ```\n' +
      'and `npx plumbline\nd`, `npx plumbline` alone, `curl -s http://127.0.0.1:8080/livez`';
    expect(commandsOf('page', text).map((command) => command.text.replace('npx plumbline ', ''))).toEqual([
      'a',
      'b',
      'c',
      'd',
      'curl -s http://127.0.0.1:8080/livez',
    ]);
    expect(quotedCommands().length).toBeGreaterThan(40);
  });

  it('are all understood by a running service', async () => {
    for (const { page, text } of quotedCommands()) {
      const line = await filled(text);
      expect(line, page).not.toMatch(/\b(SHOP|NAME|ORDER|ID)\b/);
      expectUnderstood(await type(line), `${page}: ${line}`);
    }
  }, 60_000);

  it('are understood by the program itself, which is what people type', async () => {
    expectUnderstood(await inShell(process.execPath, [CLI, 'config', 'check']), 'config check');
  }, 60_000);
});

it('serves a page to somebody without a token, also from a build', async () => {
  const answer = await fetch(`${service.url}/runbooks/order-missing`);
  expect(answer.status).toBe(200);
  expect(await answer.text()).toContain('<h1>Orders are missing at a destination</h1>');
});
