import { Command, CommanderError, Option } from 'commander';
import { z } from 'zod';
import { TOKEN_ROLES } from '../../kernel/auth.js';
import { openedLetterShape, replayShape } from '../dead-letters.http.js';
import { destinationShape } from '../destinations.http.js';
import { healthShape } from '../health.http.js';
import { orderShape } from '../orders.http.js';
import { deadLetter, listOf } from '../shapes.js';
import { shopShape } from '../shops.http.js';
import { newTokenShape, tokenShape } from '../tokens.http.js';
import { heldShape } from '../webhooks.http.js';
import { ApiClient, type Environment, type Query } from './api-client.js';
import type { Cli } from './cli.js';
import { CliFailure, EXIT } from './exit.js';
import { orderText } from './order-text.js';
import { addProcesses } from './process-commands.js';
import { addIncidents } from './incident-commands.js';
import { addReconciliation } from './reconciliation-commands.js';
import { addNotices } from './notice-commands.js';
import { addAlerts } from './alert-commands.js';
import { addChannels } from './channel-commands.js';
import { addSignals } from './signal-commands.js';
import { addSlos } from './slo-commands.js';
import { addStatus } from './status-commands.js';
import { addSubscriptions } from './subscription-commands.js';
import { addThroughput } from './throughput-commands.js';
import { table, when, WIDTH_MIN } from './table.js';

/** What the command line needs of the process it runs in. */
export interface Terminal {
  env: Environment;
  cwd: string;
  /** Characters; 80 when it is no terminal. */
  width: number;
  out(text: string): void;
  error(text: string): void;
  /** Checks the configuration as a start would. @returns the exit code */
  checkConfig(json: boolean): Promise<number>;
}

/** @returns the exit code; everything it says goes through the terminal */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<number> {
  const outcome = { exitCode: EXIT.ok as number };
  try {
    await programOf(terminal, outcome).parseAsync([...args], { from: 'user' });
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof CliFailure) {
      terminal.error(`plumbline: ${error.message}\n`);
      return error.exitCode;
    }
    // Help and version end with 0; everything else commander throws is a slip in the command itself.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    throw error;
  }
}

