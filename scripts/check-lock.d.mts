export function lockFaults(
  manifest: Partial<Record<'dependencies' | 'devDependencies' | 'optionalDependencies' | 'overrides', object>>,
  lock: { packages: Record<string, object> },
): string[];
