import { listOf } from '../shapes.js';
import { signalShape } from '../signals.http.js';
import type { Query } from './api-client.js';
import type { Cli } from './cli.js';
import { when } from './table.js';

export function addSignals({ program, api, command, list }: Cli): void {
  command(program, 'signals', 'what is not as it should be, newest first')
    .option('--kind <kind>', 'only of this kind')
    .option('--shop <domain>', 'only of this shop')
    .option('--state <state>', 'open, closed or all', 'open')
    .option('--limit <n>', 'at most this many', '50')
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      const answer = await api.ask(listOf(signalShape), 'GET', '/api/v1/signals', { query });
      list(
        answer,
        { json: json ?? false },
        ['SINCE', 'KIND', 'SUBJECT', 'STATE', 'EVIDENCE'],
        (each) => [when(each.openedAt), each.kind, each.subject, each.state, each.evidence],
        'Nothing is signalled.',
      );
    });
}
