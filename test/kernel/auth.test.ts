import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readAudit } from '../../src/kernel/audit.js';
import { ApiTokens, mayAct } from '../../src/kernel/auth.js';
import { ManualClock } from '../../src/kernel/clock.js';
import { systemIds } from '../../src/kernel/random.js';
import { testDatabase, type TestDatabase } from '../support/test-database.js';

const clock = new ManualClock(Date.UTC(2026, 10, 23, 12));
let db: TestDatabase;
let tokens: ApiTokens;
let directory: string;

beforeAll(async () => {
  db = await testDatabase();
  tokens = new ApiTokens(db.database, clock, systemIds);
});
beforeEach(async () => {
  await db.database.query('truncate kernel.api_token, kernel.audit');
  directory = mkdtempSync(join(tmpdir(), 'plumbline-auth-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

describe('API tokens', () => {
  it('are known by their hash only: the token itself is nowhere in the database', async () => {
    const { token, view } = await tokens.create('grafana', 'viewer', 'kim');
    expect(token).toMatch(/^plb_[\w-]{43}$/);
    expect(await tokens.verify(token)).toEqual({ tokenId: view.id, name: 'grafana', role: 'viewer' });
    const stored = await db.database.rows<{ all: string }>('select t::text as all from kernel.api_token t');
    expect(JSON.stringify(stored)).not.toContain(token.slice(4, 20));
    expect((await readAudit(db.database, { limit: 10 })).items).toMatchObject([
      { actor: 'kim', action: 'token.create', subject: 'grafana', detail: { role: 'viewer' } },
    ]);
  });

  it('end when they are revoked, and an unknown one is nobody', async () => {
    const { token, view } = await tokens.create('grafana', 'viewer', 'kim');
    expect(await tokens.revoke(view.id, 'kim')).toMatchObject({ revokedAt: clock.now() });
    expect(await tokens.verify(token)).toBeNull();
    expect(await tokens.verify('plb_nobody')).toBeNull();
    expect(await tokens.revoke('999999', 'kim')).toBeNull();
  });

  it('note their use once a minute, not once a request', async () => {
    const { token } = await tokens.create('grafana', 'viewer', 'kim');
    const usedAt = async (): Promise<Date | null | undefined> => (await tokens.list())[0]?.lastUsedAt;
    await tokens.verify(token);
    const first = clock.now();
    clock.advance(30_000);
    await tokens.verify(token);
    expect(await usedAt()).toEqual(first);
    clock.advance(31_000);
    await tokens.verify(token);
    expect(await usedAt()).toEqual(clock.now());
  });

  it('rank viewer below responder below admin', () => {
    expect(mayAct('viewer', 'viewer')).toBe(true);
    expect(mayAct('viewer', 'responder')).toBe(false);
    expect(mayAct('responder', 'admin')).toBe(false);
    expect(mayAct('admin', 'responder')).toBe(true);
  });
});

describe('the first token', () => {
  it('is generated once, mode 0600, and stays the same', async () => {
    const path = await tokens.ensureFirst(null, directory);
    expect(path).toBe(join(directory, 'admin-token'));
    expect(statSync(path ?? '').mode & 0o777).toBe(0o600);
    const token = readFileSync(path ?? '', 'utf8').trim();
    expect(await tokens.verify(token)).toMatchObject({ role: 'admin' });
    await tokens.ensureFirst(null, directory);
    expect(readFileSync(path ?? '', 'utf8').trim()).toBe(token);
    expect(await tokens.list()).toHaveLength(1);
  });

  it('is one and the same for processes that start at once', async () => {
    await Promise.all([1, 2, 3].map(() => tokens.ensureFirst(null, directory)));
    expect((await tokens.list()).filter(({ revokedAt }) => revokedAt === null)).toHaveLength(1);
  });

  it('comes from the environment when it is set there, and a changed one ends the one before', async () => {
    expect(await tokens.ensureFirst('a-long-enough-token', directory)).toBeNull();
    expect(await tokens.verify('a-long-enough-token')).toMatchObject({ role: 'admin' });
    await tokens.ensureFirst('another-long-token-x', directory);
    expect(await tokens.verify('another-long-token-x')).toMatchObject({ role: 'admin' });
    expect(await tokens.verify('a-long-enough-token')).toBeNull();
  });

  it('stays revoked after a restart', async () => {
    await tokens.ensureFirst('a-long-enough-token', directory);
    const [first] = await tokens.list();
    await tokens.revoke(first?.id ?? '', 'kim');
    await tokens.ensureFirst('a-long-enough-token', directory);
    expect(await tokens.verify('a-long-enough-token')).toBeNull();
  });

  it('refuses a file that holds none', async () => {
    writeFileSync(join(directory, 'admin-token'), '\n');
    await expect(tokens.ensureFirst(null, directory)).rejects.toMatchObject({ code: 'DATA_DIRECTORY_UNUSABLE' });
  });
});

it('reads the audit log newest first, page by page', async () => {
  for (const name of ['a', 'b', 'c']) await tokens.create(name, 'viewer', 'kim');
  const first = await readAudit(db.database, { limit: 2 });
  expect(first.items.map(({ subject }) => subject)).toEqual(['c', 'b']);
  const second = await readAudit(db.database, { limit: 2, cursor: first.nextCursor ?? '' });
  expect(second).toMatchObject({ items: [{ subject: 'a' }], nextCursor: null });
});
