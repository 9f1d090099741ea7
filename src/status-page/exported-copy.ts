import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../kernel/clock.js';
import { writeWhole } from './atomic-file.js';
import type { ServedPage } from './served-page.js';
import { copyOf } from './site.js';

/** The copy says when it was written, and it must not look older than it is. */
const RENEWED_EVERY_MS = 60_000;

/**
 * A complete copy of the page in a directory, for a host that is up when we are not. Written whenever the page says
 * something else, and each minute for its age.
 */
export class ExportedCopy {
  private written: { version: string; atMs: number } | null = null;
  private readonly texts = new Map<string, string>();

  constructor(
    private readonly deps: {
      directory: string;
      page: Pick<ServedPage, 'now'>;
      clock: Clock;
      /** Tells processes apart that write the same directory. */
      mark: string;
    },
  ) {}

  /** @returns whether anything was due */
  async round(): Promise<boolean> {
    const { directory, page, clock, mark } = this.deps;
    const look = page.now();
    const atMs = clock.nowMs();
    const { version } = look.publication;
    const isDue = this.written?.version !== version || atMs - this.written.atMs >= RENEWED_EVERY_MS;
    if (!isDue) return false;
    const files = copyOf(look, { writtenAtMs: atMs });
    for (const [path, text] of files) {
      if (this.texts.get(path) === text) continue;
      await writeWhole(join(directory, path), text, mark);
      this.texts.set(path, text);
    }
    await this.forget(new Set(look.publication.snapshot.incidents.map(({ id }) => id)));
    this.written = { version, atMs };
    return true;
  }

  /** Pages of incidents that are listed no more, of another world among them. Nothing else in the directory is touched. */
  private async forget(known: ReadonlySet<string>): Promise<void> {
    const { directory } = this.deps;
    const there = await readdir(join(directory, 'incidents')).catch(() => []);
    for (const id of there.filter((name) => /^[0-9a-z]{12}$/.test(name) && !known.has(name))) {
      await rm(join(directory, 'incidents', id, 'index.html'), { force: true });
      this.texts.delete(`incidents/${id}/index.html`);
    }
  }
}
