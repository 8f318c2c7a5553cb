import { types } from 'node:util';
import { DenseNetError, toDenseNetError } from '../errors';
import { didYouMean, show } from '../validate';
import type { Native, NativeModel, NativeStateInfo } from '../native';
import { copyTensor, type TensorData } from '../tensor';
import type { ModelConfig } from './config';

/** A training run, as far as its model is concerned. */
export interface ActiveRun {
  /** Ends the run with this reason after the step that it is in; resolves when it has ended. */
  end(reason: unknown): Promise<void>;
}

/** A part whose parameters do not learn, and what its batch norms normalise by: see `DenseNet.freeze`. */
export interface FrozenPart {
  /** Its dotted name; empty for the whole network. */
  prefix: string;
  batchNorm: 'keep' | 'adapt';
}

/**
 * What stands behind a `DenseNet`: its native model and the state that its methods and its trainers share. Changes
 * are kept here at once, on the JavaScript side, while native calls queue behind one another.
 */
export class ModelHandle {
  /** The run that trains the model now. */
  run: ActiveRun | undefined;
  disposed = false;

  /** Called when the model is disposed of, by those who keep calls of their own waiting. */
  readonly disposalListeners = new Set<() => void>();

  /** Open when undefined; otherwise calls wait, so that those made before them come first. */
  private gate: Promise<void> | undefined;

  /** The parameters that do not learn, and how they were frozen. */
  private readonly frozen = new Map<string, FrozenPart['batchNorm']>();

  constructor(
    readonly core: Native,
    readonly native: NativeModel,
    public config: ModelConfig,
    private state: NativeStateInfo[],
  ) {}

  /** Parameters and buffers in the order of PyTorch's state dict. */
  get entries(): readonly NativeStateInfo[] {
    return this.state;
  }

  /** Throws `ERR_DISPOSED` after `dispose`. */
  assertUsable(): void {
    if (this.disposed) throw new DenseNetError('ERR_DISPOSED', 'the model was disposed of. Create or load another.');
  }

  /** Refuses every call from now on. */
  markDisposed(): void {
    this.disposed = true;
    for (const listener of this.disposalListeners) listener();
  }

  /** Throws `ERR_BUSY` for a call that cannot go beside a training run. */
  assertIdle(call: string): void {
    this.assertUsable();
    if (this.run !== undefined)
      throw new DenseNetError(
        'ERR_BUSY',
        `${call} has to wait: the model is being trained. Wait for the run to end, or cancel it first.`,
      );
  }

  /** Makes a native call in its turn, its failure turned into a DenseNetError. */
  async call<Result>(native: (model: NativeModel) => Promise<Result>): Promise<Result> {
    this.assertUsable();
    while (this.gate !== undefined) await this.gate;
    this.assertUsable();
    return translated(() => native(this.native));
  }

  /** A native call that changes what later calls depend on: they wait for its end. */
  async callAlone<Result>(native: (model: NativeModel) => Promise<Result>): Promise<Result> {
    const open = await this.closeGate();
    try {
      this.assertUsable();
      return await translated(() => native(this.native));
    } finally {
      open();
    }
  }

  /** A tensor as it is now: a copy where the next call has to wait, or where its memory is shared with other threads. */
  keep(tensor: TensorData): TensorData {
    return this.gate !== undefined || types.isSharedArrayBuffer(tensor.data.buffer) ? copyTensor(tensor) : tensor;
  }

  /** A native call that first has something to prepare, such as a file to read; later calls wait behind it. */
  async callPrepared<Prepared, Result>(
    prepare: () => Promise<Prepared>,
    native: (model: NativeModel, prepared: Prepared) => Promise<Result>,
  ): Promise<Result> {
    const open = await this.closeGate();
    let result: Promise<Result>;
    try {
      const prepared = await prepare();
      this.assertUsable();
      result = translated(() => native(this.native, prepared));
    } finally {
      open();
    }
    return result;
  }