function programOf(terminal: Terminal, outcome: { exitCode: number }): Command {
  const api = new ApiClient(terminal.env, terminal.cwd);
  const width = Math.max(WIDTH_MIN, terminal.width);
  const program = new Command('plumbline');
  program
    .description('Orders, destinations and dead letters of a running Plumbline.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.error(text),
      getOutHelpWidth: () => width,
    })
    .addHelpText(
      'after',
      '\nReads PLUMBLINE_URL (http://127.0.0.1:8080) and PLUMBLINE_TOKEN (else .plumbline/admin-token).' +
        '\nEnds with 0 ok, 1 the answer is no, 2 usage, 69 service unreachable, 77 not allowed, 78 configuration.',
    );

  /** A command with `--json`; commander copies the settings of output and exit from its parent. */
  const command: Cli['command'] = (parent, usage, description) =>
    parent.command(usage).description(description).option('--json', 'print the answer of the API as JSON');
  const print: Cli['print'] = (answer, options, show) =>
    terminal.out(`${options.json ? JSON.stringify(answer, null, 2) : show(answer)}\n`);
  const list: Cli['list'] = (answer, options, headers, rowOf, nothing) =>
    print(answer, options, ({ items, nextCursor }) =>
      items.length === 0
        ? nothing
        : table(headers, items.map(rowOf), width) + (nextCursor === null ? '' : `\nMore: --cursor ${nextCursor}`),
    );

  addShops();
  addDestinations();
  addOrders();
  addDeadLetters();
  addOperations();
  const cli: Cli = { program, api, width, command, print, list, outcome };
  addReconciliation(cli);
  addSignals(cli);
  addAlerts(cli);
  addChannels(cli);
  addNotices(cli);
  addSubscriptions(cli);
  addThroughput(cli);
  addSlos(cli);
  addProcesses(cli);
  addIncidents(cli);
  addStatus(cli);
  return program;

  function addShops(): void {
    const shop = program.command('shop').description('shops');
    command(shop, 'list', 'list the shops')
      .option('--limit <n>', 'at most this many', '200')
      .option('--cursor <text>', 'what follows a page')
      .action(async (options: Query & { json?: boolean }) => {
        const answer = await api.ask(listOf(shopShape), 'GET', '/api/v1/shops', pageOf(options));
        list(
          answer,
          options,
          ['DOMAIN', 'WORLD', 'FROM', 'TOKEN', 'DESTINATIONS', 'UNINSTALLED'],
          (each) => [
            each.domain,
            each.world,
            each.origin,
            each.accessTokenSet ? 'set' : '-',
            each.destinations.join(', ') || null,
            when(each.uninstalledAt),
          ],
          'No shop yet.',
        );
      });
    command(shop, 'add <domain>', 'connect a shop')
      .option('--access-token-env <name>', 'environment variable that holds the Admin API token')
      .option('--destination <name...>', 'destinations that get its events')
      .option('--admin-url <url>', 'another base URL of the Admin API')
      .option('--subscriptions <how>', 'shop or app')
      .action(
        async (
          domain: string,
          options: {
            json?: boolean;
            accessTokenEnv?: string;
            destination?: string[];
            adminUrl?: string;
            subscriptions?: string;
          },
        ) => {
          const answer = await api.ask(shopShape, 'POST', '/api/v1/shops', {
            body: {
              domain,
              accessToken:
                options.accessTokenEnv === undefined ? undefined : fromEnv(terminal.env, options.accessTokenEnv),
              adminUrl: options.adminUrl,
              subscriptions: options.subscriptions,
              destinations: options.destination,
            },
          });
          print(answer, options, (added) => `Connected ${added.domain}. Its own callback path: ${added.webhookPath}`);
        },
      );
  }

  function addDestinations(): void {
    const destination = program.command('destination').description('destinations');
    command(destination, 'list', 'list the destinations and what waits for each')
      .option('--limit <n>', 'at most this many', '200')
      .option('--cursor <text>', 'what follows a page')
      .action(async (options: Query & { json?: boolean }) => {
        const answer = await api.ask(listOf(destinationShape), 'GET', '/api/v1/destinations', pageOf(options));
        list(
          answer,
          options,
          ['NAME', 'KIND', 'WORLD', 'FROM', 'STATE', 'WAITING', 'OLDEST'],
          (each) => [
            each.name,
            each.kind,
            each.world,
            each.origin,
            each.enabled ? (each.lanes.some(({ state }) => state === 'open') ? 'in trouble' : 'enabled') : 'disabled',
            each.backlog,
            each.backlogAgeSeconds === null ? null : `${Math.round(each.backlogAgeSeconds)} s`,
          ],
          'No destination yet.',
        );
      });
    command(destination, 'add <name>', 'add a destination')
      .requiredOption('--kind <kind>', 'ga4, segment, postgres or webhook')
      .option('--set <key=value...>', 'a setting, as in the configuration file')
      .option('--set-env <key=NAME...>', 'a setting read from an environment variable: for secrets')
      .action(async (name: string, options: { json?: boolean; kind: string; set?: string[]; setEnv?: string[] }) => {
        const answer = await api.ask(destinationShape, 'POST', '/api/v1/destinations', {
          body: {
            ...Object.fromEntries((options.set ?? []).map(pairOf).map(([key, value]) => [key, scalarOf(value)])),
            ...Object.fromEntries(
              (options.setEnv ?? []).map(pairOf).map(([key, name]) => [key, fromEnv(terminal.env, name)]),
            ),
            name,
            kind: options.kind,
          },
        });
        print(answer, options, (added) => `Added ${added.name} (${added.kind}).`);
      });
    for (const verb of ['enable', 'disable'] as const) {
      command(
        destination,
        `${verb} <name>`,
        verb === 'enable' ? 'let its parked events flow' : 'park its events',
      ).action(async (name: string, options: { json?: boolean }) => {
        const path = `/api/v1/destinations/${encodeURIComponent(name)}/${verb}`;
        print(await api.ask(destinationShape, 'POST', path), options, (each) => `${each.name} is ${verb}d.`);
      });
    }
  }

  function addOrders(): void {
    command(program, 'order <shop> <id>', 'every stage of one order at every destination').action(
      async (shop: string, id: string, options: { json?: boolean }) => {
        const path = `/api/v1/orders/${encodeURIComponent(shop)}/${encodeURIComponent(id)}`;
        print(await api.ask(orderShape, 'GET', path), options, (order) => orderText(order, width));
      },
    );
    command(program, 'held', 'webhooks that cannot go on yet')
      .option('--shop <domain>')
      .option('--reason <reason>')
      .option('--limit <n>', 'at most this many')
      .option('--cursor <text>', 'what follows a page')
      .action(async (options: Query & { json?: boolean }) => {
        const answer = await api.ask(listOf(heldShape), 'GET', '/api/v1/held', pageOf(options, 'shop', 'reason'));
        list(
          answer,
          options,
          ['ID', 'SHOP', 'TOPIC', 'REASON', 'RECEIVED', 'NEXT TRY'],
          (each) => [each.id, each.shop, each.topic, each.reason, when(each.receivedAt), when(each.nextTryAt)],
          'Nothing is held.',
        );
      });
  }

  function addDeadLetters(): void {
    const letters = program.command('dead-letters').description('what could not be delivered');
    const FILTERS = ['shop', 'destination', 'lane', 'reason', 'from', 'to', 'state'] as const;
    const listing = command(letters, 'list', 'list dead letters, newest first');
    for (const filter of FILTERS) listing.option(`--${filter} <value>`);
    listing
      .option('--limit <n>', 'at most this many')
      .option('--cursor <id>', 'what follows a page')
      .action(async (options: Query & { json?: boolean }) => {
        const answer = await api.ask(listOf(deadLetter), 'GET', '/api/v1/dead-letters', pageOf(options, ...FILTERS));
        list(
          answer,
          options,
          ['ID', 'SHOP', 'DESTINATION', 'EVENT', 'ORDER', 'LANE', 'REASON', 'BURIED'],
          (each) => [
            each.id,
            each.shop,
            each.destination,
            each.kind ?? each.topic,
            each.orderId,
            each.lane,
            each.reason,
            when(each.buriedAt),
          ],
          'No dead letters.',
        );
      });
    command(letters, 'show <id>', 'one dead letter, with its payload for responders (audited)').action(
      async (id: string, options: { json?: boolean }) => {
        const answer = await api.ask(openedLetterShape, 'GET', `/api/v1/dead-letters/${encodeURIComponent(id)}`);
        print(answer, options, ({ payload, ...letter }) =>
          [
            ...Object.entries(letter).map(([key, value]) => `${key.padEnd(12)}  ${value ?? '-'}`),
            '',
            payload === null ? 'No payload: this token may not see it, or retention has dropped it.' : payload.body,
          ].join('\n'),
        );
      },
    );
    command(program, 'replay', 'send dead letters through the pipeline again')
      .addOption(new Option('--ids <ids>', 'ids, separated by commas').conflicts('query'))
      .option('--query <key=value...>', `filters: ${FILTERS.slice(0, -1).join(', ')}`)
      .option('--dry-run', 'only say what would go')
      .option('--rate <n>', 'at most this many a second')
      .action(async (options: { json?: boolean; ids?: string; query?: string[]; dryRun?: boolean; rate?: string }) => {
        if (options.ids === undefined && options.query === undefined) {
          throw new CliFailure(EXIT.usage, 'give --ids or --query (for example --query lane=ours)');
        }
        const answer = await api.ask(replayShape, 'POST', '/api/v1/dead-letters/replay', {
          body: {
            ids: options.ids?.split(',').map((id) => id.trim()),
            query: options.query && Object.fromEntries(options.query.flatMap((each) => each.split(',')).map(pairOf)),
            dryRun: options.dryRun ?? false,
            ratePerSecond: options.rate === undefined ? undefined : Number(options.rate),
          },
        });
        if (answer.matched === 0) outcome.exitCode = EXIT.no;
        print(answer, options, ({ matched, replayed, items }) =>
          [
            matched === 0
              ? 'Nothing matched.'
              : `${matched} matched, ${replayed} replayed${options.dryRun ? ' (dry run)' : ''}.`,
            ...(items.length === 0
              ? []
              : [
                  table(
                    ['ID', 'SHOP', 'DESTINATION', 'REASON'],
                    items.map((each) => [each.id, each.shop, each.destination, each.reason]),
                    width,
                  ),
                ]),
          ].join('\n'),
        );
      });
  }

  function addOperations(): void {
    command(program, 'health', 'every internal service').action(async (options: { json?: boolean }) => {
      const answer = await api.ask(healthShape, 'GET', '/healthz', { accept: 503, anonymous: true });
      if (answer.status !== 'ok' && answer.status !== 'degraded') outcome.exitCode = EXIT.no;
      print(answer, options, ({ status, services }) =>
        [
          `Plumbline ${answer.version}: ${status}`,
          table(
            ['SERVICE', 'STATE', 'LAST SEEN', 'DETAIL'],
            services.map(({ name, state, ageMs, detail }) => [
              name,
              state,
              ageMs === null ? null : `${(Math.max(0, ageMs) / 1000).toFixed(1)} s ago`,
              detail,
            ]),
            width,
          ),
        ].join('\n'),
      );
    });

    const config = program.command('config').description('the configuration');
    command(config, 'check', 'report every fault of environment and file, without starting anything').action(
      async (options: { json?: boolean }) => {
        outcome.exitCode = await terminal.checkConfig(options.json ?? false);
      },
    );

    const token = program.command('token').description('API tokens');
    command(token, 'list', 'list the tokens').action(async (options: { json?: boolean }) => {
      list(
        await api.ask(listOf(tokenShape), 'GET', '/api/v1/tokens'),
        options,
        ['ID', 'NAME', 'ROLE', 'CREATED', 'LAST USED', 'REVOKED'],
        (each) => [each.id, each.name, each.role, when(each.createdAt), when(each.lastUsedAt), when(each.revokedAt)],
        'No token.',
      );
    });
    command(token, 'create <name>', 'make a token; it is shown once')
      .addOption(new Option('--role <role>', 'what it may do').choices(TOKEN_ROLES).makeOptionMandatory())
      .action(async (name: string, options: { json?: boolean; role: string }) => {
        const answer = await api.ask(newTokenShape, 'POST', '/api/v1/tokens', { body: { name, role: options.role } });
        print(
          answer,
          options,
          (made) => `${made.token}\n${made.name} (${made.role}, id ${made.id}). It is not shown again.`,
        );
      });
    command(token, 'revoke <id>', 'end a token').action(async (id: string, options: { json?: boolean }) => {
      const answer = await api.ask(tokenShape, 'DELETE', `/api/v1/tokens/${encodeURIComponent(id)}`);
      print(answer, options, (revoked) => `Revoked ${revoked.name}.`);
    });
  }
}

function pageOf(options: Query, ...filters: readonly string[]): { query: Query } {
  return { query: Object.fromEntries(['limit', 'cursor', ...filters].map((key) => [key, options[key]])) };
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new CliFailure(EXIT.usage, `expected key=value, not ${text}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `true`, `false` and `a,b` lists in JSON are what they look like; everything else is text. */
function scalarOf(text: string): unknown {
  const json = z.union([z.boolean(), z.array(z.unknown())]).safeParse(jsonOf(text));
  return json.success ? json.data : text;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function fromEnv(env: Environment, name: string): string {
  const value = env[name];
  if (!value) throw new CliFailure(EXIT.usage, `the environment variable ${name} is not set`);
  return value;
}
