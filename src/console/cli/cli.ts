import type { Command } from 'commander';
import type { ApiClient } from './api-client.js';

/** What a group of commands is given to add itself to the program. */
export interface Cli {
  program: Command;
  api: ApiClient;
  /** Characters of the terminal. */
  width: number;
  /** A command with `--json`. */
  command: (parent: Command, usage: string, description: string) => Command;
  /** Prints an answer: as JSON with `--json`, else as `show` says. */
  print: <Answer>(answer: Answer, options: { json?: boolean }, show: (answer: Answer) => string) => void;
  /** Prints a list as a table. @param nothing said when it is empty */
  list: <Item>(
    answer: { items: Item[]; nextCursor: string | null },
    options: { json?: boolean },
    headers: string[],
    rowOf: (item: Item) => (string | number | null)[],
    nothing: string,
  ) => void;
  /** What the process ends with, where the answer decides it. */
  outcome: { exitCode: number };
}
