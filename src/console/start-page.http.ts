import { Controller, Get, Header, Inject } from '@nestjs/common';
import { stopwatch } from '../kernel/clock.js';
import { readHealth } from '../kernel/health.js';
import type { PipelineTotals } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import { PAGE_SECURITY_POLICY } from './security-headers.js';
import { START_PAGE_STYLE } from './start-page-style.js';
import { renderStartPage } from './start-page.js';

/** However many look at the page, the totals are counted this often at most. */
const TOTALS_FRESH_MS = 2_000;
const TOTALS_DEADLINE_MS = 2_500;

@Controller()
export class StartPageController {
  private totals: { answer: Promise<PipelineTotals | null>; ageMs: () => number } | null = null;

  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Get('/')
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', PAGE_SECURITY_POLICY)
  async page(): Promise<string> {
    const [services, totals] = await Promise.all([readHealth(this.deps.health), this.freshTotals()]);
    return renderStartPage({
      version: this.deps.version,
      at: this.deps.clock.now(),
      services,
      totals,
      facts: this.deps.start(),
    });
  }

  @Get('/start.css')
  @Header('content-type', 'text/css; charset=utf-8')
  @Header('cache-control', 'public, max-age=3600')
  style(): string {
    return START_PAGE_STYLE;
  }

  /** `null` when the database does not tell in time: unknown, not zero. */
  private freshTotals(): Promise<PipelineTotals | null> {
    if (this.totals === null || this.totals.ageMs() > TOTALS_FRESH_MS) {
      this.totals = { answer: this.countInTime(), ageMs: stopwatch() };
    }
    return this.totals.answer;
  }

  private async countInTime(): Promise<PipelineTotals | null> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(() => resolve(null), TOTALS_DEADLINE_MS);
    });
    try {
      return await Promise.race([this.deps.pipeline.totals().catch(() => null), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
