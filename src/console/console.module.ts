import { Inject, Module, type DynamicModule, type OnModuleInit, type Type } from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { ApiTokens } from '../kernel/auth.js';
import { ChannelsController } from './channels.http.js';
import { DeadLettersController } from './dead-letters.http.js';
import { AlertsController } from './alerts.http.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import { DestinationsController } from './destinations.http.js';
import { endpointsOf } from './endpoint.js';
import { FailedAttempts } from './failed-attempts.js';
import { HealthController } from './health.http.js';
import { openApiOf } from './openapi.js';
import { IncidentsController } from './incidents.http.js';
import { addInboundEmail } from './inbound-email.js';
import { InboundAlertmanagerController } from './inbound-alertmanager.http.js';
import { addInboundPagerDuty } from './inbound-pagerduty.js';
import { NoticesController } from './notices.http.js';
import { NotificationsController } from './notifications.http.js';
import { OPENAPI, OpenApiController } from './openapi.http.js';
import { OrdersController } from './orders.http.js';
import { ProblemFilter } from './problem.filter.js';
import { ProcessesController } from './processes.http.js';
import { addSecurityHeaders } from './security-headers.js';
import { ReconciliationsController } from './reconciliations.http.js';
import { RunbooksController } from './runbooks.http.js';
import { ShopsController } from './shops.http.js';
import { SignalsController } from './signals.http.js';
import { SilenceController } from './silence.http.js';
import { SlosController } from './slos.http.js';
import { SilencesController } from './silences.http.js';
import { StartPageController } from './start-page.http.js';
import { StatusController } from './status.http.js';
import { SubscriptionsController } from './subscriptions.http.js';
import { ThroughputController } from './throughput.http.js';
import { TokensController } from './tokens.http.js';
import { WebhooksController } from './webhooks.http.js';

/** Most bytes of a body the API takes; give it to the FastifyAdapter as `bodyLimit`. */
export const API_BODY_BYTES_MAX = 1_048_576;

/** Controllers whose endpoints make up the route table. */
export const API_CONTROLLERS: readonly Type[] = [
  HealthController,
  ShopsController,
  DestinationsController,
  OrdersController,
  DeadLettersController,
  WebhooksController,
  ReconciliationsController,
  SignalsController,
  AlertsController,
  SilencesController,
  NotificationsController,
  InboundAlertmanagerController,
  NoticesController,
  ChannelsController,
  SubscriptionsController,
  ThroughputController,
  SilenceController,
  SlosController,
  ProcessesController,
  IncidentsController,
  StatusController,
  TokensController,
  OpenApiController,
];

@Module({})
export class ConsoleModule implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps,
  ) {}

  onModuleInit(): void {
    const server = this.host.httpAdapter.getInstance<FastifyInstance>();
    addSecurityHeaders(server);
    // Counted for itself: whoever guesses addresses here locks nobody out of the API.
    addInboundEmail(server, this.deps.inboundMail, new FailedAttempts(this.deps.clock));
    addInboundPagerDuty(server, this.deps.inboundPager);
  }
}

/** The HTTP API, the health endpoints and the start page. Runs on Fastify only. */
export function consoleModule(deps: ConsoleDeps): DynamicModule {
  return {
    module: ConsoleModule,
    controllers: [...API_CONTROLLERS, StartPageController, RunbooksController],
    providers: [
      { provide: CONSOLE_DEPS, useValue: deps },
      { provide: ApiTokens, useValue: deps.tokens },
      { provide: FailedAttempts, useFactory: () => new FailedAttempts(deps.clock) },
      { provide: OPENAPI, useFactory: () => openApiOf(endpointsOf(API_CONTROLLERS), deps.version) },
      { provide: APP_FILTER, useFactory: () => new ProblemFilter(deps.log) },
    ],
  };
}
