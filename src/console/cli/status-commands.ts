import { Option } from 'commander';
import { WORSENINGS } from '../../status-page/contract.js';
import { listOf } from '../shapes.js';
import { statusEntryShape, statusShape } from '../status.http.js';
import type { Query } from './api-client.js';
import type { Cli } from './cli.js';
import { EXIT } from './exit.js';
import { table, when } from './table.js';

interface Said {
  json?: boolean;
  note: string;
  until: string;
  from?: string;
  state: string;
}

export function addStatus({ program, api, width, command, print, list, outcome }: Cli): void {
  const status = command(
    program,
    'status',
    'what the public status page says now; ends with 1 unless operational',
  ).action(async (options: { json?: boolean }) => {
    const answer = await api.ask(statusShape, 'GET', '/api/v1/status');
    if (answer.state !== 'operational') outcome.exitCode = EXIT.no;
    print(answer, options, ({ headline, world, confirmedAt, components }) =>
      [
        `${headline} (${world}; as of ${when(confirmedAt) ?? 'never'})`,
        table(
          ['COMPONENT', 'STATE', 'PROVED', 'WHY'],
          components.map(({ id, state, proof, why }) => [id, state, when(proof?.at ?? null), why.join(' ') || null]),
          width,
        ),
      ].join('\n'),
    );
  });

  const post = async (component: string, worsen: string | null, options: Said): Promise<void> => {
    const { note, until, from } = options;
    const path = `/api/v1/status/components/${encodeURIComponent(component)}`;
    const answer = await api.ask(statusEntryShape, 'POST', path, { body: { worsen, note, until, from } });
    print(answer, options, ({ id, until: end }) => `Said of ${component} until ${when(end)} (entry ${id}).`);
  };
  command(status, 'worsen <component>', 'make the page say something worse, for a while')
    .addOption(new Option('--state <state>', 'what it is to say').choices(WORSENINGS).makeOptionMandatory())
    .requiredOption('--note <text>', 'why, told to everybody')
    .requiredOption('--until <instant>', 'when it ends by itself, RFC 3339')
    .option('--from <instant>', 'when it begins; later than now it is announced')
    .action((component: string, options: Said) => post(component, options.state, options));
  command(status, 'annotate <component>', 'add a note to a component, for a while')
    .requiredOption('--note <text>', 'told to everybody')
    .requiredOption('--until <instant>', 'when it ends by itself, RFC 3339')
    .action((component: string, options: Said) => post(component, null, options));
  command(status, 'end <entry>', 'take back what a person said').action(
    async (entry: string, options: { json?: boolean }) => {
      const path = `/api/v1/status/entries/${encodeURIComponent(entry)}/end`;
      print(await api.ask(statusEntryShape, 'POST', path), options, ({ id }) => `Entry ${id} is over.`);
    },
  );
  command(status, 'entries', 'what people said of components, newest first')
    .option('--state <state>', 'live or all', 'live')
    .option('--limit <n>', 'at most this many')
    .option('--cursor <id>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      list(
        await api.ask(listOf(statusEntryShape), 'GET', '/api/v1/status/entries', { query }),
        { json: json ?? false },
        ['ID', 'COMPONENT', 'SAYS', 'FROM', 'UNTIL', 'BY', 'NOTE'],
        (each) => [
          each.id,
          each.component,
          each.worsen ?? 'note',
          when(each.from),
          when(each.until),
          each.actor,
          each.note,
        ],
        'Nobody has said anything.',
      );
    });
}
