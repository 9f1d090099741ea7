/**
 * What a person must act on has a code here, with its meaning and its runbook.
 * `docs/errors.md` and `runbooks/` are held against this list by a test.
 */
export const ERRORS = {
  CONFIGURATION_INVALID: {
    exitCode: 78,
    meaning: 'The configuration has faults; every one is listed. Nothing was started.',
    runbook: 'configuration-invalid',
  },
  DATABASE_UNREACHABLE: {
    exitCode: 69,
    meaning: 'PostgreSQL cannot be reached. Intake keeps answering from the journal; deliveries wait.',
    runbook: 'database-unreachable',
  },
  DATABASE_NOT_DURABLE: {
    exitCode: 78,
    meaning: 'PostgreSQL runs with fsync, synchronous_commit or full_page_writes off: a 200 would not mean durable.',
    runbook: 'database-not-durable',
  },
  DATA_DIRECTORY_UNUSABLE: {
    exitCode: 73,
    meaning: 'The data directory cannot be written: read-only, full, or owned by somebody else.',
    runbook: 'data-directory-unusable',
  },
  DATA_DIRECTORY_IN_USE: {
    exitCode: 75,
    meaning: 'Another Plumbline runs on this data directory. Two would each believe they own its database.',
    runbook: 'data-directory-in-use',
  },
  EMBEDDED_DATABASE_FAILED: {
    exitCode: 70,
    meaning: 'The embedded PostgreSQL could not be started; the last lines of its log are in the message.',
    runbook: 'embedded-database-failed',
  },
  SECRET_KEY_MISSING: {
    exitCode: 78,
    meaning: 'Something stored was encrypted with a key that PLUMBLINE_SECRET_KEY does not hold any more.',
    runbook: 'secret-key-missing',
  },
} as const satisfies Record<string, { exitCode: number; meaning: string; runbook: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** A failure that a person must act on. The message says what failed and what to do next; it never holds a secret. */
export class PlumblineError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'PlumblineError';
  }

  get exitCode(): number {
    return ERRORS[this.code].exitCode;
  }
}

/** What we did wrong. It stops the step, shows in the health of its loop, and stays on in production. */
export class InvariantBroken extends Error {
  constructor(
    message: string,
    readonly facts: Record<string, unknown> = {},
  ) {
    super(`invariant broken: ${message}`);
    this.name = 'InvariantBroken';
  }
}

export function invariant(condition: unknown, message: string, facts: Record<string, unknown> = {}): asserts condition {
  if (!condition) throw new InvariantBroken(message, facts);
}

/** Whether it failed for this reason: a system error's code (`ENOENT`), or PostgreSQL's SQLSTATE. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** A message for a log or a person from anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return error.errors.map((inner) => messageOf(inner)).join('; ');
  }
  return error instanceof Error ? error.message || error.name : String(error);
}
