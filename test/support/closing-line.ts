import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

/**
 * Counts the run for the one plain line that `npm test` ends with. vitest's own summary is for eyes: coloured, in
 * columns, and silent about a file that could not be loaded. The line goes into a file, because only whoever started
 * vitest can print after everybody else.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const path = process.env['PLUMBLINE_CLOSING_LINE'];
    if (path === undefined) return;
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    for (const module of modules) {
      let failedHere = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        else if (state === 'failed') failedHere += 1;
        else skipped += 1;
      }
      // A file or a hook that failed fails no single test; the line must not read as if all were well.
      failed += failedHere > 0 || module.state() !== 'failed' ? failedHere : 1;
    }
    writeFileSync(path, `${passed} passed, ${failed} failed, ${skipped} skipped`);
  }
}
