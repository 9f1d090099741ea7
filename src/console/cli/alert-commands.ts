import { alertDetailShape, alertShape } from '../alerts.http.js';
import { notificationShape } from '../notifications.http.js';
import { listOf } from '../shapes.js';
import { silenceShape } from '../silences.http.js';
import type { Query } from './api-client.js';
import type { Cli } from './cli.js';
import { when } from './table.js';

export function addAlerts(cli: Cli): void {
  addAlertList(cli);
  addOneAlert(cli);
  addSilences(cli);
  addNotifications(cli);
}

function addAlertList({ program, api, command, list }: Cli): void {
  command(program, 'alerts', 'what people are told of: pages before tickets, the worst first')
    .option('--name <name>', 'only of this name')
    .option('--shop <domain>', 'only of this shop')
    .option('--class <class>', 'page, ticket or log')
    .option('--state <state>', 'pending, open, closed, live or all', 'live')
    .option('--limit <n>', 'at most this many', '50')
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      const answer = await api.ask(listOf(alertShape), 'GET', '/api/v1/alerts', { query });
      list(
        answer,
        { json: json ?? false },
        ['ID', 'SINCE', 'CLASS', 'SEV', 'STATE', 'TIMES', 'TAKEN ON BY', 'WHAT'],
        (each) => [
          each.id,
          when(each.firstSeenAt),
          each.class,
          each.severity,
          quiet(each) ?? each.state,
          each.count,
          each.acknowledged?.by ?? null,
          each.summary,
        ],
        'There is no alert.',
      );
    });
}

function addOneAlert({ program, api, command, print }: Cli): void {
  const alert = program.command('alert').description('one alert');
  command(alert, 'show <id>', 'its signals, what happened to it, and what was said of it').action(
    async (id: string, options: { json?: boolean }) => {
      const answer = await api.ask(alertDetailShape, 'GET', `/api/v1/alerts/${encodeURIComponent(id)}`);
      print(answer, options, (each) =>
        [
          each.alert.summary,
          `${each.alert.name}, severity ${each.alert.severity}, ${quiet(each.alert) ?? each.alert.state}; runbook: ${each.alert.runbook}; look at ${each.alert.evidence}`,
          `${each.alert.signals} signals open in ${each.alert.shops} shops, seen ${each.alert.count} times, last ${when(each.alert.lastSeenAt)}`,
          ...each.changes.map(({ at, change, actor, detail }) =>
            [when(at), change, actor === null ? null : `by ${actor}`, detail].filter((part) => part !== null).join(' '),
          ),
          ...each.notifications.map(
            ({ createdAt, action, reason, channel, recipient, state }) =>
              `${when(createdAt)} ${action} (${reason}) to ${channel} ${recipient}: ${state}`,
          ),
        ].join('\n'),
      );
    },
  );
  command(alert, 'ack <id>', 'take it on; people are told again when your next look is due and it is still open')
    .option('--minutes <n>', 'until your next look', '30')
    .option('--note <text>', 'what you are doing')
    .action(async (id: string, { json, minutes, note }: { json?: boolean; minutes: string; note?: string }) => {
      const answer = await api.ask(alertShape, 'POST', `/api/v1/alerts/${encodeURIComponent(id)}/acknowledge`, {
        body: { inMinutes: Number(minutes), ...(note === undefined ? {} : { note }) },
      });
      print(answer, { json: json ?? false }, (each) => {
        const until = each.acknowledged === null ? '' : ` until ${when(each.acknowledged.nextLookAt)}`;
        return `Alert ${each.id} is yours${until}. Runbook: ${each.runbook}`;
      });
    });
  command(alert, 'unack <id>', 'give it back').action(async (id: string, options: { json?: boolean }) => {
    const path = `/api/v1/alerts/${encodeURIComponent(id)}/acknowledge`;
    const answer = await api.ask(alertShape, 'DELETE', path);
    print(answer, options, (each) => `Alert ${each.id} is nobody's.`);
  });
}

function addSilences({ program, api, command, print, list }: Cli): void {
  const silences = program.command('silences').description('what is kept quiet');
  silences
    .command('list', { isDefault: true })
    .description('newest first')
    .option('--json', 'print the answer of the API as JSON')
    .option('--state <state>', 'active, ended or all', 'active')
    .option('--limit <n>', 'at most this many', '50')
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      const answer = await api.ask(listOf(silenceShape), 'GET', '/api/v1/silences', { query });
      list(
        answer,
        { json: json ?? false },
        ['ID', 'UNTIL', 'OWNER', 'NAME', 'SHOP', 'DESTINATION', 'REASON'],
        ({ id, endedAt, endsAt, owner, match, reason }) => [
          id,
          when(endedAt ?? endsAt),
          owner,
          match.name ?? null,
          match.shop ?? null,
          match.destination ?? null,
          reason,
        ],
        'Nothing is silenced.',
      );
    });
  command(silences, 'create', 'keep alerts quiet; never removals, and never orders that are missing')
    .option('--name <name>', 'alerts of this name')
    .option('--shop <domain>', 'alerts of this shop')
    .option('--destination <name>', 'alerts of this destination')
    .requiredOption('--hours <n>', 'for so long')
    .requiredOption('--reason <text>', 'why')
    .action(async ({ json, hours, ...match }: Record<string, string> & { json?: boolean; hours: string }) => {
      const answer = await api.ask(silenceShape, 'POST', '/api/v1/silences', {
        body: { ...match, hours: Number(hours) },
      });
      print(answer, { json: json ?? false }, (each) => `Silence ${each.id} lasts until ${when(each.endsAt)}.`);
    });
  command(silences, 'end <id>', 'end it now').action(async (id: string, options: { json?: boolean }) => {
    const answer = await api.ask(silenceShape, 'DELETE', `/api/v1/silences/${encodeURIComponent(id)}`);
    print(answer, options, (each) => `Silence ${each.id} has ended.`);
  });
}

function addNotifications({ program, api, command, list }: Cli): void {
  command(program, 'notifications', 'what was said to whom, when and why, newest first')
    .option('--alert <id>', 'only of this alert')
    .option('--state <state>', 'waiting, taken, confirmed, refused or overtaken')
    .option('--limit <n>', 'at most this many', '50')
    .option('--cursor <text>', 'what follows a page')
    .action(async ({ json, ...query }: Query & { json?: boolean }) => {
      const answer = await api.ask(listOf(notificationShape), 'GET', '/api/v1/notifications', { query });
      list(
        answer,
        { json: json ?? false },
        ['WHEN', 'WHY', 'ACTION', 'TO', 'STATE', 'TRIES', 'WHAT'],
        (each) => [
          when(each.createdAt),
          each.reason,
          each.action,
          `${each.channel} ${each.recipient}`,
          each.state,
          each.attempts,
          each.summary,
        ],
        'Nothing has been said.',
      );
    });
}

/** Why nobody hears of it. */
function quiet(alert: {
  foldedInto: string | null;
  inhibitedBy: string | null;
  silencedBy: string | null;
}): string | null {
  if (alert.foldedInto !== null) return `folded into ${alert.foldedInto}`;
  if (alert.inhibitedBy !== null) return `inhibited by ${alert.inhibitedBy}`;
  return alert.silencedBy === null ? null : `silence ${alert.silencedBy}`;
}
