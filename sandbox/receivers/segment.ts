import {
  Receiver,
  Tally,
  asList,
  asRecord,
  jsonReply,
  keepLatest,
  parseJson,
  type Received,
  type Reply,
} from './receiver.js';
import { SegmentOverview, countedAs } from './segment-overview.js';

export interface SegmentMessage {
  type: string;
  messageId: string;
  event: string | null;
  userId: string | null;
  anonymousId: string | null;
  properties: Record<string, unknown>;
  traits: Record<string, unknown>;
  timestamp: string | null;
}

const EVENT_MAX_BYTES = 32 * 1024;
const BATCH_MAX_BYTES = 500 * 1024;
const BATCH_MAX_EVENTS = 2_500;

/**
 * Segment's `/v1/batch`. Answers 400 for what is too large or no JSON, and 200 for much that it then does not keep:
 * more than 2,500 events, an event without a name or an identity. A message id that is known is dropped.
 *
 * How many it received, its delivery overview tells (`/delivery-overview/successfully-received`).
 */
export class SegmentReceiver extends Receiver {
  /** The latest messages kept, each id once, in order of arrival. */
  readonly messages = new Map<string, SegmentMessage>();
  /** Arrivals by message id. */
  readonly messageIds = new Tally();
  /** Messages answered 200 and not kept, with the reason. */
  readonly dropped: { reason: string; message: unknown }[] = [];
  /** When set, any other write key is answered 401. */
  writeKey: string | null = null;
  /** A batch that holds one of these message ids is answered 400. */
  readonly poison = new Set<string>();
  /** Share of messages that is answered 200 and then never seen again. */
  acceptThenLoseShare = 0;
  readonly overview = new SegmentOverview(() => this.nowMs());

  protected override isReport({ path }: Received): boolean {
    return path.startsWith('/delivery-overview/');
  }

  protected take(request: Received): Reply {
    if (this.isReport(request)) return this.overview.answer(request);
    if (request.path !== '/v1/batch') return jsonReply(404, { success: false });
    const basic = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString('utf8');
    if (this.writeKey !== null && basic !== `${this.writeKey}:`) return jsonReply(401, { success: false });
    const body = parseJson(request.body);
    if (body === undefined) return jsonReply(400, { success: false, message: 'Malformed JSON' });
    if (Buffer.byteLength(request.body) > BATCH_MAX_BYTES)
      return jsonReply(400, { success: false, message: 'Batch too large' });
    const batch = asList(asRecord(body)['batch']);
    if (batch.some((entry) => Buffer.byteLength(JSON.stringify(entry)) > EVENT_MAX_BYTES)) {
      return jsonReply(400, { success: false, message: 'Event too large' });
    }
    if (batch.some((entry) => this.poison.has(String(asRecord(entry)['messageId'])))) {
      return jsonReply(400, { success: false, message: 'Invalid event' });
    }
    const tooMany = batch.length > BATCH_MAX_EVENTS;
    for (const entry of batch) {
      if (tooMany) this.dropped.push({ reason: 'more than 2500 events', message: entry });
      else this.keep(asRecord(entry));
    }
    return jsonReply(200, { success: true });
  }

  private keep(entry: Record<string, unknown>): void {
    const message: SegmentMessage = {
      type: String(entry['type']),
      messageId: String(entry['messageId']),
      event: textOrNull(entry['event']),
      userId: textOrNull(entry['userId']),
      anonymousId: textOrNull(entry['anonymousId']),
      properties: asRecord(entry['properties']),
      traits: asRecord(entry['traits']),
      timestamp: textOrNull(entry['timestamp']),
    };
    if (this.acceptThenLoseShare > 0 && this.chance() < this.acceptThenLoseShare) {
      this.dropped.push({ reason: 'lost on purpose', message: entry });
      return;
    }
    if (entry['type'] === undefined) this.dropped.push({ reason: 'no type', message: entry });
    else if (message.userId === null && message.anonymousId === null) {
      this.dropped.push({ reason: 'no userId or anonymousId', message: entry });
    } else if (message.type === 'track' && message.event === null) {
      this.dropped.push({ reason: 'track without event', message: entry });
    } else {
      const isFirst = this.messageIds.add(message.messageId) === 1;
      if (isFirst) keepLatest(this.messages, message.messageId, message);
      this.overview.keep(message.messageId, countedAs(message.type, message.event));
    }
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
