import Table from 'cli-table3';
import type { NativePartPlan } from '../native';
import { elementCount } from '../tensor';
import { checkInteger, checkOneOf, checkOptions, invalidArgument } from '../validate';
import { checkImageLength, type ModelConfig } from './config';
import type { ModelHandle } from './handle';
import { networkParts, type NetworkPart } from './network-parts';

/** Options of `DenseNet.summary`. */
export interface SummaryOptions {
  /** Images at once, default 1. Shapes, multiply-adds and memory are those of the whole batch. */
  batch?: number;
  /** Height and width of the images, or both as [height, width]; default the configuration's `imageSize`. */
  size?: number | [number, number];
  /** What `toString()` shows: a row a part (the default), or a row a module too. */
  detail?: 'parts' | 'modules';
}

/**
 * What computes a part. `engine`: the engine. `operator`: one operator of libtorch, whatever the `implementation`.
 * `modules`: its modules one by one, as the paper draws them.
 */
export type PartRun = 'engine' | 'operator' | 'modules';

/** A convolution, a norm, a pooling or the classifier. */
export interface SummaryModule {
  /** Its dotted name, such as `features.denseblock1.denselayer1.conv1`. */
  name: string;
  /** What it is. */
  kind: 'convolution' | 'batch norm' | 'pooling' | 'linear';
  /** N×C×H×W, or N×classes. */
  outputShape: number[];
  /** Values in its parameters, those that do not learn included. */
  parameters: number;
  /** Those that learn. */
  trainableParameters: number;
  /** Multiplications, each with its addition, of a forward pass: of convolutions and the classifier alone. */
  multiplyAdds: number;
}

/** A part of the network: what its modules have together. */
export interface SummaryPart extends Omit<SummaryModule, 'kind'> {
  /** What it keeps of a training step's forward pass for its backward pass, bytes. */
  activationBytes: number;
  /** What computes it in a training step, as parts are frozen now. */
  training: PartRun;
  /** What computes it in evaluation: `predict`, `forward`, `evaluate`. */
  evaluation: PartRun;
  /** Why the engine does not run it in training, where it does not. */
  reason?: string;
  /** Its modules, in the order in which they run. */
  modules: SummaryModule[];
}

type Totals = Pick<SummaryPart, 'parameters' | 'trainableParameters' | 'multiplyAdds' | 'activationBytes'>;

/** A network, part by part. Plain data, and a table as text. */
export class Summary implements Totals {
  /** Of the images, N×C×H×W. */
  readonly inputShape: number[];
  /** In the order in which they run. */
  readonly parts: SummaryPart[];
  /** Values in all parameters, those that do not learn included. */
  readonly parameters: number;
  /** Values in the parameters that learn. */
  readonly trainableParameters: number;
  /** Multiplications, each with its addition, of a forward pass of the batch. */
  readonly multiplyAdds: number;
  /** What a training step keeps of its forward pass for its backward pass, bytes. */
  readonly activationBytes: number;
  /** The peak of a training step on the CPU, bytes: see `DenseNet.estimateMemory`. */
  readonly trainingBytes: number;
  readonly #detail: 'parts' | 'modules';

  /** Made by `DenseNet.summary`. */
  constructor(inputShape: number[], parts: SummaryPart[], trainingBytes: number, detail: 'parts' | 'modules') {
    this.inputShape = inputShape;
    this.parts = parts;
    this.parameters = sum(parts, 'parameters');
    this.trainableParameters = sum(parts, 'trainableParameters');
    this.multiplyAdds = sum(parts, 'multiplyAdds');
    this.activationBytes = sum(parts, 'activationBytes');
    this.trainingBytes = trainingBytes;
    this.#detail = detail;
  }

