import { Ajv, type SchemaObject, type ValidateFunction } from 'ajv';
import { DenseNetError } from '../errors';
import { configKeys } from '../model/config';
import { schemaFaults } from '../schema-faults';
import { typedArrayKind } from '../validate';
import { mostText } from './limits';
import type { MethodName } from './protocol';

// What each call of a bridge may be given. Sizes are bounded here; what options mean is checked by the calls of the library
// that get them, with messages of their own.

const ajv = new Ajv({ allErrors: false, verbose: true, strictTypes: false });
ajv.addKeyword({
  keyword: 'typedArray',
  schemaType: 'array',
  errors: false,
  validate: (kinds: string[], data: unknown) => kinds.includes(typedArrayKind(data) ?? ''),
  error: { message: ({ schema }) => `must be a ${(schema as string[]).join(' or ')}` },
});

ajv.addKeyword({
  keyword: 'noArray',
  schemaType: 'boolean',
  errors: false,
  validate: (_: boolean, data: unknown) => !ArrayBuffer.isView(data),
  error: { message: 'must be an object and no typed array' },
});

/** A typed array is an object too, and to list its keys, one an element, would keep the host busy for minutes. */
const anyObject: SchemaObject = { type: 'object', noArray: true };
const object = (properties: Record<string, SchemaObject>, required = Object.keys(properties)): SchemaObject => ({
  ...anyObject,
  additionalProperties: false,
  required,
  properties,
});
const integer = (minimum: number, maximum: number): SchemaObject => ({ type: 'integer', minimum, maximum });
const array = (items: SchemaObject, minItems: number, maxItems: number): SchemaObject => ({
  type: 'array',
  items,
  minItems,
  maxItems,
});
const orNull = (schema: SchemaObject): SchemaObject => ({ ...schema, type: [schema['type'], 'null'] });
const text: SchemaObject = { type: 'string', minLength: 1, maxLength: mostText };
const free: SchemaObject = {};

const id = integer(1, Number.MAX_SAFE_INTEGER);
const size = array(integer(1, 4096), 2, 2);
const classes = array(text, 1, 100_000);
const tensor = object({
  data: { typedArray: ['Uint8Array', 'Float32Array'] },
  shape: array(integer(1, 100_000_000), 4, 4),
});
const runOptions = { device: text, implementation: text, memory: text };

/** A model's configuration: so large that every published one fits, and no larger. */
const config: Record<string, SchemaObject> = {
  ...Object.fromEntries(configKeys.map((key) => [key, free])),
  growthRate: integer(1, 1024),
  blockConfig: array(integer(1, 256), 1, 16),
  initChannels: integer(1, 8192),
  bottleneckSize: integer(1, 64),
  inChannels: integer(1, 1024),
  numClasses: integer(1, 100_000),
  classes: orNull(classes),
  imageSize: orNull(size),
  resizeSize: orNull(integer(1, 4096)),
};

const digits = object({ digits: { enum: ['train', 'test', 'all'] } });
const folder = object({ folder: text, imageSize: size, channels: { enum: [1, 3] }, classes }, ['folder']);
const labels: SchemaObject = {
  anyOf: [{ typedArray: ['Int32Array', 'Uint8Array', 'Float32Array'] }, { type: 'array', items: { type: 'number' } }],
};
const arrays = object({ images: tensor, labels, classes }, ['images', 'labels']);

/** By which key it has, so that a message is of the kind that was meant. */
const data: SchemaObject = {
  ...anyObject,
  if: { required: ['digits'] },
  then: digits,
  else: { if: { required: ['folder'] }, then: folder, else: arrays },
};

/** A transform; what it may have beside its size its own maker checks. */
const transform: SchemaObject = {
  ...anyObject,
  required: ['type'],
  properties: { type: text, size: orNull(size) },
};

const fit = object(
  {
    trainer: anyObject,
    validation: data,
    epochs: integer(1, 1_000_000),
    batchSize: integer(1, 65_536),
    shuffle: { enum: [true, false, 'balanced'] },
    augment: array(transform, 0, 32),
    unfreeze: array(anyObject, 0, 64),
    earlyStopping: anyObject,
  },
  ['trainer', 'epochs', 'batchSize'],
);

const schemas: Record<MethodName, SchemaObject> = {
  info: object({}),
  createModel: object({
    options: object({ variant: text, seed: integer(0, Number.MAX_SAFE_INTEGER), ...runOptions, ...config }, []),
  }),
  loadModel: object({ grant: text, options: object(runOptions, []) }),
  loadWeights: object({
    model: id,
    grant: text,
    options: object(
      { strict: { type: 'boolean' }, adaptInput: { type: 'boolean' }, adaptClassifier: { type: 'boolean' } },
      [],
    ),
  }),
  freeze: object({ model: id, prefix: text, options: object({ batchNorm: { enum: ['keep', 'adapt'] } }, []) }, [
    'model',
    'options',
  ]),
  unfreeze: object({ model: id, prefix: text }, ['model']),
  countTrainable: object({ model: id }),
  predict: object({
    model: id,
    images: { anyOf: [tensor, array({ typedArray: ['Uint8Array'] }, 1, 4096)] },
    options: object({ topK: integer(1, 100_000), batchSize: integer(1, 65_536) }, []),
  }),
  forward: object({ model: id, input: tensor }),
  train: object({ model: id, data, options: fit }),
  evaluate: object({
    model: id,
    data,
    options: object(
      {
        batchSize: integer(1, 65_536),
        topK: array(integer(1, 100_000), 0, 100),
        calibrationBins: integer(1, 1000),
        rocAuc: { enum: ['auto', true, false] },
      },
      [],
    ),
  }),
  save: object({ model: id, grant: text, options: object({ format: { enum: ['safetensors', 'pth'] } }, []) }),
  dispose: object({ model: id }),
};

export const methodNames = Object.keys(schemas) as MethodName[];

const checks = new Map<MethodName, ValidateFunction>();

/**
 * Checks what a call was given.
 *
 * @throws DenseNetError `ERR_INVALID_ARGUMENT`.
 */
export function checkArguments(method: MethodName, args: unknown): void {
  let check = checks.get(method);
  if (check === undefined) checks.set(method, (check = ajv.compile(schemas[method])));
  if (check(args)) return;
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    `${method} was given what it does not take: ${schemaFaults(check.errors, 'the arguments').join('; ')}.`,
  );
}

const messages: Record<string, SchemaObject> = {
  call: object({ type: free, id, method: { type: 'string' }, args: anyObject }),
  cancel: object({ type: free, id }),
  taken: object({ type: free, id }),
};
const messageChecks = new Map(Object.entries(messages).map(([type, schema]) => [type, ajv.compile(schema)]));

/** What is wrong with a client's message as a whole; undefined when it is one. */
export function messageFault(message: { type?: unknown }): string | undefined {
  const check = typeof message.type === 'string' ? messageChecks.get(message.type) : undefined;
  if (check === undefined) return `there is no message of that type (${[...messageChecks.keys()].join(', ')})`;
  return check(message) ? undefined : schemaFaults(check.errors, 'the message').join('; ');
}
