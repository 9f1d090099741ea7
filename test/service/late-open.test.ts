import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { Service } from '../../src/app.module.js';
import { loadConfig } from '../../src/kernel/config.js';
import { PlumblineError } from '../../src/kernel/errors.js';
import { silentLogger } from '../../src/kernel/log.js';
import { FILE_SECTIONS } from '../../src/config-sections.js';
import { freePort } from '../support/built-service.js';
import { PgProxy } from '../../simulation/pg-proxy.js';
import { testDatabase } from '../support/test-database.js';

it('ends, saying why, when a database that was away at the start turns out to be unfit', async () => {
  const { database, url } = await testDatabase();
  const [{ name } = { name: '' }] = await database.rows<{ name: string }>('select current_database() as name');
  await database.query(`alter database ${name} set synchronous_commit = off`);
  const proxy = await PgProxy.to(url);
  proxy.refuse();
  const { config } = loadConfig(
    {
      DATABASE_URL: proxy.url,
      PORT: String(await freePort()),
      PLUMBLINE_METRICS_PORT: '0',
      PLUMBLINE_DATA_DIR: await mkdtemp(join(inject('runDir'), 'late-')),
      PLUMBLINE_SANDBOX: 'off',
    },
    { sections: FILE_SECTIONS },
  );
  if (!config) throw new Error('the configuration has faults');
  const failures: unknown[] = [];
  let tell: () => void = () => undefined;
  const failed = new Promise<void>((resolve) => (tell = resolve));
  const service = await Service.start(config, silentLogger, (error) => {
    failures.push(error);
    tell();
  });
  try {
    expect(failures).toEqual([]); // intake works from its journal meanwhile
    proxy.pass();
    await failed;
    expect(failures).toMatchObject([{ code: 'DATABASE_NOT_DURABLE' }]);
    expect(failures[0]).toBeInstanceOf(PlumblineError);
  } finally {
    await service.stop();
    await proxy.close();
  }
}, 60_000);
