import type { BulkLines } from './bulk-lines.js';

/** A listing goes on within seconds, or its run has been given up; the file can be opened again from its byte. */
const KEPT_MS = 60_000;

/** Files between two steps: opening one anew for each thousand orders would cost more than reading them. */
export class OpenBulkFiles {
  private readonly kept = new Map<string, { lines: BulkLines; timer: NodeJS.Timeout }>();

  /** Takes the file out. @returns `undefined` when it is not open, or stands elsewhere */
  take(operationId: string, byte: number): BulkLines | undefined {
    const found = this.kept.get(operationId);
    if (!found) return undefined;
    this.kept.delete(operationId);
    clearTimeout(found.timer);
    if (found.lines.at === byte) return found.lines;
    found.lines.close();
    return undefined;
  }

  keep(operationId: string, lines: BulkLines): void {
    this.take(operationId, lines.at)?.close();
    const timer = setTimeout(() => this.take(operationId, lines.at)?.close(), KEPT_MS).unref();
    this.kept.set(operationId, { lines, timer });
  }

  close(): void {
    for (const [operationId, { lines }] of this.kept) this.take(operationId, lines.at)?.close();
  }
}
