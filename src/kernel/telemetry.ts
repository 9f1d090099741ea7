import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Meter } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { RuntimeNodeInstrumentation } from '@opentelemetry/instrumentation-runtime-node';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { AggregationType, MeterProvider, type ViewOptions } from '@opentelemetry/sdk-metrics';

/** Buckets of one histogram: upper bounds, in the unit its name ends with. */
export interface Buckets {
  instrument: string;
  bounds: readonly number[];
}

export interface TelemetryOptions {
  host: string;
  /** 0 = any free port. */
  port: number;
  version: string;
  buckets: readonly Buckets[];
  /** Process metrics (event loop, heap, collector). Default true. */
  runtimeMetrics?: boolean;
}

/**
 * Metrics for Prometheus. Nothing is global: two services in one process each have their own provider and port.
 *
 * What to know of the exporter: it does not append units, so names end with theirs; the resource is fixed, because
 * the detectors would publish the command line and the host's id.
 */
export class Telemetry {
  private readonly exporter = new PrometheusExporter({ preventServerStart: true });
  private readonly provider: MeterProvider;
  private readonly runtime: RuntimeNodeInstrumentation | null;
  private server: Server | null = null;

  constructor(private readonly options: TelemetryOptions) {
    this.provider = new MeterProvider({
      resource: resourceFromAttributes({ 'service.name': 'plumbline', 'service.version': options.version }),
      readers: [this.exporter],
      views: options.buckets.map(view),
    });
    this.runtime = options.runtimeMetrics === false ? null : new RuntimeNodeInstrumentation();
    this.runtime?.setMeterProvider(this.provider);
  }

  meter(scope: string): Meter {
    return this.provider.getMeter(scope, this.options.version);
  }

  /** @returns the address of `/metrics` */
  async start(): Promise<string> {
    const server = createServer((request, response) => {
      response.setHeader('x-content-type-options', 'nosniff');
      if (request.method === 'GET' && request.url?.split('?')[0] === '/metrics') {
        this.exporter.getMetricsRequestHandler(request, response);
        return;
      }
      response.writeHead(404, { 'content-type': 'text/plain' }).end('metrics are at /metrics\n');
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.options.port, this.options.host, resolve);
    });
    this.server = server;
    const { port } = server.address() as AddressInfo;
    const host = this.options.host.includes(':') ? `[${this.options.host}]` : this.options.host;
    return `http://${host}:${port}/metrics`;
  }

  async stop(): Promise<void> {
    this.runtime?.disable();
    const { server } = this;
    if (server) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    await this.provider.shutdown();
  }
}

function view({ instrument, bounds }: Buckets): ViewOptions {
  return {
    instrumentName: instrument,
    aggregation: { type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM, options: { boundaries: [...bounds] } },
  };
}
