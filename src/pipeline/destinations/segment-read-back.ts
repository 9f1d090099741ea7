import type { Clock } from '../../kernel/clock.js';
import type { HttpOut } from '../../kernel/http-out.js';
import type { Destination, Kind, ReadBackAbility, ReadBackCount, ReadBackLater } from '../contract.js';
import type { AdapterReadBack } from './adapter.js';
import { OwnSettings } from './own-settings.js';
import { unreadable } from './read-back-answer.js';
import { cannot, later } from './read-back.js';
import { EVENT_NAMES } from './segment-format.js';
import { askingFor, pointsOf, readOverview } from './segment-overview.js';
import { SEGMENT_SETTINGS, type SegmentSettings } from './segment-settings.js';

const PUBLIC_ENDPOINT = 'https://api.segmentapis.com';
const ACCEPT = 'application/vnd.segment.v1beta+json';
const DEADLINE_MS = 10_000;
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;
const PAGE_NAMES = 50; // event names, each with up to 336 points of some 70 bytes: about 1 MB
const PAGES_MAX = 40;

const NAMES: Partial<Record<Kind, string>> = EVENT_NAMES;
const KINDS: ReadonlySet<Kind> = new Set(Object.keys(EVENT_NAMES) as Kind[]);

type Slice = { fromMs: number; toMs: number };

/**
 * Reads counts back from Segment's delivery overview ("successfully received"). It tells how many, not which, and of
 * all that a source takes: it proves N of N where nothing but this service sends these events to the source.
 * Source: docs/destinations/segment.md, "Read back"
 */
export class SegmentReadBack implements AdapterReadBack {
  private readonly settings = new OwnSettings<SegmentSettings>(SEGMENT_SETTINGS);

  constructor(
    private readonly http: Pick<HttpOut, 'request' | 'close'>,
    private readonly clock: Clock,
  ) {}

  ability(destination: Destination): ReadBackAbility {
    const settings = this.settings.orNull(destination);
    if (settings === null) return cannot('its settings cannot be read');
    if (settings.publicToken === undefined || settings.sourceId === undefined) {
      return cannot('Segment is asked through its Public API, which needs the settings publicToken and sourceId');
    }
    return { means: 'counts', kinds: KINDS, settlingMs: settings.settlingMinutes * 60_000, why: null };
  }

  async count(
    destination: Destination,
    kind: Kind,
    fromAt: Date,
    toAt: Date,
    signal?: AbortSignal,
  ): Promise<ReadBackCount> {
    const settings = this.settings.of(destination);
    const eventName = NAMES[kind];
    if (eventName === undefined) return { outcome: 'never', detail: `Segment has no event name for ${kind}` };
    const asking = askingFor(fromAt.getTime(), toAt.getTime(), this.clock.nowMs());
    if (typeof asking === 'string') return { outcome: 'never', detail: asking };
    const counts = new Map<number, number>();
    for (const slice of asking.slices) {
      let cursor: string | null = null;
      let pages = 0;
      do {
        const url = overviewUrl(settings, slice, asking.granularity, cursor);
        const page = await this.page(url, settings, eventName, signal);
        if ('outcome' in page) return page;
        for (const [atMs, count] of page.counts) counts.set(atMs, (counts.get(atMs) ?? 0) + count);
        cursor = page.next;
        pages += 1;
      } while (cursor !== null && pages < PAGES_MAX);
      if (cursor !== null) return later(`Segment has more than ${PAGES_MAX * PAGE_NAMES} event names in this source`);
    }
    const points = pointsOf(asking, counts);
    return { outcome: 'read', received: points.reduce((sum, point) => sum + point.received, 0), points };
  }

  async close(): Promise<void> {
    await this.http.close();
  }

  private async page(
    url: string,
    { publicToken = '' }: SegmentSettings,
    eventName: string,
    signal: AbortSignal | undefined,
  ): Promise<NonNullable<ReturnType<typeof readOverview>> | ReadBackLater> {
    const result = await this.http.request({
      method: 'GET',
      url,
      headers: { authorization: `Bearer ${publicToken}`, accept: ACCEPT, 'user-agent': 'Plumbline' },
      deadlineMs: DEADLINE_MS,
      bodyBytesMax: ANSWER_BYTES_MAX,
      ...(signal ? { signal } : {}),
    });
    const isWhole = result.kind === 'answer' && result.status === 200 && result.complete;
    const page = isWhole ? readOverview(result.body, eventName) : null;
    return page ?? unreadable(result, { nowMs: this.clock.nowMs(), secrets: [publicToken] });
  }
}

function overviewUrl(
  { sourceId = '', publicEndpoint }: SegmentSettings,
  { fromMs, toMs }: Slice,
  granularity: string,
  cursor: string | null,
): string {
  const query = new URLSearchParams({
    sourceId,
    startTime: new Date(fromMs).toISOString(),
    endTime: new Date(toMs).toISOString(),
    granularity,
    'groupBy.0': 'eventName',
    'pagination.count': String(PAGE_NAMES),
    ...(cursor === null ? {} : { 'pagination.cursor': cursor }),
  });
  return `${(publicEndpoint ?? PUBLIC_ENDPOINT).replace(/\/+$/, '')}/delivery-overview/successfully-received?${query.toString()}`;
}
