import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

interface Tool {
  name: string;
  commands: string[];
  packages: string[];
}

// The same list that `npm test` installs from.
const TOOLS = JSON.parse(readFileSync(new URL('../../scripts/test-tools.json', import.meta.url), 'utf8')) as Tool[];

/** Path of a tool that npm does not install, `null` when it is missing. */
export function toolPath(name: string): string | null {
  const directories = (process.env['PATH'] ?? '').split(delimiter);
  const paths = tool(name).commands.flatMap((command) => directories.map((directory) => join(directory, command)));
  return paths.find((path) => existsSync(path)) ?? null;
}

/**
 * `describe` for tests that need a tool. Without it they are skipped, and their name says how to install it; under
 * CI=true a skip would pass for a success, so it is a failure.
 */
export function requireTool(name: string): (title: string, tests: () => void) => void {
  if (toolPath(name) !== null) return (title, tests) => describe(title, tests);
  const install = `apt-get install -y --no-install-recommends ${tool(name).packages.join(' ')}`;
  if (process.env['CI'] === 'true') throw new Error(`${name} is missing and CI=true allows no skips: ${install}`);
  return (title, tests) => describe.skip(`${title} (skipped: ${name} is missing; ${install})`, tests);
}

function tool(name: string): Tool {
  const found = TOOLS.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`${name} is not in scripts/test-tools.json`);
  return found;
}
