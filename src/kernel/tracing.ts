/**
 * Traces, only when somebody collects them. `src/main.ts` imports this file before anything else: the
 * instrumentations patch http, undici and pg, and what was imported earlier stays unpatched.
 * Source: OpenTelemetry JavaScript, "Instrumentation"; the standard OTEL_* variables configure the exporter.
 */
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
    // Metrics have their own provider (telemetry.ts); logs go to standard output.
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [
      new HttpInstrumentation({ disableIncomingRequestInstrumentation: false }),
      new UndiciInstrumentation(),
      // Statements carry no values: those hold shops' data.
      new PgInstrumentation({ enhancedDatabaseReporting: false, requireParentSpan: true }),
    ],
  });
  sdk.start();
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
