import { noticeShape } from '../notices.http.js';
import { listOf } from '../shapes.js';
import type { Query } from './api-client.js';
import type { Cli } from './cli.js';
import { when } from './table.js';

export function addNotices({ program, api, command, print, list }: Cli): void {
  const notices = program.command('notices').description("Shopify's mails about webhooks");
  const listing = notices.command('list', { isDefault: true }).description('newest first');
  listing
    .option('--json', 'print the answer of the API as JSON')
    .option('--class <class>', 'removed, failing, other, unknown or untrusted')
    .option('--shop <domain>', 'only of this shop')
    .option('--limit <n>', 'at most this many', '50')
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      const answer = await api.ask(listOf(noticeShape), 'GET', '/api/v1/notices', { query });
      list(
        answer,
        { json: json ?? false },
        ['ID', 'LAST', 'CLASS', 'TIMES', 'SHOP', 'TOPIC', 'SUBJECT OR DOUBT'],
        (each) => [
          each.needsAttention ? `${each.id} !` : each.id,
          when(each.lastAt),
          each.class,
          each.count,
          each.shop,
          each.topic,
          each.class === 'untrusted' ? each.trust : each.subject,
        ],
        'No mail of Shopify so far.',
      );
    });
  command(notices, 'classify <id> <class>', 'say what it is: removed, failing, other or unknown').action(
    async (id: string, as: string, options: { json?: boolean }) => {
      const path = `/api/v1/notices/${encodeURIComponent(id)}/classify`;
      const answer = await api.ask(noticeShape, 'POST', path, { body: { class: as } });
      print(answer, options, (each) => `Notice ${each.id} is ${each.class}.`);
    },
  );
  command(notices, 'read <id>', 'say that you have read it').action(async (id: string, options: { json?: boolean }) => {
    const path = `/api/v1/notices/${encodeURIComponent(id)}/read`;
    const answer = await api.ask(noticeShape, 'POST', path);
    print(answer, options, (each) =>
      [`Notice ${each.id}, ${each.class}: ${each.subject}`, each.excerpt ?? ''].join('\n').trim(),
    );
  });
}
