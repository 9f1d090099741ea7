import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CATALOGUE } from '../../src/alerting/catalogue.js';
import { readRunbook, type Runbook } from '../../src/console/runbooks/shelf.js';
import { RUNBOOKS, commandsOf } from '../support/quoted-commands.js';

const pages = [...Map.groupBy(CATALOGUE, ({ runbook }) => runbook)].map(([name, rules]) => ({ name, rules }));

const read = (name: string): Runbook => readRunbook(name, readFileSync(join(RUNBOOKS, `${name}.md`), 'utf8'));

/** What somebody who was woken looks for, in the order in which it is looked for. */
const CHAPTERS = [
  'What it means for orders',
  'How to see it',
  'What to do',
  'Whom to call',
  'How to know that it is over',
];

describe.each(pages)('the runbook $name', ({ name, rules }) => {
  it('says for which alerts and signal it is, as the catalogue does', () => {
    const { alerts, signal } = read(name);
    expect([...alerts].sort()).toEqual(rules.map((rule) => rule.name).sort());
    expect([...new Set(rules.map(({ kind }) => kind))]).toEqual([signal]);
  });

  it('says what it means for orders, how to see it, what to do, whom to call, and when it is over', () => {
    expect([...read(name).body.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual(CHAPTERS);
  });

  it('names the commands to begin with, and explains each where it tells how to see it', () => {
    const { commands, body } = read(name);
    expect(commands.length).toBeGreaterThan(0);
    const quoted = commandsOf(name, body).map(({ text }) => text);
    expect(commands.filter((command) => !quoted.includes(command))).toEqual([]);
  });
});
