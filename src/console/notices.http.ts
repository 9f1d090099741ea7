import { Controller, Inject } from '@nestjs/common';
import { z } from 'zod';
import type { Caller } from '../kernel/auth.js';
import { JUDGED_CLASSES, NOTICE_CLASSES, type NoticeView } from '../monitoring/contract.js';
import type { Page } from '../pipeline/contract.js';
import { CONSOLE_DEPS, type ConsoleDeps } from './deps.js';
import type { EndpointSpec } from './endpoint-spec.js';
import { By, Endpoint, Input, type InputOf } from './endpoint.js';
import { Problem } from './problem.js';
import { domain, id, idPaging, instant, instantOrNull, listOf, world } from './shapes.js';

export const noticeShape = z.strictObject({
  id,
  world,
  provider: z.string().meta({ description: 'Who handed it in.' }),
  class: z.enum(NOTICE_CLASSES),
  wording: z.enum(JUDGED_CLASSES).meta({ description: 'What its words say, believed or not.' }),
  trust: z.string().meta({ description: 'Why it is believed, or why not.' }),
  senderDomain: z.string().nullable(),
  shop: z.string().nullable().meta({ description: 'null = it names no shop of ours.' }),
  topic: z.string().nullable(),
  url: z.string().nullable(),
  removedAt: instantOrNull,
  attempts: z.int().nullable(),
  subject: z.string(),
  excerpt: z.string().nullable(),
  receivedAt: instant,
  lastAt: instant.meta({ description: 'When the same was last said.' }),
  count: z.int().meta({ description: 'How often the same was said within an hour.' }),
  hintedAt: instantOrNull.meta({ description: 'When the subscription watch was told to look.' }),
  needsAttention: z.boolean().meta({ description: 'Whether a person is to look.' }),
  readAt: instantOrNull,
  classifiedBy: z.string().nullable(),
  classifiedAt: instantOrNull,
});

const LIST = {
  method: 'GET',
  path: '/api/v1/notices',
  summary: "Shopify's mails about webhooks, and those that only claim to be, newest first",
  role: 'viewer',
  query: z.strictObject({
    class: z.enum(NOTICE_CLASSES, `expected ${NOTICE_CLASSES.join(', ')}`).optional(),
    shop: domain.optional(),
    ...idPaging,
  }),
  answer: listOf(noticeShape),
} satisfies EndpointSpec;

const CLASSIFY = {
  method: 'POST',
  path: '/api/v1/notices/:id/classify',
  summary: 'Say what a notice is; removed and failing make the subscription watch look at once',
  role: 'responder',
  params: z.strictObject({ id }),
  body: z.strictObject({ class: z.enum(JUDGED_CLASSES, `expected ${JUDGED_CLASSES.join(', ')}`) }),
  answer: noticeShape,
  problems: { 404: 'There is no such notice.' },
} satisfies EndpointSpec;

const READ = {
  method: 'POST',
  path: '/api/v1/notices/:id/read',
  summary: 'Say that you have read a notice; it asks for nobody any more',
  role: 'responder',
  params: z.strictObject({ id }),
  answer: noticeShape,
  problems: { 404: 'There is no such notice.' },
} satisfies EndpointSpec;

@Controller()
export class NoticesController {
  constructor(@Inject(CONSOLE_DEPS) private readonly deps: ConsoleDeps) {}

  @Endpoint(LIST)
  list(@Input() { query }: InputOf<typeof LIST>): Promise<Page<NoticeView>> {
    const { limit, cursor, class: kind, shop } = query;
    return this.deps.notices.notices(
      { ...(kind === undefined ? {} : { class: kind }), ...(shop === undefined ? {} : { shop }) },
      { limit, ...(cursor === undefined ? {} : { cursor }) },
    );
  }

  @Endpoint(CLASSIFY)
  async classify(@Input() { params, body }: InputOf<typeof CLASSIFY>, @By() caller: Caller): Promise<NoticeView> {
    return found(await this.deps.notices.classify(params.id, body.class, caller.name), params.id);
  }

  @Endpoint(READ)
  async read(@Input() { params }: InputOf<typeof READ>, @By() caller: Caller): Promise<NoticeView> {
    return found(await this.deps.notices.markRead(params.id, caller.name), params.id);
  }
}

function found(notice: NoticeView | null, id: string): NoticeView {
  if (!notice) throw new Problem(404, `There is no notice ${id}.`);
  return notice;
}
