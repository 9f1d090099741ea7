/**
 * What the plain handler is made of. Figures are ours unless a source is named; each has its reason, and
 * docs/replay-2019.md repeats them beside what came of them.
 */
export interface PlainSettings {
  /** Engines (worker processes) in the pool, all on hosts that answer the uptime ping. */
  engines: number;
  /** Work of one webhook on an engine's one thread: parse, look up, format. Milliseconds. */
  cpuMs: number;
  /** Waiting for Shopify's look-up and for two destinations, one after the other, while Shopify waits. Median, milliseconds. */
  callsMs: number;
  /** Memory of an engine just started, and where it ends. Megabytes. */
  memoryMb: { start: number; limit: number };
  /** What each webhook leaves behind at the middle engine, kilobytes, and how far engines are apart (sigma of a log-normal). */
  leakKb: number;
  leakSpread: number;
  /** Above this share of its memory an engine spends more and more of its time collecting garbage. */
  collectAbove: number;
  /** How many times slower it is just before the end. */
  collectWorst: number;
  /** Requests that wait at one engine at the most; more are refused. */
  waitingMax: number;
  /** What a waiting request holds. Megabytes. */
  waitingMb: number;
  /** Webhooks of all stores together for each one of the stores that are looked at. */
  fleet: number;
}

export const PLAIN_2019: Readonly<PlainSettings> = {
  engines: 10,
  cpuMs: 120, // eight a second and engine: ten of them stand four times the average load, which looked like plenty
  callsMs: 700,
  memoryMb: { start: 220, limit: 1_400 }, // V8's own limit of old space on 64 bits in 2019
  leakKb: 2.8, // a few hundred thousand webhooks to the end: days, so no test and no deploy shows it
  leakSpread: 0.5, // kept connections tie stores to engines, and a few stores have the large orders
  collectAbove: 0.75,
  collectWorst: 4,
  waitingMax: 512, // the usual backlog of a listening socket
  waitingMb: 0.5, // body, parsed body and what was looked up for it
  fleet: 2_400, // two stores stand for a fleet of thousands
};
