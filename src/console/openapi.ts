import { z } from 'zod';
import type { EndpointSpec } from './endpoint-spec.js';
import { problemSchema } from './problem.js';

type Json = Record<string, unknown>;

const PROBLEM = { $ref: '#/components/schemas/Problem' };

/** The OpenAPI 3.1 document of a route table. */
export function openApiOf(endpoints: readonly EndpointSpec[], version: string): Json {
  const paths: Record<string, Json> = {};
  for (const endpoint of endpoints) {
    const path = endpoint.path.replace(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operationOf(endpoint) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Plumbline',
      version,
      description:
        'Lists are {items, nextCursor}; errors are RFC 9457 problem details; instants are RFC 3339 in UTC; ids are text.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'An API token (plb_…), POST /api/v1/tokens makes one.' },
      },
      schemas: { Problem: schemaOf(problemSchema, 'output') },
    },
  };
}

function operationOf(endpoint: EndpointSpec): Json {
  const { role, body, problems = {} } = endpoint;
  const described = new Map<string, string>(Object.entries(problems));
  if (role !== 'public')
    described.set('401', 'No valid token.').set('403', `The token has less than the role ${role}.`);
  if (endpoint.params || endpoint.query || body) described.set('400', 'The request has faults; errors names each.');
  return {
    operationId: operationId(endpoint),
    summary: endpoint.summary,
    ...(role === 'public' ? { security: [] } : { description: `Needs the role ${role}.`, security: [{ token: [] }] }),
    parameters: [...parametersOf('path', endpoint.params), ...parametersOf('query', endpoint.query)],
    ...(body
      ? { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body, 'input') } } } }
      : {}),
    responses: {
      [String(endpoint.status ?? 200)]: {
        description: 'Done',
        content: { 'application/json': { schema: schemaOf(endpoint.answer, 'output') } },
      },
      ...Object.fromEntries(
        [...described].map(([status, description]) => [
          status,
          { description, content: { 'application/problem+json': { schema: PROBLEM } } },
        ]),
      ),
    },
  };
}

/** `GET /api/v1/dead-letters/:id` → `getDeadLettersById` */
function operationId({ method, path }: EndpointSpec): string {
  const words = path
    .replace(/^\/api\/(v1\/)?/, '')
    .split(/[^A-Za-z0-9:]+/)
    .filter((word) => word !== '')
    .map((word) => (word.startsWith(':') ? `By${capital(word.slice(1))}` : capital(word)));
  return method.toLowerCase() + words.join('');
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function parametersOf(place: 'path' | 'query', schema: z.ZodType | undefined): Json[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...property }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: property,
  }));
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  return rest;
}
