import type { Scenario } from '../scenario.js';
import { endToEnd, neighbours } from './end-to-end.js';
import { intake, intakeLatency, journal, twoProcesses } from './intake.js';
import { worker } from './worker.js';

export const SCENARIOS: readonly Scenario[] = [
  intake,
  intakeLatency,
  worker,
  endToEnd,
  neighbours,
  twoProcesses,
  journal,
];
