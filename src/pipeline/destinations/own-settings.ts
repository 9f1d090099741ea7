import type { z } from 'zod';
import type { Destination } from '../contract.js';

type Own = Destination['settings']['own'];

/**
 * A kind's own settings, parsed once for each version of a destination. Settings are checked when they are written;
 * a destination that fails here was stored by another release.
 */
export class OwnSettings<Settings> {
  private readonly parsed = new WeakMap<Own, Settings | Error>();

  constructor(private readonly schema: z.ZodType<Settings>) {}

  /** @throws Error naming the keys at fault, never their values */
  of(destination: Destination): Settings {
    const { own } = destination.settings;
    let settings = this.parsed.get(own);
    if (settings === undefined) {
      const result = this.schema.safeParse(own);
      settings = result.success
        ? result.data
        : new Error(
            `settings of ${destination.name}: ${this.faults(own)
              .map(({ key, message }) => `${key}: ${message}`)
              .join('; ')}`,
          );
      this.parsed.set(own, settings);
    }
    if (settings instanceof Error) throw settings;
    return settings;
  }

  /** For formatting, which must not fail for a destination's fault: sending will report it. */
  orNull(destination: Destination): Settings | null {
    try {
      return this.of(destination);
    } catch {
      return null;
    }
  }

  /** Each fault with its key; a wrong value is not repeated, it may be a secret. */
  faults(own: Own): { key: string; message: string }[] {
    const result = this.schema.safeParse(own);
    if (result.success) return [];
    return result.error.issues.flatMap((issue) => {
      if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ key, message: 'is not a setting' }));
      return [{ key: issue.path.join('.') || 'own', message: issue.message }];
    });
  }
}
