import { afterEach, expect, it } from 'vitest';
import { Telemetry } from '../../src/kernel/telemetry.js';
import { PIPELINE_BUCKETS, PipelineMetrics, type GaugeReading } from '../../src/pipeline/metrics.js';

const running: Telemetry[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((telemetry) => telemetry.stop()));
});

async function start(): Promise<{ metrics: PipelineMetrics; scrape: () => Promise<Map<string, number>>; url: string }> {
  const telemetry = new Telemetry({ host: '127.0.0.1', port: 0, version: '0.0.0', buckets: PIPELINE_BUCKETS });
  running.push(telemetry);
  const url = await telemetry.start();
  return {
    metrics: new PipelineMetrics(telemetry.meter('pipeline')),
    url,
    scrape: async () => parse(await (await fetch(url)).text()),
  };
}

/** Prometheus text to `name{label="value",…}` without the scope's labels, and its number. */
function parse(text: string): Map<string, number> {
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const [, name = '', labels = '', value = ''] = /^([a-z_:0-9]+)(?:\{(.*)\})? (\S+)$/i.exec(line) ?? [];
        const kept = labels.split(',').filter((label) => label !== '' && !label.startsWith('otel_scope_'));
        return [kept.length > 0 ? `${name}{${kept.join(',')}}` : name, Number(value)];
      }),
  );
}

const READING: GaugeReading = {
  inbox: { backlogEntries: 7, lagSeconds: 1.5 },
  deliveries: [{ destination: 'acme-ga4', backlog: 3, ageSeconds: 12 }],
  deadLetters: [
    { lane: 'ours', open: 1 },
    { lane: 'theirs', open: 0 },
  ],
  held: [{ reason: 'unknown-shop', open: 2 }],
};

it('publishes every instrument under a name that ends with its unit', async () => {
  const { metrics, scrape } = await start();
  metrics.intakeAnswered(0.004, 200);
  metrics.intakeAnswered(0.3, 401);
  metrics.intakeAppended('inbox', 5);
  metrics.webhookRouted('planned', 2);
  metrics.delivered('ga4', 'accepted', 0.02);
  metrics.acceptedAfter('ga4', 0.03);
  metrics.observe(
    () => Promise.resolve(READING),
    () => [
      {
        name: 'router',
        state: 'running',
        lastBeatAt: null,
        ageMs: 2_500,
        staleAfterMs: 30_000,
        consecutiveFailures: 0,
        lastError: null,
      },
    ],
  );
  const series = await scrape();
  expect(Object.fromEntries(series)).toMatchObject({
    'plumbline_intake_answer_duration_seconds_count{status="2xx"}': 1,
    'plumbline_intake_answer_duration_seconds_bucket{status="2xx",le="0.002"}': 0,
    'plumbline_intake_answer_duration_seconds_bucket{status="2xx",le="0.005"}': 1,
    'plumbline_intake_answer_duration_seconds_bucket{status="4xx",le="0.25"}': 0,
    'plumbline_intake_appended_total{where="inbox"}': 5,
    'plumbline_router_webhooks_total{outcome="planned"}': 2,
    'plumbline_delivery_duration_seconds_count{destination_kind="ga4",outcome="accepted"}': 1,
    'plumbline_end_to_end_seconds_bucket{destination_kind="ga4",le="0.025"}': 0,
    'plumbline_end_to_end_seconds_bucket{destination_kind="ga4",le="0.05"}': 1,
    plumbline_inbox_backlog_entries: 7,
    plumbline_inbox_lag_seconds: 1.5,
    'plumbline_delivery_backlog{destination="acme-ga4"}': 3,
    'plumbline_delivery_backlog_age_seconds{destination="acme-ga4"}': 12,
    'plumbline_dead_letters_open{lane="ours"}': 1,
    'plumbline_dead_letters_open{lane="theirs"}': 0,
    'plumbline_held_open{reason="unknown-shop"}': 2,
    'plumbline_loop_age_seconds{loop="router"}': 2.5,
  });
});

it('says NaN for what cannot be read, instead of repeating the last value', async () => {
  const { metrics, scrape } = await start();
  let away = false;
  metrics.observe(
    () => (away ? Promise.reject(new Error('database away')) : Promise.resolve(READING)),
    () => [],
  );
  expect((await scrape()).get('plumbline_inbox_backlog_entries')).toBe(7);
  away = true;
  const series = await scrape();
  expect(series.get('plumbline_inbox_backlog_entries')).toBeNaN();
  expect(series.get('plumbline_delivery_backlog{destination="acme-ga4"}')).toBeNaN();
});

it('says 0 for a series that a reading no longer has', async () => {
  const { metrics, scrape } = await start();
  let reading = READING;
  metrics.observe(
    () => Promise.resolve(reading),
    () => [],
  );
  expect((await scrape()).get('plumbline_held_open{reason="unknown-shop"}')).toBe(2);
  reading = { ...READING, held: [] };
  expect((await scrape()).get('plumbline_held_open{reason="unknown-shop"}')).toBe(0);
});

it('keeps two services in one process apart', async () => {
  const [one, two] = [await start(), await start()];
  one.metrics.intakeAppended('inbox', 1);
  two.metrics.intakeAppended('inbox', 2);
  expect((await one.scrape()).get('plumbline_intake_appended_total{where="inbox"}')).toBe(1);
  expect((await two.scrape()).get('plumbline_intake_appended_total{where="inbox"}')).toBe(2);
});

it('tells nothing of the machine: no command line, no host id; process metrics are there', async () => {
  const { url } = await start();
  const text = await (await fetch(url)).text();
  expect(text).toMatch(/^target_info\{service_name="plumbline",service_version="0\.0\.0"\} 1$/m);
  expect(text).not.toContain(process.cwd());
  expect(text).toMatch(/^nodejs_eventloop_/m);
});

it('answers 404 beside /metrics', async () => {
  const { url } = await start();
  expect((await fetch(url.replace('/metrics', '/'))).status).toBe(404);
});
