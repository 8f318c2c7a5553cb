import path from 'node:path';
import { cudaVersionOf, cudnnVersionOf } from '../../lib/runtime/cuda-facts';
import { driverNeeded, findDriver } from '../../lib/runtime/driver';
import type { Libtorch } from '../../lib/runtime/locate';
import { whyNoCuda, type NoCuda } from '../../lib/runtime/why-no-cuda';
import { bareEnvironment, makeCommand, put, temporaryFolder } from './fakes';

const folder = temporaryFolder();
const at = (...names: string[]) => path.join(folder(), ...names);
const places = () => ({ env: bareEnvironment(folder()), proc: at('proc') });

/** An nvidia-smi that prints and ends so. */
const makeSmi = (output: string, code = 0) => makeCommand(at('bin'), 'nvidia-smi', `echo '${output}'; exit ${code}`);

const h100 = '580.65.06, NVIDIA H100 80GB HBM3, 81559, 81079';

describe('the NVIDIA driver', () => {
  it('is none where nothing tells of it', async () => {
    expect(await findDriver(places())).toEqual({ gpus: [] });
  });

  it('tells by nvidia-smi of its version, the GPUs and their memory', async () => {
    await makeSmi(`${h100}\n580.65.06, NVIDIA L4, [N/A], [Insufficient Permissions]`);
    expect(await findDriver(places())).toEqual({
      version: '580.65.06',
      gpus: [
        { name: 'NVIDIA H100 80GB HBM3', totalBytes: 81559 * 2 ** 20, freeBytes: 81079 * 2 ** 20 },
        { name: 'NVIDIA L4' },
      ],
    });
  });

  it.each([
    ['NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023', '535.129.03'],
    ['NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (root@host)', '580.65.06'],
    ['NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  570.86  Release Build', '570.86'],
  ])('tells by the kernel where there is no nvidia-smi: %s', async (line, version) => {
    await put(at('proc', 'version'), `${line}\nGCC version: gcc version 12.3.0\n`);
    await put(at('proc', 'gpus', '0000:01:00.0', 'information'), 'Model: \t\t NVIDIA L4\nIRQ: 1\n');
    expect(await findDriver(places())).toEqual({ version, gpus: [{ name: 'NVIDIA L4' }] });
  });

  it('that is there and does not work says why', async () => {
    await put(at('proc', 'version'), 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu\n');
    await makeSmi('Failed to initialize NVML: Driver/library version mismatch', 18);
    expect(await findDriver(places())).toEqual({
      version: '535.129.03',
      gpus: [],
      fault: 'Failed to initialize NVML: Driver/library version mismatch',
    });
  });

  it.each([
    ['580.65.06', '13.0', undefined],
    ['580.65', '13.0', '580.65.06'],
    ['575.51', '13.0', '580.65.06'],
    ['525.60.13', '12.6', undefined],
    ['470.82', '12.6', '525.60.13'],
    ['9.9', '99.0', undefined],
  ])('%s and CUDA %s: what is needed is %s', (driver, cuda, needed) => {
    expect(driverNeeded(driver, cuda)).toBe(needed);
  });
});

describe('why there is no CUDA', () => {
  const cpu: Libtorch = { path: '/l', libraries: [], version: '2.13.0', build: 'cpu', source: 'cache' };
  const cuda: Libtorch = { ...cpu, version: '2.11.0', build: 'cu130' };
  const said = 'no NVIDIA device or driver was found on this machine';
  const why = (libtorch: Libtorch, more: Partial<NoCuda> = {}) =>
    whyNoCuda({ said, libtorch, places: places(), ...more });

  it('a CPU build on a machine without a GPU', async () => {
    expect(await why(cpu)).toEqual({
      reason: 'this libtorch is a CPU build',
      mend: 'npx densenet install-libtorch --cuda',
    });
  });

  it('a CPU build on a machine with one', async () => {
    await makeSmi(h100);
    expect((await why(cpu)).reason).toBe(
      'this libtorch is a CPU build, though this machine has an NVIDIA GPU (NVIDIA H100 80GB HBM3)',
    );
  });

  it('a CPU build, since the CUDA build that was installed could not be used', async () => {
    const passedOver = {
      said: '/c/2.11.0+cu130: libtorch 2.11.0 (cu130), which does not fit',
      cuda: true,
      mend: 'npx densenet setup',
    };
    expect(await why(cpu, { passedOver })).toEqual({
      reason: `this libtorch is a CPU build; the one that was installed last could not be used: ${passedOver.said}`,
      mend: 'npx densenet setup',
    });
  });

  it('no driver', async () => {
    const { reason, mend } = await why(cuda);
    expect(reason).toBe(
      'no NVIDIA driver was found on this machine, which CUDA 13.0 needs (there is no nvidia-smi on the PATH and no /proc/driver/nvidia)',
    );
    expect(mend).toMatch(/install nvidia-driver/);
  });

  it('a driver that is too old', async () => {
    await makeSmi('535.129.03, NVIDIA L4, 23034, 22000');
    const { reason, mend } = await why(cuda);
    expect(reason).toBe(
      "NVIDIA's driver 535.129.03 is too old: CUDA 13.0, for which this libtorch was built, needs 580.65.06 or newer",
    );
    expect(mend).toMatch(/install nvidia-driver/);
  });

  it('a driver that does not fit its libraries, as after an update', async () => {
    await put(at('proc', 'version'), 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Thu\n');
    await makeSmi('Failed to initialize NVML: Driver/library version mismatch', 18);
    expect(await why(cuda)).toEqual({
      reason: "NVIDIA's driver 580.65.06 does not work: Failed to initialize NVML: Driver/library version mismatch",
      mend: 'sudo reboot',
    });
  });

  it.each(['', '-1', 'none'])('CUDA_VISIBLE_DEVICES of %j', async (visible) => {
    await makeSmi(h100);
    const env = { ...bareEnvironment(folder()), CUDA_VISIBLE_DEVICES: visible };
    expect(await why(cuda, { places: { ...places(), env } })).toEqual({
      reason: `CUDA_VISIBLE_DEVICES is ${JSON.stringify(visible)}, which hides every GPU`,
      mend: 'unset CUDA_VISIBLE_DEVICES',
    });
  });

  it('a driver without GPUs, as in a container that was given none', async () => {
    await put(at('proc', 'version'), 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Thu\n');
    expect((await why(cuda)).reason).toMatch(/^NVIDIA's driver 580\.65\.06 is there, but it shows no GPU/);
  });

  it('whatever else libtorch says, beside what the driver shows', async () => {
    await makeSmi(h100);
    const { reason } = await why(cuda, { said: 'CUDA unknown error' });
    expect(reason).toBe("CUDA unknown error, though NVIDIA's driver 580.65.06 shows NVIDIA H100 80GB HBM3");
  });
});

describe('what a CUDA libtorch is made of', () => {
  const libtorch = (build: string): Libtorch => ({
    path: at('site', 'torch'),
    libraries: [],
    version: '2.11.0',
    build,
    source: 'cache',
  });

  it.each([
    ['cu130', '13.0'],
    ['cu118', '11.8'],
    ['cpu', undefined],
    ['cuda', undefined],
  ])('%s is CUDA %s', async (build, version) => {
    expect(await cudaVersionOf(libtorch(build))).toBe(version);
  });

  it('its CUDA version is in version.py where its name does not tell', async () => {
    await put(at('site', 'torch', 'version.py'), "__version__ = '2.11.0'\ncuda: Optional[str] = '12.8'\nhip = None\n");
    expect(await cudaVersionOf(libtorch('gitabc'))).toBe('12.8');
  });

  it('its cuDNN is told by the header, or by the name of the library', async () => {
    expect(await cudnnVersionOf(libtorch('cu130'))).toBeUndefined();
    await put(at('site', 'torch', 'lib', 'libcudnn.so.9'), '');
    expect(await cudnnVersionOf(libtorch('cu130'))).toBe('9');
    await put(
      at('site', 'nvidia', 'cudnn', 'include', 'cudnn_version.h'),
      '#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 15\n#define CUDNN_PATCHLEVEL 1\n',
    );
    expect(await cudnnVersionOf(libtorch('cu130'))).toBe('9.15.1');
  });
});
