import { heartbeatShape, processShape } from '../processes.http.js';
import { listOf } from '../shapes.js';
import type { Cli } from './cli.js';
import { when } from './table.js';

export function addProcesses({ program, api, command, list }: Cli): void {
  command(program, 'processes', 'every process of the last hour, and how it is').action(
    async (options: { json?: boolean }) => {
      list(
        await api.ask(listOf(processShape), 'GET', '/api/v1/processes', {}),
        options,
        ['PROCESS', 'ROLES', 'SINCE', 'LAST WORD', 'LOOP P99', 'HEAP', 'HANGS'],
        (each) => [
          each.name,
          each.roles.join(','),
          when(each.startedAt),
          each.silent ? `silent since ${when(each.beatAt)}` : when(each.beatAt),
          `${each.eventLoopDelayP99Ms} ms`,
          `${Math.round((100 * each.heapUsedBytes) / Math.max(1, each.heapLimitBytes))} %`,
          each.stuck.join(', ') || null,
        ],
        'No process has said anything in the last hour.',
      );
    },
  );
  command(program, 'duties', 'when each duty of monitoring was last done').action(
    async (options: { json?: boolean }) => {
      list(
        await api.ask(listOf(heartbeatShape), 'GET', '/api/v1/duties', {}),
        options,
        ['DUTY', 'LAST DONE'],
        (each) => [each.name, when(each.beatAt)],
        'No duty has been done yet.',
      );
    },
  );
}