  /** Waits for the calls in front and closes the gate behind them; later calls wait until it is opened. */
  private async closeGate(): Promise<() => void> {
    this.assertUsable();
    while (this.gate !== undefined) await this.gate;
    let open = (): void => undefined;
    this.gate = new Promise((resolve) => (open = resolve));
    return () => {
      this.gate = undefined;
      open();
    };
  }

  /** Whether a parameter learns. */
  isTrainable(name: string): boolean {
    return !this.frozen.has(name);
  }

  /** `batchNorm`: of what does not learn. */
  setTrainable(prefix: string, trainable: boolean, batchNorm: FrozenPart['batchNorm'] = 'keep'): void {
    for (const { name } of this.parametersBelow(prefix)) {
      if (trainable) this.frozen.delete(name);
      else this.frozen.set(name, batchNorm);
    }
  }

  /** What is frozen, in as few parts as say it. */
  get frozenParts(): FrozenPart[] {
    const visit = (prefix: string, depth: number): FrozenPart[] => {
      const names = this.parametersBelow(prefix).map(({ name }) => name);
      const ways = new Set(names.map((name) => this.frozen.get(name)));
      const [batchNorm] = ways;
      if (ways.size === 1) return batchNorm === undefined ? [] : [{ prefix, batchNorm }];
      const below = new Set(
        names.map((name) =>
          name
            .split('.')
            .slice(0, depth + 1)
            .join('.'),
        ),
      );
      return [...below].flatMap((one) => visit(one, depth + 1));
    };
    return visit('', 0);
  }

  /** Freezes these parts and no others, here and natively. */
  async restoreFrozen(parts: readonly FrozenPart[], native: NativeModel): Promise<void> {
    this.setTrainable('', true);
    await native.setTrainable('', true, false);
    for (const { prefix, batchNorm } of parts) {
      this.setTrainable(prefix, false, batchNorm);
      await native.setTrainable(prefix, false, batchNorm === 'adapt');
    }
  }

  /** The parameters at or below a dotted prefix; all of them for an empty one. */
  parametersBelow(prefix: string): NativeStateInfo[] {
    return this.state.filter(
      ({ name, isParameter }) => isParameter && (prefix === '' || name === prefix || name.startsWith(`${prefix}.`)),
    );
  }

  /** Checks that a dotted name is a parameter's or lies above one. */
  checkPrefix(prefix: string): void {
    if (this.parametersBelow(prefix).length > 0) return;
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `no parameter is named ${show(prefix)} or lies below it.${didYouMean(prefix, this.partNames())}`,
    );
  }

  /** Every dotted prefix of a parameter's name. */
  private partNames(): string[] {
    const names = new Set<string>();
    for (const { name } of this.parametersBelow('')) {
      const parts = name.split('.');
      for (let length = 1; length <= parts.length; length += 1) names.add(parts.slice(0, length).join('.'));
    }
    return [...names];
  }

  /** Takes over a new classifier: its shape and the classes' names. */
  setClassifier(numClasses: number, classes: string[] | null): void {
    this.config = { ...this.config, numClasses, classes };
    this.state = this.state.map((entry) =>
      entry.name.startsWith('classifier.') ? { ...entry, shape: [numClasses, ...entry.shape.slice(1)] } : entry,
    );
  }
}

/** Also what native code throws at once, when it cannot make sense of an argument. */
async function translated<Result>(call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    throw toDenseNetError(error);
  }
}

const handles = new WeakMap<object, ModelHandle>();

/** Connects a model with its handle, out of its users' sight. */
export function attachHandle(model: object, handle: ModelHandle): void {
  handles.set(model, handle);
}

/** The handle of a `DenseNet`. */
export function handleOf(model: unknown): ModelHandle {
  const handle = typeof model === 'object' && model !== null ? handles.get(model) : undefined;
  if (handle === undefined)
    throw new DenseNetError(
      'ERR_INVALID_ARGUMENT',
      `model must be a DenseNet made by DenseNet.create or DenseNet.load; got ${show(model)}.`,
    );
  return handle;
}
