export interface Until {
  /** Ends after so many jobs, … */
  jobs: number;
  /** … or after so many seconds. */
  seconds: number;
  /** Jobs of one slice, each timed by itself; `null` = one slice. */
  slice: number | null;
}

export interface Slice {
  seconds: number;
  appSeconds: number;
  databaseSeconds: number;
}

export interface Drained {
  jobs: number;
  seconds: number;
  slices: readonly Slice[];
}

interface Mark {
  atMs: number;
  app: number;
  database: number;
}

/** Counts jobs as they are done, and notes what each slice of them cost. */
export class Progress {
  /** Resolves when enough is done or the time is up. */
  readonly over: Promise<void>;
  isOver = false;
  private done = 0;
  private end: () => void = () => undefined;
  private readonly marks: Mark[];
  private lastMs: number;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly until: Until,
    private readonly databaseSeconds: () => number,
  ) {
    this.over = new Promise((resolve) => (this.end = resolve));
    this.marks = [this.mark()];
    this.lastMs = performance.now();
    this.timer = setTimeout(() => this.finish(), until.seconds * 1000);
  }

  add(jobs: number): void {
    this.done += jobs;
    this.lastMs = performance.now();
    const { slice } = this.until;
    if (slice !== null && this.done >= slice * this.marks.length) this.marks.push(this.mark());
    if (this.done >= this.until.jobs) this.finish();
  }

  result(): Drained {
    clearTimeout(this.timer);
    return {
      jobs: this.done,
      seconds: (this.lastMs - (this.marks[0]?.atMs ?? 0)) / 1000,
      slices: this.marks.slice(1).map((mark, index) => {
        const before = this.marks[index] as Mark;
        return {
          seconds: (mark.atMs - before.atMs) / 1000,
          appSeconds: mark.app - before.app,
          databaseSeconds: mark.database - before.database,
        };
      }),
    };
  }

  private finish(): void {
    this.isOver = true;
    this.end();
  }

  private mark(): Mark {
    const { user, system } = process.cpuUsage();
    return { atMs: performance.now(), app: (user + system) / 1e6, database: this.databaseSeconds() };
  }
}
