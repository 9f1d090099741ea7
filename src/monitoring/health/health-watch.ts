import type { Clock } from '../../kernel/clock.js';
import { lookout, type Duty } from '../../kernel/duty.js';
import type { FlowReader, IntakeMinutes, RegistryReader } from '../../pipeline/contract.js';
import { HeldFindings } from '../line-watch/held-findings.js';
import type { SignalBook } from '../signals/signal-book.js';
import { TREND_MS, intakeFindings } from './intake-findings.js';
import type { ProcessBook } from './process-book.js';
import { EXPECTED_FOR_MS, missingWorkers, sickProcesses } from './process-findings.js';
import { queueFindings } from './queue-findings.js';

const LOOK_EVERY_MS = 30_000;
/** What was wrong and is not may come back at the next answer: as long a calm as the look itself. */
const INTAKE_HOLD_MS = 5 * 60_000;
const QUEUE_HOLD_MS = 60_000;

export interface HealthWatchDeps {
  clock: Clock;
  registry: Pick<RegistryReader, 'destinations'>;
  flow: Pick<FlowReader, 'queueAges' | 'inboxLag'>;
  intake: IntakeMinutes;
  processes: Pick<ProcessBook, 'heardOf' | 'forgetOld'>;
  signals: Pick<SignalBook, 'signals' | 'replace'>;
}

/** Whether what moves orders is well: intake's answers, the queues, the processes. A duty each. */
export class HealthWatch {
  private readonly intake: Record<keyof ReturnType<typeof intakeFindings>, HeldFindings>;
  private readonly queues: HeldFindings;

  constructor(private readonly deps: HealthWatchDeps) {
    const { signals } = deps;
    this.intake = {
      'intake-slow': new HeldFindings(signals, 'intake-slow', INTAKE_HOLD_MS),
      'intake-failing': new HeldFindings(signals, 'intake-failing', INTAKE_HOLD_MS),
      'signature-failures': new HeldFindings(signals, 'signature-failures', INTAKE_HOLD_MS),
    };
    this.queues = new HeldFindings(signals, 'queue-old', QUEUE_HOLD_MS);
  }

  duties(): Duty[] {
    return [
      lookout('intake-watch', LOOK_EVERY_MS, () => this.lookAtIntake()),
      lookout('queue-watch', LOOK_EVERY_MS, () => this.lookAtQueues()),
      lookout('process-watch', LOOK_EVERY_MS, () => this.lookAtProcesses()),
    ];
  }

  async lookAtIntake(): Promise<void> {
    const { clock, intake } = this.deps;
    const nowMs = clock.nowMs();
    const found = intakeFindings(await intake.minutes(new Date(nowMs - TREND_MS)), intake.tookBoundsMs, nowMs);
    await this.intake['intake-slow'].settle(found['intake-slow'], nowMs);
    await this.intake['intake-failing'].settle(found['intake-failing'], nowMs);
    await this.intake['signature-failures'].settle(found['signature-failures'], nowMs);
  }

  async lookAtQueues(): Promise<void> {
    const { clock, flow, registry } = this.deps;
    const nowAt = clock.now();
    const found = queueFindings(
      await flow.queueAges(nowAt),
      await flow.inboxLag(),
      registry.destinations(),
      nowAt.getTime(),
    );
    await this.queues.settle(found, nowAt.getTime());
  }

  async lookAtProcesses(): Promise<void> {
    const { clock, processes, signals } = this.deps;
    const nowMs = clock.nowMs();
    const known = await processes.heardOf(new Date(nowMs - EXPECTED_FOR_MS));
    await signals.replace('workers-missing', null, missingWorkers(known, nowMs));
    await signals.replace('process-sick', null, sickProcesses(known, nowMs));
    await processes.forgetOld();
  }
}
