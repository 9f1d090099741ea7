import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { postgresEnvironment } from '../../src/kernel/postgres-cluster.js';
import { SETTINGS } from '../../src/kernel/postgres-settings.js';

interface Compose {
  services: { postgres: { command: string[]; environment: Record<string, string> } };
}

const compose = parse(readFileSync('docker-compose.yml', 'utf8')) as Compose;

describe("docker-compose.yml's PostgreSQL", () => {
  it.each(['fsync', 'synchronous_commit', 'full_page_writes', 'min_wal_size', 'log_error_verbosity'])(
    'has the same %s as the embedded one',
    (name) => {
      expect(compose.services.postgres.command).toContain(`${name}=${SETTINGS[name]}`);
    },
  );

  it('keeps as much memory for the next segment as the embedded one', () => {
    const { GLIBC_TUNABLES } = postgresEnvironment();
    expect(GLIBC_TUNABLES).toMatch(/^glibc\.malloc\./);
    expect(compose.services.postgres.environment['GLIBC_TUNABLES']).toBe(GLIBC_TUNABLES);
  });
});
