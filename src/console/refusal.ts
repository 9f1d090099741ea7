import type { Written } from '../pipeline/contract.js';
import { Problem } from './problem.js';

const STATUS = { 'not-found': 404, exists: 409, 'read-only': 409, invalid: 400 } as const;

/** The value of a write to the registry. @throws Problem for a refusal */
export function written<View>(result: Written<View>, what: string): View {
  if (result.ok) return result.value;
  const faults = result.faults.filter(({ key }) => key !== '');
  const detail = result.faults.map(({ message }) => message).join('; ');
  throw new Problem(STATUS[result.refusal], result.refusal === 'not-found' ? `There is no ${what}.` : detail, {
    ...(faults.length > 0 ? { errors: faults.map((fault) => ({ in: 'body', ...fault })) } : {}),
  });
}
