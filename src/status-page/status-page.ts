import type { Clock } from '../kernel/clock.js';
import type { Database } from '../kernel/database.js';
import type { Logger } from '../kernel/log.js';
import { Loop, type LoopHealth } from '../kernel/loop.js';
import type { Ids } from '../kernel/random.js';
import type { SignalDesk } from '../monitoring/contract.js';
import type { StatusPageSettings } from './config.js';
import type { StatusDesk, StatusView } from './contract.js';
import { StatusDoor, statusServerFactory, type ServerFactory } from './door.js';
import { Entries } from './entries.js';
import { ExportedCopy } from './exported-copy.js';
import { LastHeard } from './last-heard.js';
import { PublicationWatch } from './publication-watch.js';
import { Publisher, type PublisherPorts } from './publisher.js';
import { ServedPage } from './served-page.js';
import { PublicationStore } from './store.js';

/** How soon the page says what has happened. */
const PUBLISH_EVERY_MS = 5_000;
const READ_EVERY_MS = 2_000;
const EXPORT_EVERY_MS = 2_000;
const LOOK_WHETHER_PUBLISHED_EVERY_MS = 30_000;

export interface StatusPageOptions {
  database: Database;
  dataDir: string;
  processName: string;
  /** Whether this process publishes. Every process serves. */
  watch: boolean;
  settings: StatusPageSettings;
  /** Where this service is reached: the page's address when none is set. */
  serviceUrl: () => string;
  /** `null` = no copy is written. */
  exportDirectory: string | null;
  clock: Clock;
  ids: Ids;
  log: Logger;
  ports: PublisherPorts & { signals: Pick<SignalDesk, 'report' | 'close'> };
}

/**
 * The status page, wired. Publishing judges nothing by itself: it reads what monitoring and alerting say, and writes one
 * snapshot; every process serves that snapshot from memory, and what it says of its age is true whoever has died.
 */
export class StatusPage {
  readonly desk: StatusDesk;
  readonly page: ServedPage;
  private readonly door: StatusDoor;
  private readonly publisher: Publisher;
  private readonly watch: PublicationWatch;
  private readonly store: PublicationStore;
  private readonly heard: LastHeard;
  private readonly loops: Loop[];
  private readonly exporting: Loop | null;

  constructor(private readonly options: StatusPageOptions) {
    const { database, clock, log, ids, processName } = options;
    const { title, contact, components } = options.settings;
    this.page = new ServedPage({
      clock,
      settings: () => ({ title, url: this.url(), contact: contact ?? null, components }),
    });
    this.door = new StatusDoor(this.page);
    this.store = new PublicationStore(database);
    this.heard = new LastHeard(options.dataDir, processName);
    const shown = (id: string) => this.page.now().components.find((each) => each.id === id)?.state ?? null;
    const entries = new Entries({ database, clock, ids, shown });
    this.publisher = new Publisher({ ...options.ports, clock, store: this.store, entries });
    this.watch = new PublicationWatch({ store: this.store, signals: options.ports.signals, clock });
    this.desk = {
      status: () => this.view(),
      entries: (filter, page) => entries.entries(filter, page),
      say: async (given) => {
        const said = await entries.say(given);
        if (said !== null && 'entry' in said) this.wake();
        return said;
      },
      end: async (id, actor) => {
        const ended = await entries.end(id, actor);
        this.wake();
        return ended;
      },
    };
    const loop = (name: string, pauseMs: number, round: () => Promise<unknown>): Loop =>
      new Loop({
        name,
        pauseMs,
        clock,
        log,
        round: async () => {
          await round();
          return 'idle';
        },
      });
    this.loops = [
      loop('status-page-reader', READ_EVERY_MS, () => this.hear()),
      ...(options.watch
        ? [
            loop('status-page', PUBLISH_EVERY_MS, () => this.publish()),
            loop('status-page-watch', LOOK_WHETHER_PUBLISHED_EVERY_MS, () => this.lookWhetherPublished()),
          ]
        : []),
    ];
    const { exportDirectory: directory } = options;
    const copy = directory === null ? null : new ExportedCopy({ directory, page: this.page, clock, mark: processName });
    this.exporting = copy && loop('status-page-export', EXPORT_EVERY_MS, () => copy.round());
    if (this.exporting) this.loops.push(this.exporting);
  }

  /** Serves and exports from here on, at first what was last heard. The database may still be away. */
  async open(): Promise<void> {
    const last = await this.heard.read();
    if (last !== null) this.page.take(last);
    this.exporting?.start();
  }

  /** The schema is there from here on. */
  start(): void {
    for (const loop of this.loops) loop.start();
  }

  /** Looks and publishes once: for `start`'s loop, and for who drives the clock. */
  async publish(): Promise<void> {
    this.page.take(await this.publisher.round());
  }

  /** Looks once whether somebody publishes. */
  lookWhetherPublished(): Promise<void> {
    return this.watch.round();
  }

  /** Reads what is published, once. */
  async hear(): Promise<void> {
    const publication = await this.store.read();
    if (publication === null) return;
    this.page.take(publication);
    await this.heard.keep(publication);
  }

  health(): LoopHealth[] {
    return this.loops.map((loop) => loop.health());
  }

  async stop(): Promise<void> {
    await Promise.all(this.loops.map((loop) => loop.stop()));
  }

  /**
   * A server that answers `/status` itself and hands everything else on.
   *
   * @param below what makes the server, and sees every request first; by default a plain one
   */
  serverFactory(below?: ServerFactory): ServerFactory {
    return statusServerFactory(this.door, below);
  }

  private url(): string {
    return this.options.settings.url ?? `${this.options.serviceUrl() || 'http://localhost'}/status`;
  }

  private wake(): void {
    for (const loop of this.loops) loop.wake();
  }

  private view(): StatusView {
    const { publication, state, headline, components } = this.page.now();
    return {
      world: publication.snapshot.world,
      state,
      headline,
      confirmedAt: publication.confirmedAtMs === 0 ? null : new Date(publication.confirmedAtMs),
      components: components.map(({ id, name, state: shown, why, proof, component }) => ({
        id,
        name,
        state: shown,
        why,
        proof: proof && { at: new Date(proof.atMs), until: new Date(proof.goodUntilMs), by: proof.by },
        changedAt: new Date(component.changedAtMs),
      })),
    };
  }
}
