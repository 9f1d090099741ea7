import 'reflect-metadata';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EXIT } from './exit.js';
import { runCli } from './program.js';

const SERVICE = fileURLToPath(new URL('../../main.js', import.meta.url));

/** The service itself checks: only the wiring knows every area's section, and the report is the one a start prints. */
function checkConfig(json: boolean): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [SERVICE, '--check-config', ...(json ? ['--json'] : [])], {
      stdio: 'inherit',
    });
    child.once('error', () => resolve(EXIT.configuration));
    child.once('exit', (code) => resolve(code ?? EXIT.configuration));
  });
}

process.exitCode = await runCli(process.argv.slice(2), {
  env: process.env,
  cwd: process.cwd(),
  width: process.stdout.columns ?? 0,
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  checkConfig,
});
