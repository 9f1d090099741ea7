import { worldChannelsShape } from '../channels.http.js';
import { listOf } from '../shapes.js';
import type { Cli } from './cli.js';

export function addChannels({ program, api, command, list }: Cli): void {
  command(program, 'channels', 'how people are told, and whether it works').action(
    async ({ json }: { json?: boolean }) => {
      const answer = await api.ask(listOf(worldChannelsShape), 'GET', '/api/v1/channels');
      if (json === true) return list(answer, { json }, [], () => [], '');
      const recipients = answer.items.flatMap((each) =>
        each.recipients.map((recipient) => ({ ...recipient, confirmation: each.confirmation })),
      );
      list(
        { items: recipients, nextCursor: null },
        { json: false },
        ['WORLD', 'RECIPIENT', 'STATE', 'WAITING', 'PROOF', 'ERROR'],
        (each) => [
          each.world,
          `${each.channel} ${each.recipient}`,
          each.state,
          each.waiting,
          each.channel === 'pagerduty' ? each.confirmation : '',
          each.lastError ?? '',
        ],
        'Nobody is told: no alerting is configured, or nothing was to be said yet.',
      );
    },
  );
}
