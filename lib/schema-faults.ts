import type { ErrorObject } from 'ajv';
import { didYouMean } from './validate';

/**
 * What a schema found wrong, a sentence each; those that others explain better are left out.
 *
 * @param root What the checked value itself is called.
 */
export function schemaFaults(errors: readonly ErrorObject[] | null | undefined, root: string): string[] {
  const faults = (errors ?? []).map((error) => describe(error, root)).filter((fault) => fault !== undefined);
  return [...new Set(faults)];
}

function describe(
  { keyword, instancePath, params, message, parentSchema }: ErrorObject,
  root: string,
): string | undefined {
  const place = instancePath === '' ? root : instancePath.slice(1).replaceAll('/', '.');
  if (keyword === 'additionalProperties') {
    const known = Object.keys((parentSchema as { properties?: object }).properties ?? {});
    const key = String((params as { additionalProperty: unknown }).additionalProperty);
    const keys = known.length === 0 ? '' : `; the keys are ${known.join(', ')}`;
    return `${place} has no key ${JSON.stringify(key)}${keys}.${didYouMean(key, known)}`;
  }
  if (keyword === 'enum') {
    const allowed = (params as { allowedValues: unknown[] }).allowedValues;
    return `${place} must be one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}`;
  }
  return ['oneOf', 'anyOf', 'if'].includes(keyword) ? undefined : `${place} ${message ?? 'is not right'}`;
}
