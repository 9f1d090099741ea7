import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../clock.js';
import { bulkLines, bulkPlan, type BulkSource } from './bulk-lines.js';
import { serveFile } from './bulk-file.js';
import { connection } from './admin-nodes.js';
import type { Args, GraphNode, Resolved } from './graphql-answer.js';
import { GraphqlError } from './graphql.js';
import type { Numbers } from './numbers.js';

/** Per shop and app since 2026-01: shopify.dev/docs/api/usage/bulk-operations/queries. */
const CONCURRENT_MAX = 5;
const RESULTS_LAST_MS = 7 * 86_400_000;
const CREATED_FOR_MS = 200;
const BASE_MS = 2_000;
const MS_PER_ORDER = 2;
/** Orders written before others get a turn; the stores go on selling meanwhile. */
const SLICE = 200;
const KEPT = 30;
const PATH = /^\/bulk\/(?<id>\d+)\/(?<token>[\w-]+)\.jsonl$/;

/**
 * How bulk operations go wrong. `fail`: half-way, with partial data; `deny`: for lack of a scope; `stall`: no progress;
 * `expire`: every result is gone; `cut`: every other download ends half-way without a word.
 */
export const BULK_MODES = ['none', 'fail', 'deny', 'stall', 'expire', 'cut'] as const;
export type BulkTrouble = (typeof BULK_MODES)[number];

type Status = 'CREATED' | 'RUNNING' | 'COMPLETED' | 'CANCELED' | 'FAILED' | 'EXPIRED';

interface Operation {
  id: number;
  domain: string;
  query: string;
  /** What was wrong when it was begun stays with it. */
  fate: BulkTrouble;
  token: string;
  createdAtMs: number;
  /** When its time is up; it has ended when it is written, too. */
  dueAtMs: number;
  wanted: number;
  slices: Buffer[];
  objects: number;
  roots: number;
  isWritten: boolean;
  canceledAtMs: number | null;
}

/** Bulk queries of orders, as documented; what they take is counted on the sandbox's clock. */
export class BulkOperations {
  trouble: BulkTrouble = 'none';
  downloads = 0;
  private readonly byId = new Map<number, Operation>();

  constructor(
    private readonly clock: Clock,
    private readonly numbers: Numbers,
    private readonly timeScale: number,
  ) {}

  /** @param base where this sandbox was reached, for the address of the result */
  mutations(domain: string, source: BulkSource, base: string): Readonly<Record<string, (args: Args) => GraphNode>> {
    return {
      bulkOperationRunQuery: ({ query, groupObjects }) => {
        const [operation, fault] = this.run(domain, String(query), groupObjects === true, source);
        return this.payload('RunQuery', operation, fault, base);
      },
      bulkOperationCancel: ({ id }) => {
        const operation = this.find(domain, id);
        if (operation === undefined) {
          return this.payload('Cancel', null, ['INVALID', 'Bulk operation does not exist'], base);
        }
        if (this.isUnderWay(operation)) operation.canceledAtMs = this.clock.now();
        return this.payload('Cancel', operation, null, base);
      },
    };
  }

  queries(domain: string, base: string): Readonly<Record<string, (args: Args) => Resolved>> {
    return {
      bulkOperation: ({ id }) => this.node(domain, id, base),
      bulkOperations: (args) => {
        const status = typeof args.query === 'string' ? /status:(?<status>\w+)/.exec(args.query)?.groups?.status : null;
        const sign = args.reverse === true ? 1 : -1; // newest first, unless told otherwise
        const found = [...this.byId.values()]
          .filter((one) => one.domain === domain)
          .filter((one) => status == null || this.statusOf(one) === status.toUpperCase())
          .sort((one, other) => (one.id - other.id) * sign);
        const order = { ...args, reverse: sign < 0 };
        return connection(
          'BulkOperation',
          found,
          order,
          (one) => this.nodeOf(one, base),
          ({ id }) => id,
        );
      },
    };
  }

  /** @returns `null` when the id is no bulk operation of this shop */
  node(domain: string, gid: unknown, base: string): GraphNode | null {
    const operation = this.find(domain, gid);
    return operation === undefined ? null : this.nodeOf(operation, base);
  }

  /** The result's file, at its own address and without the shop's token, as a storage bucket serves it. */
  async serve(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const { id, token } = PATH.exec((request.url ?? '').split('?')[0] ?? '')?.groups ?? {};
    if (id === undefined) return false;
    const operation = this.byId.get(Number(id));
    const isThere = operation?.token === token && operation !== undefined && this.fileOf(operation) !== null;
    if (request.headers['x-shopify-access-token'] !== undefined) {
      response.writeHead(400).end('a shop’s token has no business at the storage');
    } else if (!isThere) {
      response.writeHead(403).end('ExpiredToken');
    } else {
      this.downloads++;
      const isCut = this.trouble === 'cut' && this.downloads % 2 === 1;
      await serveFile(request, response, operation.slices, isCut);
    }
    return true;
  }

