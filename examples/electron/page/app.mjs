import { connect, overMessagePort } from './client.mjs';
import { Curves } from './curves.mjs';
import { Pad, show } from './pad.mjs';

/** @type {(id: string) => HTMLElement} */
const at = (id) => document.getElementById(id);

/** A DenseNet-BC so small that a CPU trains it while one looks on, and how it is trained. */
const network = {
  growthRate: 12,
  blockConfig: [4, 4],
  initChannels: 24,
  stem: 'cifar',
  inChannels: 1,
  numClasses: 10,
  normalization: { mean: [0.3054], std: [0.3753] },
};
const augment = [
  { type: 'randomAffine', degrees: 15, translate: [0, 0], scale: [0.85, 1.15], shear: 0 },
  { type: 'randomCrop', padding: 1 },
];

const curves = new Curves();
const pad = new Pad(at('pad'), () => classify());

/** @type {import('libtorch-densenet/electron/client').DenseNetClient | undefined} */
let client;
/** @type {import('libtorch-densenet/electron/client').RemoteModel | undefined} */
let model;
/** @type {AbortController | undefined} While a run is on. */
let running;

/** @param {'starting' | 'ready' | 'training' | 'gone' | 'error'} kind */
function setState(kind, text) {
  at('state').textContent = text;
  at('state').dataset.kind = kind;
  const idle = kind === 'ready';
  for (const id of ['train', 'epochs', 'rate', 'open', 'reset', 'save']) at(id).disabled = !idle;
  at('train').hidden = kind === 'training';
  at('stop').hidden = kind !== 'training';
}

/** Says what went wrong, unless it was the host's end, which has a place of its own. */
function complain(error) {
  if (error?.code === 'ERR_HOST_GONE') return;
  console.error(error);
  at('progress').textContent = error?.message ?? String(error);
}

/** A channel to the host. The app answers with a message that carries it. */
function openPort() {
  return new Promise((resolve, reject) => {
    window.addEventListener('message', function receive({ source, data, ports }) {
      if (source !== window || data !== 'host:port') return;
      window.removeEventListener('message', receive);
      resolve(ports[0]);
    });
    window.digitsApp.connect().catch(reject);
  });
}

async function start() {
  setState('starting', 'Starting');
  at('gone').hidden = true;
  client = connect(overMessagePort(await openPort()));
  void client.gone.then((error) => {
    model = undefined;
    at('why').textContent = `${error.message} What is drawn here is still here.`;
    at('gone').hidden = false;
    setState('gone', 'Stopped');
    void classify();
  });
  const { libtorch, threads, version } = await client.info();
  await renew(client.createModel(network));
  const where = model.device === 'cpu' ? `${threads} CPU thread${threads === 1 ? '' : 's'}` : model.device;
  at('facts').textContent =
    `A DenseNet of ${model.parameterCount.toLocaleString('en')} parameters, in a process of its own: ` +
    `libtorch-densenet ${version} on libtorch ${libtorch.version}, ${where}.`;
}

function begin() {
  start().catch((error) => {
    if (client?.connected !== false) setState('error', 'Not ready');
    complain(error);
  });
}

/** Takes a model in the place of the one before. */
async function renew(coming) {
  const former = model;
  model = await coming;
  await former?.dispose();
  curves.clear();
  for (const id of ['accuracy', 'loss', 'speed']) at(id).textContent = '–';
  at('bar').style.transform = 'scaleX(0)';
  setState('ready', 'Ready');
  void classify();
}

async function train() {
  running = new AbortController();
  setState('training', 'Training');
  const epochs = at('epochs').valueAsNumber;
  try {
    const run = model.train(
      { digits: 'train' },
      {
        trainer: {
          optimizer: { type: 'sgd', lr: at('rate').valueAsNumber, momentum: 0.9, nesterov: true, weightDecay: 5e-4 },
          schedule: { type: 'cosine' },
          labelSmoothing: 0.1,
        },
        validation: { digits: 'test' },
        epochs,
        batchSize: 64,
        augment,
        signal: running.signal,
      },
    );
    for await (const event of run) follow(event, epochs);
    const { seconds } = await run;
    at('progress').textContent = `Done: ${epochs} epochs in ${seconds.toFixed(1)} s. Draw something.`;
  } catch (error) {
    if (running.signal.aborted) at('progress').textContent = 'Stopped. The model is as it was after the last step.';
    else complain(error);
  } finally {
    running = undefined;
    if (client.connected) setState('ready', 'Ready');
  }
}