  /** A table, and what it adds up to. */
  toString(): string {
    const table = new Table({
      head: ['Part', 'Output', 'Parameters', 'Multiply-adds', 'Kept in training', 'Training', 'Evaluation'],
      colAligns: ['left', 'left', 'right', 'right', 'right', 'left', 'left'],
      style: { head: [], border: [], compact: true },
    });
    for (const part of this.parts) {
      const { name, outputShape, parameters, multiplyAdds, activationBytes, training, evaluation, modules } = part;
      const counts = [outputShape.join('×'), whole(parameters), large(multiplyAdds)];
      table.push([name.replace('features.', ''), ...counts, megabytes(activationBytes), training, evaluation]);
      if (this.#detail === 'parts' || modules.length === 1) continue;
      for (const module of modules)
        table.push([
          `  ${module.name.replace(`${name}.`, '').replace('features.', '')}`,
          module.outputShape.join('×'),
          whole(module.parameters),
          large(module.multiplyAdds),
          ...Array<string>(3).fill(''),
        ]);
    }
    const frozen = this.parameters - this.trainableParameters;
    const reasons = new Map<string, string[]>();
    for (const { name, reason } of this.parts)
      if (reason !== undefined) reasons.set(reason, [...(reasons.get(reason) ?? []), name.replace('features.', '')]);
    return [
      table.toString(),
      `Input ${this.inputShape.join('×')}`,
      `Parameters ${whole(this.parameters)}${frozen > 0 ? `, of which ${whole(this.trainableParameters)} learn` : ''}`,
      `Multiply-adds ${large(this.multiplyAdds)}`,
      `Kept in training ${megabytes(this.activationBytes)}; a training step ${megabytes(this.trainingBytes)} at its peak`,
      ...[...reasons].map(([reason, names]) => `Module by module in training: ${names.join(', ')}: ${reason}.`),
    ].join('\n');
  }
}

/** Describes a model as it is now. */
export async function summarize(handle: ModelHandle, options?: SummaryOptions): Promise<Summary> {
  handle.assertUsable();
  const given = checkOptions('options', options, ['batch', 'size', 'detail']);
  const { batch = 1, size = handle.config.imageSize, detail = 'parts' } = given;
  checkInteger('batch', batch, 1, 1_000_000);
  checkOneOf('detail', detail, ['parts', 'modules']);
  if (size === null)
    throw invalidArgument('size', 'given, since the configuration has no imageSize: a height and width', given.size);
  const [height, width] = checkImageSize(handle.config, size);
  const plan = await handle.call(async (native) => ({
    parts: await native.planStep(batch, height, width),
    trainingBytes: await native.estimateMemory(batch, height, width),
  }));
  const { inChannels } = handle.config;
  const parts = networkParts(handle.config, [batch, height, width]).map((part, index) =>
    summarizePart(handle, part, plan.parts[index] as NativePartPlan),
  );
  return new Summary([batch, inChannels, height, width], parts, plan.trainingBytes, detail);
}

/** Checks a height and width that images are to have. */
export function checkImageSize(config: ModelConfig, size: number | readonly number[]): [number, number] {
  const [height, width] = Array.isArray(size) ? (size as [number, number]) : [size as number, size as number];
  checkInteger('size', height, 1, 65_535);
  checkInteger('size', width, 1, 65_535);
  checkImageLength(config, [1, config.inChannels, height, width]);
  return [height, width];
}

function summarizePart(handle: ModelHandle, part: NetworkPart, { run, kept }: NativePartPlan): SummaryPart {
  const modules = part.modules.map((module): SummaryModule => {
    const own = handle.parametersBelow(module.name);
    const weight = own.find((parameter) => parameter.name === `${module.name}.weight`);
    const [images = 0, , height = 1, width = 1] = module.outputShape;
    const multiplies = module.kind === 'convolution' || module.kind === 'linear';
    return {
      ...module,
      parameters: count(own),
      trainableParameters: count(own.filter((parameter) => handle.isTrainable(parameter.name))),
      // Each weight meets each pixel of the output once.
      multiplyAdds: multiplies ? elementCount(weight?.shape ?? []) * images * height * width : 0,
    };
  });
  const reason = reasons[run]?.(handle.native.device);
  const always = run === 'reference' || run === 'device' ? 'modules' : 'engine';
  return {
    name: part.name,
    outputShape: part.outputShape,
    parameters: sum(modules, 'parameters'),
    trainableParameters: sum(modules, 'trainableParameters'),
    multiplyAdds: sum(modules, 'multiplyAdds'),
    activationBytes: kept,
    training: run === 'engine' || run === 'operator' ? run : 'modules',
    evaluation: run === 'operator' ? run : always,
    ...(reason === undefined ? {} : { reason }),
    modules,
  };
}

/** Why the engine leaves a part to its modules. */
const reasons: Partial<Record<NativePartPlan['run'], (device: string) => string>> = {
  reference: () => "the model was made with implementation: 'reference'",
  device: (device) => `the engine does not cover the device ${device}`,
  'too-small': () => 'one pixel is left of the batch, on which no batch norm can be trained',
  'frozen-mix': () => 'some of it is frozen while it, or what comes before it, learns',
  dropout: () => 'its dropout stands before its pooling',
};

function sum<Key extends string>(rows: readonly Record<Key, number>[], key: Key): number {
  return rows.reduce((total, row) => total + row[key], 0);
}

function count(parameters: readonly { shape: number[] }[]): number {
  return parameters.reduce((total, { shape }) => total + elementCount(shape), 0);
}

function whole(value: number): string {
  return value === 0 ? '–' : value.toLocaleString('en-US');
}

/** A count in millions or thousands of millions. */
function large(value: number): string {
  if (value === 0) return '–';
  return value >= 1e9 ? `${(value / 1e9).toFixed(2)} G` : `${(value / 1e6).toFixed(2)} M`;
}

function megabytes(bytes: number): string {
  return bytes === 0 ? '–' : `${(bytes / 1e6).toFixed(1)} MB`;
}
