import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a child process can be asked: name → what it takes and what it gives. */
export type Api = Record<string, { takes: unknown; gives: unknown }>;

interface Question {
  id: number;
  name: string;
  argument: unknown;
}

type Answer = { id: number; given: unknown } | { id: number; error: string };

const KILL_AFTER_MS = 2_000;

/** A process of its own that answers questions. Dies with this one. */
export class Child<A extends Api> {
  private readonly waiting = new Map<number, { resolve: (given: unknown) => void; reject: (error: Error) => void }>();
  private questions = 0;
  private ended = false;
  private readonly end: Promise<void>;

  private constructor(private readonly process: ChildProcess) {
    process.on('message', (message) => this.hear(message as Answer));
    this.end = new Promise((resolve) => {
      process.once('exit', (code, signal) => {
        this.ended = true;
        for (const { reject } of this.waiting.values()) {
          reject(new Error(`a child process ended (${signal ?? code})`));
        }
        this.waiting.clear();
        resolve();
      });
    });
  }

  /** @param name file in `children/`, without its ending @param nodeArguments for Node itself */
  static start<A extends Api>(name: string, nodeArguments: readonly string[] = []): Child<A> {
    const file = fileURLToPath(new URL(`children/${name}.js`, import.meta.url));
    // Advanced: typed arrays of a few hundred thousand latencies pass quickly.
    return new Child<A>(fork(file, [], { serialization: 'advanced', execArgv: [...nodeArguments] }));
  }

  get pid(): number {
    const { pid } = this.process;
    if (pid === undefined) throw new Error('a child process did not start');
    return pid;
  }

  call<Name extends keyof A & string>(name: Name, argument: A[Name]['takes']): Promise<A[Name]['gives']> {
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(new Error(`a child process was asked to ${name} after its end`));
      const id = ++this.questions;
      this.waiting.set(id, { resolve, reject });
      this.process.send({ id, name, argument } satisfies Question);
    });
  }

  /** Ends it: politely, so that a profile is written, and after two seconds by force. */
  async kill(): Promise<void> {
    if (this.process.connected) this.process.disconnect();
    const timer = setTimeout(() => this.process.kill('SIGKILL'), KILL_AFTER_MS);
    await this.end;
    clearTimeout(timer);
  }

  private hear(answer: Answer): void {
    const asker = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ('error' in answer) asker?.reject(new Error(answer.error));
    else asker?.resolve(answer.given);
  }
}

/** Answers questions from now on, and ends when the asker has gone. */
export function answer<A extends Api>(handlers: {
  [Name in keyof A]: (argument: A[Name]['takes']) => Promise<A[Name]['gives']> | A[Name]['gives'];
}): void {
  process.on('message', (message) => {
    const { id, name, argument } = message as Question;
    const reply = (what: Answer): void => void process.send?.(what);
    Promise.resolve()
      .then(() => handlers[name as keyof A](argument))
      .then(
        (given) => reply({ id, given }),
        (error: unknown) =>
          reply({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
  });
  process.once('disconnect', () => process.exit());
  // A signal often reaches the whole group; only the first process decides when the others end.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
}
