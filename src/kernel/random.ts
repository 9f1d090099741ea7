import { randomBytes, randomUUID } from 'node:crypto';

/** Chance, given by constructor. `next` is uniform in [0, 1). */
export interface Random {
  next(): number;
}

/** Names for new things. */
export interface Ids {
  /** A fresh RFC 4122 UUID. */
  uuid(): string;
  /** `bytes` random bytes as URL-safe base64, for keys and tokens. */
  token(bytes: number): string;
}

export const systemRandom: Random = {
  next: () => randomBytes(4).readUInt32BE() / 2 ** 32,
};

export const systemIds: Ids = {
  uuid: () => randomUUID(),
  token: (bytes) => randomBytes(bytes).toString('base64url'),
};

/** mulberry32: small, fast and the same everywhere; the same seed tells the same story. Not for secrets. */
export class SeededRandom implements Random, Ids {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number in [min, max]. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.next() * (max - min + 1));
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)] as T;
  }

  uuid(): string {
    const hex = this.bytes(16).toString('hex');
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  }

  token(bytes: number): string {
    return this.bytes(bytes).toString('base64url');
  }

  private bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => Math.floor(this.next() * 256)));
  }
}
