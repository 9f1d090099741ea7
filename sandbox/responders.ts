import type { Clock } from './clock.js';
import { Healthchecks } from './healthchecks/healthchecks.js';
import { MailCatcher } from './mail-catcher.js';
import { PagerDutySide } from './pagerduty/pagerduty.js';
import { PublicPage } from './public-page.js';

/** Everybody whom the service tells: the pager, a mail server, the check that hears its heartbeat, and the public. */
export class Responders {
  readonly pager: PagerDutySide;
  readonly mail: MailCatcher;
  readonly check: Healthchecks;
  readonly publicPage: PublicPage;

  constructor(clock: Clock, serviceUrl: string) {
    this.pager = new PagerDutySide({ clock, webhookUrl: () => `${serviceUrl}/inbound/pagerduty` });
    this.mail = new MailCatcher(clock);
    this.check = new Healthchecks(clock);
    this.publicPage = new PublicPage(clock, serviceUrl);
  }

  async start(): Promise<void> {
    await Promise.all([this.pager.start(), this.mail.start()]);
  }

  async stop(): Promise<void> {
    await Promise.all([this.pager.stop(), this.mail.stop()]);
  }

  /** What the service needs to know to tell them. */
  access(controlUrl: string): object {
    const { host, routingKeys, token, webhookSecrets, escalationPolicy, ca } = this.pager;
    return {
      pager: { host, routingKeys, token, webhookSecrets, escalationPolicy, ca },
      mail: { url: this.mail.url },
      heartbeatUrl: `${controlUrl}/ping/${this.check.id}`,
    };
  }
}
