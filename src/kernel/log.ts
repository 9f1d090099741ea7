import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';

export type Logger = PinoLogger;

/**
 * Keys whose values never reach a log, wherever they stand. Bodies and headers are not logged at all; this list is
 * the second line of defence for objects that carry a secret along.
 */
const SECRET_KEYS = [
  'accessToken',
  'apiSecret',
  'authorization',
  'clientSecrets',
  'password',
  'privateKey',
  'publicToken',
  'secret',
  'secrets',
  'secretKey',
  'serviceAccount',
  'token',
  'writeKey',
  'databaseUrl',
  'connectionString',
];

/** `user:password@` in a URL, and the query keys that carry a credential. */
const URL_CREDENTIALS = /(\/\/[^/\s:@]*:)[^@/\s]+@/g;
const QUERY_CREDENTIALS = /((?:api_secret|access_token|password|secret|token|key)=)[^&\s"']+/gi;

/** Takes credentials out of a free text, for messages that quote a URL. */
export function redactText(text: string): string {
  return text.replace(URL_CREDENTIALS, '$1[redacted]@').replace(QUERY_CREDENTIALS, '$1[redacted]');
}

export function createLogger(level: string, destination?: DestinationStream): Logger {
  const options = {
    level,
    base: { service: 'plumbline', pid: process.pid },
    redact: {
      paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
      censor: '[redacted]',
    },
    formatters: { level: (label: string) => ({ level: label }) },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    serializers: {
      err: (error: unknown): unknown => {
        if (!(error instanceof Error)) return error;
        return {
          type: error.name,
          message: redactText(error.message),
          stack: error.stack === undefined ? undefined : redactText(error.stack),
          ...('code' in error ? { code: error.code } : {}),
          ...(error.cause instanceof Error ? { cause: redactText(error.cause.message) } : {}),
        };
      },
    },
  };
  // Standard error: standard output belongs to what the service says to whoever started it.
  return pino(options, destination ?? pino.destination(2));
}

/** For tests and tools that want none of it. */
export const silentLogger: Logger = pino({ level: 'silent' });
