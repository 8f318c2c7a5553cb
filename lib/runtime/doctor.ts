import { toDenseNetError } from '../errors';
import { DenseNet } from '../model/densenet';
import { Trainer } from '../training/trainer';
import { runtimeInfo, type RuntimeInfo } from './info';
import { loadAddon } from './load';

/** One thing that was looked at. */
export interface Finding {
  /** `note`: works, but not as well as it could. */
  state: 'good' | 'note' | 'fault';
  subject: string;
  found: string;
  /** The command or step that mends it. */
  mend?: string;
}

/** Looks at everything that the package needs, down to a training step; never rejects. */
export async function examine(): Promise<Finding[]> {
  const findings: Finding[] = [
    { state: 'good', subject: 'system', found: `Node ${process.versions.node}, ${process.platform}-${process.arch}` },
  ];
  try {
    const { loaderPath, corePath, native } = await loadAddon();
    const { version, libtorch, cuda, threads, cpuCapability } = await runtimeInfo();
    findings.push(
      { state: 'good', subject: 'libtorch-densenet', found: version },
      {
        state: 'good',
        subject: 'libtorch',
        found: `${libtorch.version} (${libtorch.build}) in ${libtorch.path}, from ${libtorch.source}`,
      },
      {
        state: 'good',
        subject: 'addon',
        found: `${loaderPath}\n${corePath}, built against libtorch ${native.builtAgainst}`,
      },
      { state: 'good', subject: 'CPU', found: `${threads} threads, ${cpuCapability}` },
      describeCuda(cuda, libtorch.build),
      await tryStep(),
    );
  } catch (error) {
    const fault = toDenseNetError(error);
    findings.push({
      state: 'fault',
      subject: fault.code,
      found: fault.message.replace(`${fault.code}: `, ''),
      mend: 'npx densenet setup',
    });
  }
  return findings;
}

function describeCuda({ available, reason, devices, engineOff }: RuntimeInfo['cuda'], build: string): Finding {
  const engine = engineOff === undefined ? 'the engine is on' : `the engine is off: ${engineOff}`;
  if (available) return { state: 'good', subject: 'CUDA', found: `${devices.join(', ')}\n${engine}` };
  const mend =
    build === 'cpu'
      ? 'set LIBTORCH to a CUDA build of libtorch, and run npx densenet setup'
      : 'install the NVIDIA driver';
  return {
    state: 'note',
    subject: 'CUDA',
    found: `not used: ${reason ?? 'unknown'}`,
    mend: `only if this machine has an NVIDIA GPU: ${mend}`,
  };
}

/** Shows that forward, backward and an optimizer step run. */
async function tryStep(): Promise<Finding> {
  const subject = 'training step';
  try {
    await using model = await DenseNet.create({
      growthRate: 4,
      blockConfig: [2, 2],
      initChannels: 8,
      stem: 'cifar',
      inChannels: 1,
      numClasses: 2,
      seed: 1,
    });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 } });
    const images = { data: new Float32Array(4 * 64).fill(0.5), shape: [4, 1, 8, 8] };
    const { loss } = await trainer.step({ images, labels: [0, 1, 0, 1] });
    return { state: 'good', subject, found: `runs on ${model.device} (loss ${loss.toFixed(3)})` };
  } catch (error) {
    const { code, message } = toDenseNetError(error);
    return { state: 'fault', subject, found: message, mend: `report it with this output (${code})` };
  }
}