/** @param {import('libtorch-densenet').TrainingEvent} event */
function follow(event, epochs) {
  if (event.type === 'step') {
    const done = (event.epoch - 1 + event.step / event.steps) / epochs;
    at('bar').style.transform = `scaleX(${done})`;
    at('progress').textContent =
      `Epoch ${event.epoch} of ${epochs}, step ${event.step} of ${event.steps}, loss ${event.loss.toFixed(3)}`;
    at('speed').textContent = Math.round(event.imagesPerSecond).toLocaleString('en');
  }
  if (event.type === 'epoch') {
    curves.add(event);
    at('accuracy').textContent = `${(event.validation.top1 * 100).toFixed(1)} %`;
    at('loss').textContent = event.validation.loss.toFixed(3);
    // The drawing, as the model sees it by now; a run lets predictions in between its steps.
    void classify();
  }
}

let classifying = false;
let again = false;

/** Classifies what is drawn: one call at a time, and once more where the drawing or the model has changed meanwhile. */
async function classify() {
  const image = pad.image();
  at('hint').hidden = !pad.empty;
  show(at('seen'), image);
  if (classifying) {
    again = true;
    return;
  }
  classifying = true;
  at('digit').ariaBusy = 'true';
  try {
    const [prediction] = image && model ? await model.predict(image, { topK: 10 }) : [];
    showPrediction(prediction);
  } catch (error) {
    complain(error);
  } finally {
    classifying = false;
    if (again) {
      again = false;
      void classify();
    } else {
      at('digit').ariaBusy = 'false';
    }
  }
}

at('bars').replaceChildren(
  ...Array.from({ length: 10 }, (_, digit) => {
    const item = document.createElement('li');
    const [name, track, share] = ['span', 'div', 'span'].map((tag) => document.createElement(tag));
    name.textContent = String(digit);
    track.append(document.createElement('i'));
    item.append(name, track, share);
    return item;
  }),
);

/** @param {import('libtorch-densenet').Prediction | undefined} prediction */
function showPrediction(prediction) {
  const drawn = !pad.empty;
  at('digit').textContent = prediction?.label ?? '?';
  at('sure').textContent = prediction
    ? `${(prediction.probability * 100).toFixed(1)} % sure`
    : drawn
      ? 'no model to ask'
      : 'nothing drawn yet';
  for (const [digit, item] of [...at('bars').children].entries()) {
    const probability = prediction?.top.find(({ index }) => index === digit)?.probability;
    item.classList.toggle('best', digit === prediction?.index);
    item.querySelector('i').style.transform = `scaleX(${probability ?? 0})`;
    item.lastChild.textContent = probability === undefined ? '' : `${(probability * 100).toFixed(1)} %`;
  }
}

/** Does what a button is for, and says what went wrong. */
const on = (id, event, act) =>
  at(id).addEventListener(event, (happened) => {
    happened.preventDefault();
    Promise.resolve(act()).catch(complain);
  });

on('plan', 'submit', train);
on('stop', 'click', () => running?.abort());
on('clear', 'click', () => pad.clear());
on('reset', 'click', () => renew(client.createModel(network)));
on('restart', 'click', begin);
on('open', 'click', async () => {
  const grant = await window.digitsApp.chooseWeights();
  if (grant === null) return;
  await renew(client.loadModel(grant));
  at('progress').textContent = 'Opened.';
});
on('save', 'click', async () => {
  const grant = await window.digitsApp.chooseTarget();
  if (grant === null) return;
  await model.save(grant);
  at('progress').textContent = 'Saved.';
});

window.digitsApp.onHostGone((why) => client?.lost(why));
begin();
