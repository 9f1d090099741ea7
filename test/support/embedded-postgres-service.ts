// A service in miniature, for tests that must kill one: starts the embedded PostgreSQL on the directory given as its
// first argument, says so in one line of JSON, and runs until it is told `stop` on its standard input or killed.
import { EmbeddedPostgres } from '../../src/kernel/embedded-postgres.js';
import { PlumblineError, messageOf } from '../../src/kernel/errors.js';
import { silentLogger } from '../../src/kernel/log.js';

function say(fact: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(fact)}\n`);
}

try {
  const server = await EmbeddedPostgres.start({ dataDir: process.argv[2] ?? '', log: silentLogger });
  say({ pid: server.pid, adopted: server.adopted, url: server.url('postgres') });
  process.stdin.once('data', () => {
    void server.stop().then(() => process.exit(0));
  });
} catch (error) {
  say({ code: error instanceof PlumblineError ? error.code : null, message: messageOf(error) });
  process.exitCode = 1;
}
