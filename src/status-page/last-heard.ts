import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from './atomic-file.js';
import type { Publication } from './snapshot.js';

const SHAPE = 1;

/**
 * What was last heard of the page, in a file: a process that starts while the database is away still serves it, with its
 * age.
 */
export class LastHeard {
  private version: string | null = null;

  constructor(
    private readonly dataDir: string,
    private readonly mark: string,
  ) {}

  /** `null` = nothing was heard here before, or nothing readable. */
  async read(): Promise<Publication | null> {
    try {
      const { shape, publication } = JSON.parse(await readFile(this.path, 'utf8')) as {
        shape: number;
        publication: Publication;
      };
      return shape === SHAPE ? publication : null;
    } catch {
      return null;
    }
  }

  /** Once for each change; the confirmations in between are not worth a write. */
  async keep(publication: Publication): Promise<void> {
    if (this.version === publication.version) return;
    await writeWhole(this.path, JSON.stringify({ shape: SHAPE, publication }), this.mark);
    this.version = publication.version;
  }

  private get path(): string {
    return join(this.dataDir, 'status-page.json');
  }
}
