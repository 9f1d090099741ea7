import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { sayReport, simulate } from '../../simulation/worlds/simulate.js';
import { simulatedDatabases } from './databases.js';

const FIRST = 1;
const WORLDS = 50;
/** Seeds that broke a promise once. They are lived through for ever. */
const KEPT = JSON.parse(readFileSync(new URL('seeds.json', import.meta.url), 'utf8')) as number[];

const databases = simulatedDatabases();

it(`keeps every promise in ${WORLDS} random worlds, and in every world that broke one once`, async () => {
  const seeds = new Set([...Array.from({ length: WORLDS }, (_, index) => FIRST + index), ...KEPT]);
  const report = await simulate(databases, [...seeds]);
  expect(report.failed, sayReport(report)).toEqual([]);
  expect(report.worlds).toBe(seeds.size);
  // A simulation in which nothing happens proves nothing.
  expect(report.orders).toBeGreaterThan(WORLDS * 5);
  expect(report.kills).toBeGreaterThan(0);
}, 900_000);
