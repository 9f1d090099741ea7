import { parseArgs } from 'node:util';
import type { Settings } from './scenario.js';

export const USAGE = `usage: npm run bench -- [options]
  --quick            about 1 s and 2 rounds a measurement: shows that everything runs, judges little
  --full             the full sizes: a backlog of 288,000 events, a ledger of 10 million rows
  --only NAME,…      some scenarios only (see --list)
  --rounds N         rounds of every scenario (5)
  --seconds N        length of one measurement (3)
  --ledger-rows N    rows in the grown ledger (2,000,000)
  --dir DIRECTORY    where the private database lies; must be a real disk (the temporary directory)
  --profile DIR      leaves a processor profile of every child process (open them in Chrome's DevTools)
  --list             names the scenarios
`;

export interface Arguments extends Settings {
  only: readonly string[] | null;
  dir: string | null;
  profile: string | null;
  list: boolean;
}

/** @throws TypeError for an option that does not exist or a number that is none */
export function readArguments(argv: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: 'boolean', default: false },
      full: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      'ledger-rows': { type: 'string' },
      dir: { type: 'string' },
      profile: { type: 'string' },
      list: { type: 'boolean', default: false },
    },
  });
  const { quick, full } = values;
  return {
    quick,
    full,
    list: values.list,
    only: values.only?.split(',').map((name) => name.trim()) ?? null,
    dir: values.dir ?? null,
    profile: values.profile ?? null,
    rounds: number('rounds', values.rounds) ?? (quick ? 2 : 5),
    seconds: number('seconds', values.seconds) ?? (quick ? 1 : 3),
    warmUpSeconds: quick ? 0.5 : 1,
    ledgerRows: number('ledger-rows', values['ledger-rows']) ?? (full ? 10_000_000 : quick ? 100_000 : 2_000_000),
  };
}

function number(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (!(value > 0)) throw new TypeError(`--${name} takes a number above 0, not ${JSON.stringify(text)}`);
  return value;
}
