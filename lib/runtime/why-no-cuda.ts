import { existsSync } from 'node:fs';
import { cudaVersionOf } from './cuda-facts';
import { driverNeeded, findDriver, mendDriver, type DriverFacts, type DriverPlaces } from './driver';
import type { PassedOver } from './load';
import type { Libtorch } from './locate';

/** Why CUDA is not used, and the one command that mends it. */
export interface WhyNoCuda {
  reason: string;
  mend: string;
}

export interface NoCuda {
  /** What native code found out: it knows libtorch, but not the machine around it. */
  said: string;
  libtorch: Libtorch;
  passedOver?: PassedOver | undefined;
  places?: DriverPlaces;
}

const installCuda = 'npx densenet install-libtorch --cuda';

/** Makes one sentence of what libtorch and the machine say. */
export async function whyNoCuda({ said, libtorch, passedOver, places = {} }: NoCuda): Promise<WhyNoCuda> {
  if (libtorch.build === 'cpu' && passedOver?.cuda)
    return {
      reason: `this libtorch is a CPU build; the one that was installed last could not be used: ${passedOver.said}`,
      mend: passedOver.mend,
    };
  const driver = await findDriver(places);
  const name = driver.gpus[0]?.name;
  if (libtorch.build === 'cpu')
    return {
      reason: `this libtorch is a CPU build${name === undefined ? '' : `, though this machine has an NVIDIA GPU (${name})`}`,
      mend: installCuda,
    };
  return whyNoDevice(said, (await cudaVersionOf(libtorch)) ?? '', driver, places.env ?? process.env);
}

function whyNoDevice(said: string, cuda: string, driver: DriverFacts, env: NodeJS.ProcessEnv): WhyNoCuda {
  const { version, gpus, fault } = driver;
  if (version === undefined)
    return {
      reason: `no NVIDIA driver ${fault === undefined ? 'was found' : 'works'} on this machine, which CUDA ${cuda} needs (${fault ?? 'there is no nvidia-smi on the PATH and no /proc/driver/nvidia'})`,
      mend: mendDriver,
    };
  const needed = driverNeeded(version, cuda);
  if (needed !== undefined)
    return {
      reason: `NVIDIA's driver ${version} is too old: CUDA ${cuda}, for which this libtorch was built, needs ${needed} or newer`,
      mend: mendDriver,
    };
  if (fault !== undefined) return { reason: `NVIDIA's driver ${version} does not work: ${fault}`, mend: 'sudo reboot' };
  const visible = env['CUDA_VISIBLE_DEVICES'];
  if (visible !== undefined && !/^\d/.test(visible.trim()) && !/^(GPU|MIG)-/.test(visible.trim()))
    return {
      reason: `CUDA_VISIBLE_DEVICES is ${JSON.stringify(visible)}, which hides every GPU`,
      mend: 'unset CUDA_VISIBLE_DEVICES',
    };
  if (gpus.length === 0)
    return {
      reason: `NVIDIA's driver ${version} is there, but it shows no GPU; a container must be given them`,
      mend: 'docker run --gpus all …',
    };
  const names = gpus.map((gpu) => gpu.name).join(', ');
  const module = existsSync('/dev/nvidia-uvm') ? 'sudo reboot' : 'sudo modprobe nvidia-uvm';
  return { reason: `${said}, though NVIDIA's driver ${version} shows ${names}`, mend: module };
}
