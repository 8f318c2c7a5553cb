import { toDenseNetError } from '../errors';
import { DenseNet } from '../model/densenet';
import type { Device } from '../model/run-options';
import { Trainer } from '../training/trainer';
import { hasCudaKernels } from './addon-versions';
import { cudaVersionOf, cudnnVersionOf } from './cuda-facts';
import { findDriver, type DriverFacts } from './driver';
import { runtimeInfo, type RuntimeInfo } from './info';
import { formatBytes } from './install/bytes';
import { loadAddon, type LoadedAddon } from './load';
import { cachedFolders, type Libtorch } from './locate';

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
  const driver = await findDriver();
  const findings: Finding[] = [
    { state: 'good', subject: 'system', found: `Node ${process.versions.node}, ${process.platform}-${process.arch}` },
    describeDriver(driver),
  ];
  try {
    const addon = await loadAddon();
    const { version, libtorch, cuda, threads, cpuCapability } = await runtimeInfo();
    findings.push(
      { state: 'good', subject: 'libtorch-densenet', found: version },
      await describeLibtorch(addon.libtorch),
      ...describePassedOver(addon),
      describeAddon(addon),
      { state: 'good', subject: 'CPU', found: `${threads} threads, ${cpuCapability}` },
      describeCuda(cuda, libtorch.build, driver),
    );
    for (const device of cuda.available ? cuda.devices : ['cpu']) findings.push(await tryStep(device as Device));
  } catch (error) {
    const fault = toDenseNetError(error);
    findings.push({
      state: 'fault',
      subject: fault.code,
      found: fault.message.replace(`${fault.code}: `, ''),
      mend: fault.mend ?? 'npx densenet setup',
    });
  }
  return findings;
}

function describeDriver({ version, gpus, fault }: DriverFacts): Finding {
  const subject = 'NVIDIA driver';
  const cards = gpus.map(({ name, totalBytes, freeBytes }) => {
    const total = totalBytes === undefined ? '' : `, ${formatBytes(totalBytes)} of memory`;
    return `${name}${total}${freeBytes === undefined ? '' : `, ${formatBytes(freeBytes)} free`}`;
  });
  if (version === undefined)
    return { state: fault === undefined ? 'good' : 'note', subject, found: fault ?? 'none, so no NVIDIA GPU is used' };
  const found = [version, ...(cards.length > 0 ? cards : ['it shows no GPU']), ...(fault === undefined ? [] : [fault])];
  return { state: fault === undefined && cards.length > 0 ? 'good' : 'note', subject, found: found.join('\n') };
}

async function describeLibtorch(libtorch: Libtorch): Promise<Finding> {
  const lines = [`${libtorch.version} (${libtorch.build}) in ${libtorch.path}, from ${libtorch.source}`];
  if (libtorch.build !== 'cpu') {
    const [cuda, cudnn] = [await cudaVersionOf(libtorch), await cudnnVersionOf(libtorch)];
    lines.push(`built for CUDA ${cuda ?? 'of an unknown version'}, with cuDNN ${cudnn ?? 'of an unknown version'}`);
  }
  const others = (await cachedFolders(process.env)).filter((place) => !`${libtorch.path}/`.startsWith(`${place}/`));
  if (others.length > 0) lines.push(`also in the cache: ${others.join(', ')}`);
  return { state: 'good', subject: 'libtorch', found: lines.join('\n') };
}

function describePassedOver({ passedOver }: LoadedAddon): Finding[] {
  if (passedOver === undefined) return [];
  const { said, mend } = passedOver;
  return [{ state: 'note', subject: 'installed libtorch', found: `not used: ${said}`, mend }];
}

function describeAddon({ loaderPath, corePath, native }: LoadedAddon): Finding {
  const kernels = hasCudaKernels(corePath) ? 'with CUDA kernels of its own' : 'without CUDA kernels of its own';
  return {
    state: 'good',
    subject: 'addon',
    found: `${loaderPath}\n${corePath}, built against libtorch ${native.builtAgainst}, ${kernels}`,
  };
}

function describeCuda(cuda: RuntimeInfo['cuda'], build: string, driver: DriverFacts): Finding {
  const { available, reason, mend, devices, engineOff } = cuda;
  const engine = engineOff === undefined ? 'the engine is on' : `the engine is off: ${engineOff}`;
  if (available) return { state: 'good', subject: 'CUDA', found: `${devices.join(', ')}\n${engine}` };
  const hasGpu = driver.version !== undefined || build !== 'cpu';
  return {
    state: 'note',
    subject: 'CUDA',
    found: `not used: ${reason ?? 'unknown'}`,
    ...(mend !== undefined && { mend: hasGpu ? mend : `only if this machine has an NVIDIA GPU: ${mend}` }),
  };
}

/** Shows that forward, backward and an optimizer step run. */
async function tryStep(device: Device): Promise<Finding> {
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
      device,
    });
    const trainer = new Trainer(model, { optimizer: { type: 'sgd', lr: 0.1 } });
    const images = { data: new Float32Array(4 * 64).fill(0.5), shape: [4, 1, 8, 8] };
    const { loss } = await trainer.step({ images, labels: [0, 1, 0, 1] });
    const passes = 'forward, backward and an optimizer step';
    return { state: 'good', subject, found: `runs on ${model.device} (loss ${loss.toFixed(3)}): ${passes}` };
  } catch (error) {
    const { code, message } = toDenseNetError(error);
    return { state: 'fault', subject, found: `${device}: ${message}`, mend: `report it with this output (${code})` };
  }
}
