import type { Scenario } from '../scenario.js';
import { alerts } from './alerts.js';
import { backlog } from './backlog.js';
import { bulkListing } from './bulk-listing.js';
import { comparison } from './comparison.js';
import { drain } from './drain.js';
import { endToEnd, neighbours } from './end-to-end.js';
import { fleet } from './fleet.js';
import { intake, intakeLatency, journal, twoProcesses } from './intake.js';
import { ledger } from './ledger.js';
import { start } from './start.js';
import { statusPage } from './status-page.js';
import { worker } from './worker.js';

/** In the order of the report's rows. */
export const SCENARIOS: readonly Scenario[] = [
  intake,
  intakeLatency,
  drain,
  worker,
  endToEnd,
  backlog,
  neighbours,
  ledger,
  bulkListing,
  comparison,
  fleet,
  alerts,
  twoProcesses,
  start,
  journal,
  statusPage,
];
