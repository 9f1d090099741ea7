import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const RUNBOOKS = fileURLToPath(new URL('../../runbooks/', import.meta.url));

export interface QuotedCommand {
  /** Without `.md`. */
  page: string;
  /** As it is written, placeholders and all. */
  text: string;
}

/** Command lines of ours in a page: in its front matter, its blocks for the terminal, and in code marks in its prose. */
export function commandsOf(page: string, text: string): QuotedCommand[] {
  const [, matter = ''] = /^---\n([\s\S]*?)\n---\n/.exec(text) ?? [];
  const blocks = [...text.matchAll(/^ *```[^\n]*\n([\s\S]*?)^ *```$/gm)].map(([, block = '']) => block);
  const prose = text.replaceAll(/^ *```[^\n]*\n[\s\S]*?^ *```$/gm, '');
  const lines = [
    ...[...matter.matchAll(/^ {2}- (.+)$/gm)].map(([, line = '']) => line),
    ...blocks.flatMap((block) => block.split('\n')),
    ...[...prose.matchAll(/`([^`]+)`/g)].map(([, line = '']) => line.replaceAll(/\s+/g, ' ')),
  ];
  return lines
    .map((line) => line.trim())
    .filter((line) => /^npx plumbline \S/.test(line) || /^curl .*https?:\/\//.test(line))
    .map((line) => ({ page, text: line }));
}

/** Of all runbooks, each once, with the first page that quotes it. */
export function quotedCommands(): QuotedCommand[] {
  const all = readdirSync(RUNBOOKS)
    .filter((name) => name.endsWith('.md'))
    .sort()
    .flatMap((name) => commandsOf(name.replace('.md', ''), readFileSync(join(RUNBOOKS, name), 'utf8')));
  return [...new Map(all.toReversed().map((command) => [command.text, command])).values()].toReversed();
}
