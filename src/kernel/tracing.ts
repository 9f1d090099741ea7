/**
 * Traces, only when somebody collects them. `src/main.ts` imports this file before anything else: the
 * instrumentations patch http, undici and pg, and what was imported earlier stays unpatched.
 * Source: OpenTelemetry JavaScript, "Instrumentation"; the standard OTEL_* variables configure the exporter.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { PgInstrumentation } from '@opentelemetry/instrumentation-pg';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { NodeSDK } from '@opentelemetry/sdk-node';

function start(): NodeSDK | null {
  if (!process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] && !process.env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']) return null;
  const sdk = new NodeSDK({
    // The detectors would publish the command line, the host's id and its owner.
    resourceDetectors: [],
    resource: resourceFromAttributes({ 'service.name': process.env['OTEL_SERVICE_NAME'] ?? 'plumbline' }),
    // Metrics have their own provider (telemetry.ts); logs go to standard error.
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [
      // Served requests; everything outgoing is undici's.
      new HttpInstrumentation({
        disableOutgoingRequestInstrumentation: true,
        // The path of an inbound callback is its password.
        ignoreIncomingRequestHook: ({ url }) => url?.startsWith('/inbound/') === true,
      }),
      // GA4's query holds its secret and a customer's path may be one: an outgoing call is named by its origin only.
      new UndiciInstrumentation({
        startSpanHook: ({ origin }) => ({ 'url.full': origin, 'url.path': '', 'url.query': '' }),
      }),
      // Statements carry no values: those hold shops' data.
      new PgInstrumentation({ enhancedDatabaseReporting: false, requireParentSpan: true }),
    ],
  });
  sdk.start();
  // The HTTP instrumentation patches what is required after it. Node's own modules are patched here and now, for
  // importers too, so that it does not matter who loads them first and how.
  const require = createRequire(import.meta.url);
  require('node:http');
  require('node:https');
  syncBuiltinESMExports();
  return sdk;
}

const sdk = start();

export const tracing = {
  /** Whether traces are exported. */
  on: sdk !== null,
  /** Sends what is buffered. */
  stop: async (): Promise<void> => {
    await sdk?.shutdown();
  },
};
