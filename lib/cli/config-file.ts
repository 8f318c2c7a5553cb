import { readFile } from 'node:fs/promises';
import type { Schema } from 'ajv';
import type { Command } from 'commander';
import { DenseNetError, reasonOf } from '../errors';
import { configKeys } from '../model/config';
import { schemaFaults } from '../schema-faults';

const positive = { type: 'integer', minimum: 1 } as const;
const text = { type: 'string', minLength: 1 } as const;

/** What a configuration file may hold, for every command that takes one. */
const schema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    data: {
      oneOf: [
        text,
        {
          type: 'object',
          additionalProperties: false,
          required: ['path'],
          properties: {
            path: text,
            type: { enum: ['folder', 'csv', 'cifar10', 'cifar100', 'idx'] },
            validation: text,
            holdOut: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 },
            imageSize: { type: 'array', items: positive, minItems: 2, maxItems: 2 },
            resizeSize: { oneOf: [positive, { type: 'null' }] },
            interpolation: { enum: ['bilinear', 'bicubic'] },
            channels: { enum: [1, 3] },
            limitInputPixels: positive,
            broken: { enum: ['refuse', 'skip'] },
            decode: { enum: ['now', 'ahead'] },
            cache: {
              oneOf: [
                { enum: ['none', 'memory'] },
                { type: 'object', required: ['folder'], properties: { folder: text } },
              ],
            },
            label: text,
            labels: {
              oneOf: [
                { type: 'array', items: text, minItems: 1 },
                {
                  type: 'object',
                  required: ['column'],
                  properties: { column: text, separator: text, none: { type: 'string' } },
                },
                { enum: ['fine', 'coarse'] },
              ],
            },
            classes: { type: 'array', items: text, minItems: 1 },
          },
        },
      ],
    },
    // What is in these is checked, with messages of their own, by those who take it.
    model: {
      type: 'object',
      additionalProperties: false,
      properties: Object.fromEntries(['variant', 'implementation', 'memory', ...configKeys].map((key) => [key, {}])),
    },
    trainer: { type: 'object' },
    augment: { type: 'array', items: { oneOf: [text, { type: 'object', required: ['type'] }] } },
    epochs: { type: 'integer', minimum: 0 },
    headEpochs: { type: 'integer', minimum: 0 },
    batchSize: positive,
    lr: { type: 'number', exclusiveMinimum: 0 },
    layerDecay: { type: 'number', exclusiveMinimum: 0, maximum: 1 },
    balanced: { type: 'boolean' },
    seed: { type: 'integer', minimum: 0 },
    device: text,
    weights: text,
    out: text,
  },
} as const satisfies Schema;

/** What a configuration file holds, by the names of the command line's options. */
export type ConfigFile = Partial<Record<keyof typeof schema.properties, unknown>>;

/**
 * Reads a configuration file (JSON).
 *
 * @throws DenseNetError `ERR_FILE`, or `ERR_INVALID_ARGUMENT` with everything that is wrong in it, unknown keys with the
 *   nearest known one.
 */
export async function readConfigFile(file: string): Promise<ConfigFile> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    const reason = reasonOf(error);
    throw new DenseNetError('ERR_FILE', `${file} cannot be read as JSON: ${reason}`, { cause: error });
  }
  const { Ajv } = await import('ajv');
  const validate = new Ajv({ allErrors: true, verbose: true }).compile(schema);
  if (validate(content)) return content as ConfigFile;
  throw new DenseNetError(
    'ERR_INVALID_ARGUMENT',
    [`${file} is not right:`, ...schemaFaults(validate.errors, 'the file').map((one) => `  ${one}`)].join('\n'),
  );
}

/**
 * The options of a command: those that were given, then those of its configuration file, if it has one, then the defaults.
 *
 * @throws DenseNetError As {@link readConfigFile}.
 */
export async function withConfigFile<Options extends { config?: string }>(
  command: Command,
  options: Options,
): Promise<Options> {
  const config = options.config === undefined ? {} : await readConfigFile(options.config);
  const merged = { ...options } as Record<string, unknown>;
  for (const [key, value] of Object.entries(config)) {
    const source = command.getOptionValueSource(key);
    if (source === undefined || source === 'default') merged[key] = value;
    // The place from the command line, and how to read it from the file.
    else if (key === 'data' && typeof value === 'object') merged[key] = { ...value, path: merged[key] };
  }
  return merged as unknown as Options;
}
