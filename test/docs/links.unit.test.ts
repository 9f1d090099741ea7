import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CATALOGUE } from '../../src/alerting/catalogue.js';
import { ERRORS, type ErrorCode } from '../../src/kernel/errors.js';
import { SIGNAL_KINDS } from '../../src/monitoring/contract.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDERS = ['docs', 'runbooks', 'src', 'sandbox', 'bench', 'test'];
/** Made by running something, so not there in a clean clone. */
const MADE_LATER = /^bench\/results\//;

const inRoot = (path: string): string => relative(ROOT, path);

const documents = [
  ...readdirSync(ROOT).map((name) => join(ROOT, name)),
  ...FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(ROOT, folder, name)),
  ),
]
  .filter((path) => path.endsWith('.md') && !MADE_LATER.test(inRoot(path)))
  .map((path) => ({ name: inRoot(path), path, text: readFileSync(path, 'utf8') }));

/** Without fenced blocks: what stands in them is for a terminal. */
function proseOf(text: string): string {
  return text.replaceAll(/^( *)(```+)[^\n]*\n[\s\S]*?^\1\2 *$/gm, '');
}

/** Without the chapter that cites outside sources: files named there are in the repositories of others. */
function withoutSources(text: string): string {
  return text.replaceAll(/^## Sources$[\s\S]*?(?=^## |(?![\s\S]))/gm, '');
}

/** As GitHub makes it: lower case, no punctuation, hyphens for blanks. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');
}

function anchorsOf(text: string): string[] {
  return [...proseOf(text).matchAll(/^#+ +(.+)$/gm)].map(([, heading = '']) => anchorOf(heading));
}

function brokenLinks({ path, text }: { path: string; text: string }): string[] {
  const targets = [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [file = '', anchor] = target.split('#');
      const found = file === '' ? path : resolve(dirname(path), file);
      if (!existsSync(found)) return true;
      return anchor !== undefined && !anchorsOf(readFileSync(found, 'utf8')).includes(anchor);
    });
}

/** Files and folders of the project that a text names in code marks, from the root or from where the text lies. */
function missingPaths({ path, text }: { path: string; text: string }): string[] {
  const prose = withoutSources(proseOf(text));
  return [...prose.matchAll(/`((?:src|test|sandbox|bench|scripts|docs|runbooks)\/[\w./-]*)`/g)]
    .map(([, name = '']) => name)
    .filter((name) => !MADE_LATER.test(name))
    .filter((name) => !existsSync(join(ROOT, name)) && !existsSync(join(dirname(path), name)));
}

/** `test/file.ts` "the name of a test": a promise that somebody relies on. */
function missingTests(text: string): string[] {
  return [...text.matchAll(/`(test\/[\w./-]+\.ts)`\s+"([^"]+)"/g)]
    .map(([, file = '', words = '']) => ({ file, words: words.replaceAll(/\s+/g, ' ') }))
    .filter(({ file, words }) => !readFileSync(join(ROOT, file), 'utf8').includes(words))
    .map(({ file, words }) => `${file}: ${words}`);
}

/** The keys of a page's front matter. */
function frontMatter(text: string): Map<string, string> {
  const [, block = ''] = /^---\n([\s\S]*?)\n---\n/.exec(text) ?? [];
  return new Map(block.split('\n').map((line) => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1).trim()]));
}

it('finds the documents', () => {
  expect(documents.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['README.md', 'ARCHITECTURE.md', 'docs/glossary.md', 'runbooks/README.md']),
  );
});

describe.each(documents)('$name', (document) => {
  it('links to what is there', () => {
    expect(brokenLinks(document)).toEqual([]);
  });

  it('names files that are there', () => {
    expect(missingPaths(document)).toEqual([]);
  });

  it('names tests by the words they have', () => {
    expect(missingTests(document.text)).toEqual([]);
  });
});

describe('the checks themselves', () => {
  const path = join(ROOT, 'README.md');

  it('find a link to a file or a heading that is not there', () => {
    const text = '[a](nowhere.md) [b](LICENSE) [c](https://x.test/y) [d](#what-a-200-means) [e](#no-such-heading)';
    expect(brokenLinks({ path, text })).toEqual(['nowhere.md', '#no-such-heading']);
  });

  it('find a file that is not there, but not in a block for the terminal or among the sources of others', () => {
    const text =
      '`src/main.ts` `src/gone.ts`\n```\n`src/also-gone.ts`\n```\n## Sources\n`src/theirs.md`\n## More\n`docs/gone.md`';
    expect(missingPaths({ path, text })).toEqual(['src/gone.ts', 'docs/gone.md']);
  });

  it('find a test that has been renamed', () => {
    const here = '`test/docs/links.unit.test.ts`';
    const renamed = `no test ${'of this name'}`;
    expect(missingTests(`${here}\n  "finds the\n documents", ${here} "${renamed}"`)).toEqual([
      `test/docs/links.unit.test.ts: ${renamed}`,
    ]);
  });
});

describe('runbooks', () => {
  const index = (): string => readFileSync(join(ROOT, 'runbooks/README.md'), 'utf8');

  it.each(Object.keys(ERRORS) as ErrorCode[])('have a page for %s that says its code and exit code', (code) => {
    const { runbook, exitCode } = ERRORS[code];
    const facts = frontMatter(readFileSync(join(ROOT, 'runbooks', `${runbook}.md`), 'utf8'));
    expect(facts.get('code')).toBe(code);
    expect(facts.get('exitCode')).toBe(String(exitCode));
    expect(facts.get('severity')).toBeTruthy();
    expect(facts.get('firstLook')).toBeTruthy();
  });

  const signalPages = readdirSync(join(ROOT, 'runbooks'))
    .filter((name) => name !== 'README.md')
    .map((name) => ({ name, facts: frontMatter(readFileSync(join(ROOT, 'runbooks', name), 'utf8')) }))
    .filter(({ facts }) => facts.has('signal'));

  it.each(signalPages)('$name is for a signal that there is, and says how grave it is', ({ name, facts }) => {
    expect(SIGNAL_KINDS).toContain(name.replace('.md', ''));
    expect(facts.get('signal')).toBe(name.replace('.md', ''));
    expect(facts.get('severity')).toBeTruthy();
    expect(facts.get('firstLook')).toBeTruthy();
  });

  it.each(CATALOGUE.map(({ name, runbook }) => [name, runbook]))('have a page for the alert %s', (_, runbook) => {
    expect(existsSync(join(ROOT, 'runbooks', `${runbook}.md`)) ? 'is there' : `${runbook}.md is missing`).toBe(
      'is there',
    );
  });

  it('are all for an error, a signal or an alert that there is, and all in the index', () => {
    const pages = readdirSync(join(ROOT, 'runbooks')).filter((name) => name !== 'README.md');
    const forErrors = Object.values(ERRORS).map(({ runbook }) => `${runbook}.md`);
    const forAlerts = CATALOGUE.map(({ runbook }) => `${runbook}.md`);
    const owed = new Set([...forErrors, ...forAlerts, ...signalPages.map(({ name }) => name)]);
    expect(pages.sort()).toEqual([...owed].sort());
    for (const name of forAlerts) expect(index()).toContain(`](${name})`);
    for (const [code, { exitCode, runbook }] of Object.entries(ERRORS)) {
      expect(index()).toMatch(new RegExp(`\\| \`${code}\` +\\| ${exitCode} .*\\(${runbook}\\.md\\)`));
    }
    for (const { name } of signalPages) expect(index()).toContain(`](${name})`);
  });
});