  private run(
    domain: string,
    query: string,
    isGrouped: boolean,
    source: BulkSource,
  ): [Operation | null, readonly [code: string, message: string] | null] {
    const running = [...this.byId.values()].filter((one) => one.domain === domain && this.isUnderWay(one));
    if (running.length >= CONCURRENT_MAX) {
      return [null, ['LIMIT_REACHED', 'Bulk operations limit reached. Please try again later.']];
    }
    try {
      const plan = bulkPlan(query);
      const roots = source(plan.root.name, plan.args);
      const nowMs = this.clock.now();
      const wanted = this.trouble === 'fail' ? Math.floor(roots.length / 2) : roots.length;
      const operation: Operation = {
        id: this.numbers.bulkOperation(),
        domain,
        query,
        fate: this.trouble,
        token: this.numbers.uuid(),
        createdAtMs: nowMs,
        dueAtMs: nowMs + (BASE_MS + MS_PER_ORDER * roots.length) / this.timeScale,
        wanted,
        slices: [],
        objects: 0,
        roots: 0,
        isWritten: false,
        canceledAtMs: null,
      };
      this.byId.set(operation.id, operation);
      for (const oldest of this.byId.keys()) {
        if (this.byId.size > KEPT) this.byId.delete(oldest);
      }
      this.write(operation, bulkLines(plan, roots.slice(0, wanted), isGrouped));
      return [operation, null];
    } catch (error) {
      if (!(error instanceof GraphqlError)) throw error;
      return [null, ['INVALID', error.message]];
    }
  }

  /** The first slice at once, the others between what else there is to do. */
  private write(operation: Operation, lines: Iterator<{ line: string; isRoot: boolean }>): void {
    if (operation.canceledAtMs !== null) return;
    const slice: string[] = [];
    while (slice.length < SLICE) {
      const next = lines.next();
      if (next.done === true) {
        operation.isWritten = true;
        break;
      }
      slice.push(next.value.line);
      operation.objects++;
      if (next.value.isRoot) operation.roots++;
    }
    if (slice.length > 0) operation.slices.push(Buffer.from(`${slice.join('\n')}\n`));
    if (!operation.isWritten) {
      setImmediate(() => {
        this.write(operation, lines);
      });
    }
  }

  private isUnderWay(operation: Operation): boolean {
    const status = this.statusOf(operation);
    return status === 'CREATED' || status === 'RUNNING';
  }

  private statusOf(operation: Operation): Status {
    const { fate, createdAtMs, dueAtMs, isWritten, canceledAtMs } = operation;
    const nowMs = this.clock.now();
    if (canceledAtMs !== null) return 'CANCELED';
    if (nowMs < createdAtMs + CREATED_FOR_MS / this.timeScale) return 'CREATED';
    if (fate === 'stall' || nowMs < dueAtMs || !isWritten) return 'RUNNING';
    if (fate === 'fail' || fate === 'deny') return 'FAILED';
    return this.trouble === 'expire' || nowMs >= dueAtMs + RESULTS_LAST_MS ? 'EXPIRED' : 'COMPLETED';
  }

  /** Which of its addresses leads to a file now. */
  private fileOf(operation: Operation): 'url' | 'partialDataUrl' | null {
    if (operation.slices.length === 0) return null;
    const status = this.statusOf(operation);
    if (status === 'COMPLETED') return 'url';
    return status === 'FAILED' && operation.fate === 'fail' ? 'partialDataUrl' : null;
  }

  private nodeOf(operation: Operation, base: string): GraphNode {
    const { id, fate, token, createdAtMs, dueAtMs, slices, query } = operation;
    const status = this.statusOf(operation);
    const share = (this.clock.now() - createdAtMs) / Math.max(1, dueAtMs - createdAtMs);
    const soFar = (all: number) => (fate === 'stall' ? 0 : Math.floor(all * Math.min(1, share)));
    const hasEnded = status !== 'CREATED' && status !== 'RUNNING';
    const file = this.fileOf(operation);
    const address = `${base}/bulk/${id}/${token}.jsonl`;
    return {
      __typename: 'BulkOperation',
      id: gidOf(id),
      status,
      type: 'QUERY',
      query,
      errorCode: status !== 'FAILED' ? null : fate === 'deny' ? 'ACCESS_DENIED' : 'INTERNAL_SERVER_ERROR',
      createdAt: utc(createdAtMs),
      completedAt: status === 'COMPLETED' || status === 'EXPIRED' ? utc(dueAtMs) : null,
      // UnsignedInt64 is text in GraphQL
      objectCount: String(hasEnded ? operation.objects : soFar(operation.objects)),
      rootObjectCount: String(hasEnded ? operation.roots : soFar(operation.roots)),
      fileSize: file === null ? null : String(slices.reduce((sum, { length }) => sum + length, 0)),
      url: file === 'url' ? address : null,
      partialDataUrl: file === 'partialDataUrl' ? address : null,
    };
  }

  private find(domain: string, gid: unknown): Operation | undefined {
    const id = /^gid:\/\/shopify\/BulkOperation\/(?<id>\d+)$/.exec(String(gid))?.groups?.id;
    const operation = this.byId.get(Number(id));
    return operation?.domain === domain ? operation : undefined;
  }

  private payload(
    kind: 'RunQuery' | 'Cancel',
    operation: Operation | null,
    fault: readonly [code: string, message: string] | null,
    base: string,
  ): GraphNode {
    return {
      __typename: `BulkOperation${kind}Payload`,
      bulkOperation: operation && this.nodeOf(operation, base),
      userErrors:
        fault === null
          ? []
          : [{ __typename: 'BulkOperationUserError', field: null, code: fault[0], message: fault[1] }],
    };
  }
}

function gidOf(id: number): string {
  return `gid://shopify/BulkOperation/${id}`;
}

function utc(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}
