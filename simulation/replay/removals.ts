/** A subscription that went, and when somebody or something noticed. */
export interface Removal {
  domain: string;
  topic: string;
  atMs: number;
  noticedAtMs: number | null;
  restoredAtMs: number | null;
}
