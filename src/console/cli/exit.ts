/** What the command line ends with. Documented in src/console/README.md; scripts rely on it. */
export const EXIT = {
  ok: 0,
  /** The answer is no: not found, not healthy, nothing matched. */
  no: 1,
  usage: 2,
  /** The service cannot be reached or cannot answer. */
  unavailable: 69,
  /** No token, a wrong one, or one with too small a role. */
  notAllowed: 77,
  configuration: 78,
} as const;

/** Ends the command with a message for people. */
export class CliFailure extends Error {
  constructor(
    readonly exitCode: number,
    message: string,
  ) {
    super(message);
    this.name = 'CliFailure';
  }
}
