export class SetupError extends Error {}
export function installedAsLocked(lock: LockFile, hiddenText: string | null): boolean;
export function newEnough(version: string): boolean;
export function sourceStamp(root: string): string;

export interface LockFile {
  packages: Record<string, { version?: string; optional?: boolean; devOptional?: boolean }>;
}
export const NODE_FLAGS: readonly string[];
export function nodeFlags(node: string): readonly string[];
