import { Controller, Get, Header, Inject, Param } from '@nestjs/common';
import type { Logger } from '../kernel/log.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import { Problem } from './problem.js';
import { RUNBOOK_STYLE, renderRunbook, renderRunbookIndex } from './runbooks/pages.js';
import { readFirstSteps, readRunbooks, type Runbook } from './runbooks/shelf.js';
import { PAGE_SECURITY_POLICY } from './security-headers.js';

/** A release has the pages that it has: whoever is woken may keep one open, and the database need not answer. */
const CACHE = 'public, max-age=300';

/** The runbooks, for people without a token: they say what to do, and hold nothing of any shop. */
@Controller()
export class RunbooksController {
  private readonly index: string;
  private readonly pages: ReadonlyMap<string, string>;

  constructor(@Inject(CONSOLE_DEPS) deps: Pick<ConsoleDeps, 'log'>) {
    const { shelf, first } = shelfOrNothing(deps.log);
    const names = new Set(shelf.map(({ name }) => name));
    this.index = renderRunbookIndex(shelf, first);
    this.pages = new Map(shelf.map((page) => [page.name, renderRunbook(page, names)]));
  }

  @Get('/runbooks')
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', PAGE_SECURITY_POLICY)
  @Header('cache-control', CACHE)
  all(): string {
    return this.index;
  }

  @Get('/runbooks/style.css')
  @Header('content-type', 'text/css; charset=utf-8')
  @Header('cache-control', 'public, max-age=3600')
  style(): string {
    return RUNBOOK_STYLE;
  }

  @Get('/runbooks/:name')
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', PAGE_SECURITY_POLICY)
  @Header('cache-control', CACHE)
  page(@Param('name') name: string): string {
    const page = this.pages.get(name);
    if (page === undefined) throw new Problem(404, 'There is no runbook of this name; /runbooks lists them.');
    return page;
  }
}

/** Pages that were left out of a release, or spoilt in it, must not keep orders from being taken in. */
function shelfOrNothing(log: Logger): { shelf: Runbook[]; first: string } {
  try {
    return { shelf: readRunbooks(), first: readFirstSteps() };
  } catch (error) {
    log.error({ err: error }, 'the runbooks cannot be read; none is served');
    return { shelf: [], first: '' };
  }
}
