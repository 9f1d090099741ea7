import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { invariant } from '../../kernel/errors.js';

/** A line of front matter as people write it: one word, or several with commas between them. */
const words = z
  .string()
  .transform((text) => text.split(',').map((word) => word.trim()))
  .default([]);

const frontMatter = z.object({
  alert: words,
  signal: z.string().optional(),
  code: z.string().optional(),
  severity: z.coerce.string(),
  firstLook: z.string(),
  commands: z.array(z.string()).default([]),
});

/** One page of `runbooks/`: what to do about an error, a signal, or the alerts of one. */
export interface Runbook {
  /** Of the file, without `.md`; of the address. */
  name: string;
  title: string;
  /** Names of the catalogue. */
  alerts: readonly string[];
  signal: string | null;
  code: string | null;
  /** What it means for orders, in one line. */
  severity: string;
  firstLook: string;
  /** What is typed first, in order. */
  commands: readonly string[];
  /** Markdown, without front matter and title. */
  body: string;
}

const PAGE = /^---\n([\s\S]*?)\n---\n+# (.+)\n([\s\S]*)$/;

/**
 * Reads one page.
 *
 * @throws when it has no front matter or no title: the pages are ours, and a test reads them all
 */
export function readRunbook(name: string, text: string): Runbook {
  const [, matter = '', title = '', body = ''] = PAGE.exec(text) ?? [];
  invariant(title !== '', 'a runbook lacks its front matter or its title', { name });
  const facts = frontMatter.parse(parse(matter));
  return {
    name,
    title,
    alerts: facts.alert,
    signal: facts.signal ?? null,
    code: facts.code ?? null,
    severity: facts.severity,
    firstLook: facts.firstLook,
    commands: facts.commands,
    body,
  };
}

/** All pages, by name. They are part of the release: read once. */
export function readRunbooks(directory = runbooksDirectory()): Runbook[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.md') && file !== 'README.md')
    .sort()
    .map((file) => readRunbook(file.slice(0, -'.md'.length), readFileSync(join(directory, file), 'utf8')));
}

/** What to do first, whatever it is: markdown, a chapter of the pages' own index. */
export function readFirstSteps(directory = runbooksDirectory()): string {
  const index = readFileSync(join(directory, 'README.md'), 'utf8');
  const [, chapter = ''] = /^## First, whatever it is\n([\s\S]*?)^## /m.exec(index) ?? [];
  invariant(chapter !== '', 'the index of the runbooks lacks its first chapter');
  return chapter;
}

/** Beside the build as beside the source: the nearest one above this file. */
function runbooksDirectory(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (let directory = here; ; directory = dirname(directory)) {
    const candidate = join(directory, 'runbooks');
    if (existsSync(join(candidate, 'README.md'))) return candidate;
    invariant(directory !== dirname(directory), 'the release has no runbooks', { from: here });
  }
}
