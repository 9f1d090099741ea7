import './kernel/tracing.js';
import { Service, type Addresses } from './app.module.js';
import { FILE_SECTIONS } from './config-sections.js';
import { loadConfig } from './kernel/config.js';
import { configReport, configurationInvalid } from './kernel/config-faults.js';
import { PlumblineError, hasCode, messageOf } from './kernel/errors.js';
import { createLogger, redactText } from './kernel/log.js';
import { tracing } from './kernel/tracing.js';

const EXIT_WITHIN_MS = 10_000;

async function main(): Promise<void> {
  const sinceStartMs = (): number => Math.round(process.uptime() * 1_000);
  const loaded = loadConfig(process.env, { sections: FILE_SECTIONS });
  if (process.argv.includes('--check-config')) {
    const report = configReport(
      {
        faults: loaded.faults ?? [],
        warnings: loaded.config?.warnings ?? [],
        filePath: loaded.config?.filePath ?? null,
      },
      process.argv.includes('--json'),
    );
    process.stdout.write(report.text);
    process.exitCode = report.exitCode;
    return;
  }
  if (!loaded.config) throw configurationInvalid(loaded.faults);
  const { config } = loaded;
  const log = createLogger(config.logLevel);
  for (const warning of config.warnings) log.warn(warning);
  const service = await Service.start(config, log, endWith);
  process.stdout.write(welcome(service.where(), sinceStartMs()));

  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) return;
    stopping = true;
    log.info({ signal }, 'stopping');
    // Leases and the inbox make an unclean end safe; a process that hangs at the end is worse than either.
    setTimeout(() => process.exit(1), EXIT_WITHIN_MS).unref();
    void service
      .stop()
      .then(() => tracing.stop())
      .then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

function welcome(where: Addresses, readyMs: number): string {
  const lines: [string, string][] = [
    ['Start page', `${where.url}/`],
    ['Status page', `${where.url}/status`],
    ['Webhooks', `${where.url}/webhooks/shopify`],
    ['Health', `${where.url}/healthz`],
    ['API', `${where.url}/api/openapi.json`],
  ];
  if (where.metricsUrl) lines.push(['Metrics', where.metricsUrl]);
  if (where.adminTokenPath) lines.push(['Admin token', where.adminTokenPath]);
  if (where.sandboxUrl) lines.push(['Sandbox', `${where.sandboxUrl}  (a pretended world; make trouble here)`]);
  const width = Math.max(...lines.map(([name]) => name.length));
  return [
    '',
    `Plumbline is ready after ${(readyMs / 1_000).toFixed(1)} s.`,
    ...lines.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    '',
    '',
  ].join('\n');
}

function endWith(error: unknown): never {
  if (hasCode(error, 'EADDRINUSE')) {
    process.stderr.write(
      `${messageOf(error)}: another program has this address. Set PORT or PLUMBLINE_METRICS_PORT.\n`,
    );
    process.exit(1);
  }
  const code = error instanceof PlumblineError ? `${error.code}: ` : '';
  process.stderr.write(`${redactText(`${code}${messageOf(error)}`)}\n`);
  if (!(error instanceof PlumblineError) && error instanceof Error)
    process.stderr.write(`${redactText(error.stack ?? '')}\n`);
  process.exit(error instanceof PlumblineError ? error.exitCode : 1);
}

main().catch(endWith);
