import { jsonReply, keepLatest, type Received, type Reply } from './receiver.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const DEDUPE_MS = DAY_MS;
const IDS_REMEMBERED = 200_000;
const PAGE_MAX = 200;

/** Source: docs/destinations/segment.md, "Read back" */
const GRANULARITIES: Record<string, { pointMs: number; rangeMaxMs: number; ageMaxMs: number }> = {
  minute: { pointMs: MINUTE_MS, rangeMaxMs: 4 * HOUR_MS, ageMaxMs: 48 * HOUR_MS },
  hour: { pointMs: HOUR_MS, rangeMaxMs: 14 * DAY_MS, ageMaxMs: 30 * DAY_MS },
  day: { pointMs: DAY_MS, rangeMaxMs: 30 * DAY_MS, ageMaxMs: 30 * DAY_MS },
};
const GROUPS = ['eventName', 'eventType'] as const;
type Group = (typeof GROUPS)[number];

interface Message {
  eventType: string;
  /** `null` where the type has no names, as `identify`. */
  eventName: string | null;
}
interface Count extends Message {
  minuteMs: number;
  count: number;
}

class Invalid extends Error {}

/**
 * Segment's Public API as far as it tells how much a source received: counts by name and time of receipt, each message
 * id once in a day, some seconds behind. No message can be found in it.
 */
export class SegmentOverview {
  publicToken = 'sandbox-public-token';
  sourceId = 'sandbox-source';
  /** How long after receipt a message is counted. */
  latencyMs = 0;
  private readonly seen = new Map<string, number>();
  private readonly counts = new Map<string, Count>();
  private readonly waiting: { visibleAtMs: number; atMs: number; message: Message }[] = [];

  constructor(private readonly now: () => number) {}

  keep(messageId: string, message: Message): void {
    const atMs = this.now();
    const before = this.seen.get(messageId);
    if (before !== undefined && atMs - before < DEDUPE_MS) return;
    keepLatest(this.seen, messageId, atMs, IDS_REMEMBERED);
    this.waiting.push({ visibleAtMs: atMs + this.latencyMs, atMs, message });
    this.countVisible();
  }

  /** Messages that would be counted now. */
  get shown(): number {
    this.countVisible();
    return [...this.counts.values()].reduce((sum, { count }) => sum + count, 0);
  }

  answer(request: Received): Reply {
    if (request.headers.authorization !== `Bearer ${this.publicToken}`) {
      return failure(401, 'unauthorized', 'The token is not valid.');
    }
    if (request.path !== '/delivery-overview/successfully-received')
      return failure(404, 'not-found', 'No such resource.');
    try {
      return this.overview(request.query);
    } catch (error) {
      if (error instanceof Invalid) return failure(400, 'bad-request', error.message);
      throw error;
    }
  }

  private overview(query: URLSearchParams): Reply {
    if (query.get('sourceId') !== this.sourceId) return failure(404, 'not-found', 'The source does not exist.');
    const { fromMs, toMs, pointMs } = this.timeOf(query);
    const groups = groupsOf(query);
    this.countVisible();

    const lines = new Map<string, { named: Partial<Record<Group, string>>; points: Map<number, number> }>();
    for (const count of this.counts.values()) {
      if (count.minuteMs < fromMs || count.minuteMs >= toMs) continue;
      const named = Object.fromEntries(
        groups.flatMap((group) => (count[group] === null ? [] : [[group, count[group]]])),
      );
      const key = JSON.stringify(named);
      const line = lines.get(key) ?? { named, points: new Map<number, number>() };
      const pointAtMs = Math.floor(count.minuteMs / pointMs) * pointMs;
      line.points.set(pointAtMs, (line.points.get(pointAtMs) ?? 0) + count.count);
      lines.set(key, line);
    }
    const dataset = [...lines.values()].map(({ named, points }) => ({
      ...named,
      total: [...points.values()].reduce((sum, count) => sum + count, 0),
      totalRetryCount: 0,
      series: [...points].map(([atMs, count]) => ({ time: new Date(atMs).toISOString(), count, retryCount: 0 })),
    }));
    const total = dataset.reduce((sum, line) => sum + line.total, 0);
    const { from, size } = pageOf(query);
    const cursor = (at: number): string => Buffer.from(String(at)).toString('base64');
    return jsonReply(200, {
      data: {
        total,
        dataset: dataset.slice(from, from + size),
        pagination: {
          current: cursor(from),
          ...(from + size < dataset.length && { next: cursor(from + size) }),
          totalEntries: dataset.length,
        },
      },
    });
  }

