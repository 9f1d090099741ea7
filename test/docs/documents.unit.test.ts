import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { VARIABLES } from '../../src/kernel/config.js';
import { configurationDocument } from './configuration-document.js';
import { errorsDocument } from './errors-document.js';

const REMEDY = 'run: node scripts/docs.mjs';

it.each([
  ['configuration.md', configurationDocument],
  ['errors.md', errorsDocument],
])('docs/%s is what the code says', (name, generate) => {
  const written = readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
  expect(written === generate() ? 'the same' : REMEDY).toBe('the same');
});

it('names every variable and marks every secret of the table', () => {
  const document = configurationDocument();
  for (const { name, secret } of Object.values(VARIABLES)) {
    expect(document).toMatch(new RegExp(`\\| \`${name}\` .*\\| ${secret ? 'yes' : 'no'} \\|`));
  }
});

it('describes every key of the file', () => {
  const rows = configurationDocument()
    .split('\n')
    .filter((line) => /^\| `[a-z]/.test(line));
  expect(rows.length).toBeGreaterThan(20);
  expect(rows.filter((row) => row.split('|')[4]?.trim() === '')).toEqual([]);
});
