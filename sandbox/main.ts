import { fstatSync } from 'node:fs';
import { systemClock } from './clock.js';
import { ControlServer } from './control/server.js';
import { destinations } from './destinations.js';
import { readOptions, type SandboxOptions } from './options.js';
import { Responders } from './responders.js';
import { Mailer } from './shopify/mailer.js';
import { Numbers } from './shopify/numbers.js';
import { World } from './world.js';

const LOOK_MS = 1_000;
const EXIT_CONFIGURATION = 78; // EX_CONFIG of sysexits.h, as the service itself uses it

async function main(): Promise<void> {
  let options: SandboxOptions;
  try {
    options = readOptions(process.argv.slice(2), process.env);
  } catch (error) {
    process.stderr.write(`sandbox: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(EXIT_CONFIGURATION);
  }
  const far = destinations(options.seed, options);
  await Promise.all(far.map((destination) => destination.start()));
  const mailer =
    options.mailTo === null
      ? null
      : new Mailer(options.mailTo, systemClock, new Numbers(options.seed, systemClock.now()));
  const responders = new Responders(systemClock, options.service);
  await responders.start();
  const world = new World({
    responders,
    onMail: (mail) => mailer?.send(mail, mail.isForged ? 'forged' : 'shopify'),
    seed: options.seed,
    clock: systemClock,
    storeCount: options.stores,
    ordersPerSecond: options.rate,
    secret: options.secret,
    oldSecret: options.oldSecret,
    accessToken: options.accessToken,
    serviceUrl: options.service,
    apiVersion: options.apiVersion,
    timeScale: options.timeScale,
    removal: options.removal,
    ordersMax: options.ordersMax,
    readAllOrders: options.readAllOrders,
    destinations: far,
  });
  const control = new ControlServer(world, options.service);
  const controlUrl = await listen(control, options.port);
  // Reads arrivals although nobody looks at the page: the receivers are emptied, and arrival times stay right.
  setInterval(() => {
    world.readArrivals();
    void responders.publicPage.look();
  }, LOOK_MS);
  endWithParent();
  if (options.sellNow) world.start({});

  const address = (name: string) => {
    const { url = '', reports = null } = far.find((destination) => destination.name === name) ?? {};
    return { url, ...reports?.access };
  };
  const ready = {
    ready: true,
    controlUrl,
    stores: [...world.shops.values()].map(({ store }) => ({
      domain: store.domain,
      adminUrl: `${controlUrl}/shops/${store.domain}`,
      accessToken: store.accessToken,
    })),
    destinations: {
      ga4: address('ga4'),
      segment: address('segment'),
      webhook: { ...address('webhook'), secret: far.find(({ name }) => name === 'webhook')?.secret ?? '' },
    },
    ...responders.access(controlUrl),
  };
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

/** @returns the base URL; any free port when the wanted one is taken, for the first line tells the address anyway */
async function listen(control: ControlServer, port: number): Promise<string> {
  try {
    return await control.start(port);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    return control.start(0);
  }
}

/**
 * Never outlives who started it: by signal, by the end of its standard input, or when it finds itself adopted.
 * All state is memory, so there is nothing to save.
 */
function endWithParent(): void {
  const end = () => {
    process.exit(0);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  // Only a pipe is a lifeline: /dev/null of a background job ends at once and means nothing.
  const input = fstatSync(0, { throwIfNoEntry: false });
  if (input?.isFIFO() === true || input?.isSocket() === true) {
    process.stdin.on('end', end).on('error', end).resume();
  }
  process.stdout.on('error', end); // nobody reads any more
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, LOOK_MS);
}

await main();