  private timeOf(query: URLSearchParams): { fromMs: number; toMs: number; pointMs: number } {
    const granularity = GRANULARITIES[query.get('granularity') ?? ''];
    if (granularity === undefined) throw new Invalid('granularity must be minute, hour or day');
    const fromMs = Date.parse(query.get('startTime') ?? '');
    const toMs = Date.parse(query.get('endTime') ?? '');
    if (Number.isNaN(fromMs) || Number.isNaN(toMs) || fromMs >= toMs) {
      throw new Invalid('startTime and endTime must be ISO 8601, the first before the second');
    }
    const { pointMs, rangeMaxMs, ageMaxMs } = granularity;
    if (toMs - fromMs > rangeMaxMs) throw new Invalid('the time range is too wide for this granularity');
    if (fromMs < this.now() - ageMaxMs) throw new Invalid('startTime is too long ago for this granularity');
    return { fromMs, toMs, pointMs };
  }

  private countVisible(): void {
    const nowMs = this.now();
    const young = this.waiting.findIndex(({ visibleAtMs }) => visibleAtMs > nowMs);
    for (const { atMs, message } of this.waiting.splice(0, young < 0 ? this.waiting.length : young)) {
      const minuteMs = Math.floor(atMs / MINUTE_MS) * MINUTE_MS;
      const key = JSON.stringify([minuteMs, message.eventType, message.eventName]);
      const known = this.counts.get(key);
      if (known === undefined) this.counts.set(key, { ...message, minuteMs, count: 1 });
      else known.count += 1;
    }
    for (const [key, { minuteMs }] of this.counts) {
      if (minuteMs >= nowMs - 30 * DAY_MS) break; // oldest first, but for a clock that was turned back
      this.counts.delete(key);
    }
  }
}

/** As its documentation writes lists (`groupBy.0`), and as its own client does (`groupBy[0]`). */
function groupsOf(query: URLSearchParams): Group[] {
  const given = [...query].filter(([name]) => /^groupBy(?:\.\d+|\[\d+\])?$/.test(name)).map(([, value]) => value);
  return given.map((value) => {
    const found = GROUPS.find((group) => group === value);
    if (found === undefined) throw new Invalid(`groupBy ${value} is not supported here`);
    return found;
  });
}

function pageOf(query: URLSearchParams): { from: number; size: number } {
  const size = Number(query.get('pagination.count') ?? query.get('pagination[count]') ?? Number.NaN);
  if (!Number.isInteger(size) || size < 1 || size > PAGE_MAX) {
    throw new Invalid(`pagination.count must be from 1 to ${PAGE_MAX}`);
  }
  const cursor = query.get('pagination.cursor') ?? query.get('pagination[cursor]');
  const from = cursor === null ? 0 : Number(Buffer.from(cursor, 'base64').toString('utf8'));
  if (!Number.isInteger(from) || from < 0) throw new Invalid('pagination.cursor is none of ours');
  return { from, size };
}

function failure(status: number, type: string, message: string): Reply {
  return jsonReply(status, { errors: [{ type, message }] });
}

/** What a message is counted under. */
export function countedAs(type: string, event: string | null): Message {
  return { eventType: type, eventName: type === 'track' ? event : null };
}
