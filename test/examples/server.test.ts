import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import path from 'node:path';
import sharp from 'sharp';
import { DenseNet } from '../../lib';
import { root, runNode } from '../child';
import { tinyModel } from '../tiny';
import { temporaryFolder } from '../unit/support';

const inFolder = temporaryFolder();
const folder = path.join('examples', 'server');

interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
}

let model: DenseNet;
let picture: Buffer;
/** Takes most of a second to decode. */
let slow: Buffer;
beforeAll(async () => {
  model = await tinyModel({ imageSize: [8, 8], classes: ['round', 'straight', 'other'] });
  await model.saveWeights(inFolder('tiny.safetensors'));
  picture = await png(12);
  slow = await png(7000);
});
afterAll(() => model.dispose());

function png(side: number): Promise<Buffer> {
  const stripes = Uint8Array.from({ length: 251 }, (_, place) => (place * 7) % 256);
  const pixels = Buffer.alloc(side * side, stripes);
  return sharp(pixels, { raw: { width: side, height: side, channels: 1 } })
    .png({ compressionLevel: 1 })
    .toBuffer();
}

/** A server process, and what a test does with it. */
class Server {
  output = '';
  readonly #process: ChildProcess;
  readonly ended: Promise<unknown[]>;
  port = 0;

  constructor(flags: string[]) {
    const args = [path.join(folder, 'server.mjs'), '--weights', inFolder('tiny.safetensors'), '--port', '0', ...flags];
    this.#process = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    this.ended = once(this.#process, 'close');
    for (const stream of [this.#process.stdout!, this.#process.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
  }

  async listening(): Promise<this> {
    await this.says('listening on');
    this.port = Number(/:(\d+),/.exec(this.output)![1]);
    return this;
  }

  async says(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.#process.exitCode !== null) throw new Error(this.output);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Sends the headers; the body is the caller's to send. */
  open(method: string, place: string, headers: http.OutgoingHttpHeaders = {}): http.ClientRequest {
    return http.request({ port: this.port, method, path: place, headers, agent: false });
  }

  async send(method: string, place: string, body?: Buffer, headers: http.OutgoingHttpHeaders = {}): Promise<Answer> {
    const request = this.open(method, place, headers);
    const answer = answerOf(request);
    request.end(body);
    return answer;
  }

  predict(body: Buffer, query = ''): Promise<Answer> {
    return this.send('POST', `/predict${query}`, body, { 'content-type': 'image/png' });
  }

  async metric(name: string): Promise<number> {
    const { text } = await this.send('GET', '/metrics');
    const line = text.split('\n').find((one) => one.startsWith(`${name} `));
    return line === undefined ? 0 : Number(line.slice(name.length));
  }

  async metricBecomes(name: string, value: number): Promise<void> {
    while ((await this.metric(name)) !== value) await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function answerOf(request: http.ClientRequest): Promise<Answer> {
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const piece of response.setEncoding('utf8')) text += String(piece);
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

describe('the service', () => {
  let server: Server;
  beforeAll(async () => {
    server = await new Server(['--max-body', '0.1', '--max-pixels', '0.01', '--max-wait', '20']).listening();
  });
  afterAll(async () => {
    server.kill('SIGTERM');
    await server.ended;
  });

  it('classifies the picture that is posted to it', async () => {
    const { status, headers, text } = await server.predict(picture);
    expect([status, headers['content-type']]).toEqual([200, 'application/json']);
    const { predictions } = JSON.parse(text) as { predictions: { label: string; probability: number }[] };
    const [expected] = await model.predict(picture);
    expect(predictions.map(({ label }) => label)).toEqual(expected!.top.map(({ label }) => label));
    expect(predictions[0]!.probability).toBeCloseTo(expected!.probability, 5);
    const two = await server.predict(picture, '?topK=2');
    expect((JSON.parse(two.text) as { predictions: unknown[] }).predictions).toHaveLength(2);
  });

  it('computes what comes together in one batch', async () => {
    const before = await server.metric('densenet_batches_total');
    const answers = await Promise.all(Array.from({ length: 12 }, () => server.predict(picture)));
    expect(answers.map(({ status }) => status)).toEqual(Array(12).fill(200));
    expect((await server.metric('densenet_batches_total')) - before).toBeLessThan(12);
  });

  it.each<[number, string, () => Promise<Answer>]>([
    [400, 'ERR_FILE_FORMAT', () => server.predict(Buffer.from('no picture'))],
    [400, 'ERR_FILE_FORMAT', () => server.predict(picture.subarray(0, 60))],
    [400, 'ERR_EMPTY', () => server.predict(Buffer.alloc(0))],
    [400, 'ERR_INVALID_ARGUMENT', () => server.predict(picture, '?topK=4')],
    [400, 'ERR_INVALID_ARGUMENT', () => server.predict(picture, '?topK=two')],
    [404, 'ERR_NOT_FOUND', () => server.send('GET', '/')],
    [404, 'ERR_NOT_FOUND', () => server.send('GET', '//predict')],
    [405, 'ERR_METHOD', () => server.send('GET', '/predict')],
    [405, 'ERR_METHOD', () => server.send('POST', '/health', Buffer.from('x'))],
    [415, 'ERR_CONTENT_TYPE', () => server.send('POST', '/predict', picture, { 'content-type': 'text/html' })],
    [415, 'ERR_CONTENT_TYPE', () => server.send('POST', '/predict', picture)],
    [413, 'ERR_BODY_TOO_LARGE', () => server.predict(Buffer.alloc(2_000_000))],
    [413, 'ERR_IMAGE_TOO_LARGE', async () => server.predict(await png(101))],
  ])('answers %i %s to what it does not take', async (status, code, send) => {
    const answer = await send();
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      status,
      { error: { code, message: expect.stringMatching(/\S/) as unknown } },
    ]);
  });

  it('counts a body whose length nobody said, and says that it is too large before all of it is sent', async () => {
    const request = server.open('POST', '/predict', { 'content-type': 'image/png' });
    const answer = answerOf(request);
    request.write(Buffer.alloc(60_000));
    request.write(Buffer.alloc(60_000));
    expect(await answer).toMatchObject({ status: 413, headers: { connection: 'close' } });
    request.destroy();
  });

  it('tells a client that asks first whether it may send its body', async () => {
    const headers = { 'content-type': 'image/png', expect: '100-continue' };
    const good = server.open('POST', '/predict', { ...headers, 'content-length': picture.length });
    const answer = answerOf(good);
    good.flushHeaders();
    await once(good, 'continue');
    good.end(picture);
    expect((await answer).status).toBe(200);
    const large = server.open('POST', '/predict', { ...headers, 'content-length': 1e9 });
    let told = false;
    large.on('continue', () => (told = true)).flushHeaders();
    expect([(await answerOf(large)).status, told]).toEqual([413, false]);
    large.destroy();
  });

  it('is healthy, and tells what it did', async () => {
    expect(await server.send('GET', '/health')).toMatchObject({ status: 200, text: '{"status":"ok"}\n' });
    const { text, headers } = await server.send('GET', '/metrics');
    expect(headers['content-type']).toMatch(/^text\/plain/);
    for (const line of text.trim().split('\n'))
      expect(line).toMatch(/^densenet_[a-z_]+(\{status="\d{3}"\})? [\d.e-]+$/);
    expect(await server.metric('densenet_requests_total{status="404"}')).toBe(2);
    expect(await server.metric('densenet_requests_total{status="500"}')).toBe(0);
    expect(server.output).not.toMatch(/Error/);
  });
});

describe('the service under pressure', () => {
  let server: Server;
  beforeEach(async () => (server = await new Server(['--max-queue', '1', '--max-body', '60']).listening()));
  afterEach(async () => {
    server.kill('SIGKILL');
    await server.ended;
  });

  it('refuses with 503 and Retry-After what finds no room, and answers what has', async () => {
    const first = server.predict(slow);
    await server.metricBecomes('densenet_images_waiting', 1);
    const second = await server.predict(picture);
    expect([second.status, second.headers['retry-after'], JSON.parse(second.text)]).toEqual([
      503,
      '1',
      { error: { code: 'ERR_OVERLOADED', message: expect.any(String) as unknown } },
    ]);
    expect((await first).status).toBe(200);
    expect((await server.predict(picture)).status).toBe(200);
  });

  it('lets go of a client that leaves, and has its place again', async () => {
    const request = server.open('POST', '/predict', { 'content-type': 'image/png' });
    request.on('error', () => undefined).end(slow);
    await server.metricBecomes('densenet_images_waiting', 1);
    request.destroy();
    await server.metricBecomes('densenet_requests_total{status="499"}', 1);
    await server.metricBecomes('densenet_images_waiting', 0);
    expect((await server.predict(picture)).status).toBe(200);
    const half = server.open('POST', '/predict', { 'content-type': 'image/png', 'content-length': 1000 });
    half.on('error', () => undefined).write('half of it');
    await new Promise((resolve) => setTimeout(resolve, 50));
    half.destroy();
    await server.metricBecomes('densenet_requests_total{status="499"}', 2);
    expect(server.output).not.toMatch(/Error/);
  });

  it('answers what is under way after SIGTERM, takes nothing new, and ends', async () => {
    const first = server.predict(slow);
    await server.metricBecomes('densenet_images_waiting', 1);
    server.kill('SIGTERM');
    await server.says('SIGTERM');
    await expect(server.send('GET', '/health')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await first).toMatchObject({ status: 200, headers: { connection: 'close' } });
    expect(await server.ended).toEqual([0, null]);
    expect(server.output).toMatch(/stopped\n$/);
  });

  it('ends at once at the second signal', async () => {
    const first = server.predict(slow).catch((error: unknown) => error);
    await server.metricBecomes('densenet_images_waiting', 1);
    server.kill('SIGINT');
    await server.says('SIGINT');
    server.kill('SIGTERM');
    expect(await server.ended).toEqual([1, null]);
    expect(await first).toMatchObject({ code: 'ECONNRESET' });
  });
});

test('the service gives up on an answer that takes too long', async () => {
  const server = await new Server(['--deadline', '0.2', '--max-body', '60']).listening();
  const answer = await server.predict(slow);
  expect([answer.status, answer.headers['retry-after']]).toEqual([503, '1']);
  expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'ERR_DEADLINE' } });
  server.kill('SIGTERM');
  expect(await server.ended).toEqual([0, null]);
});

test.each([
  [[], 'weights FILE is missing'],
  [['--weights', 'nowhere.safetensors'], 'ERR_FILE'],
])('the service does not begin with %p', async (flags, text) => {
  const { code, stderr } = await runNode([path.join(folder, 'server.mjs'), ...flags]);
  expect([code, stderr]).toEqual([1, expect.stringContaining(text)]);
});

test('the load is measured each way, in a table', async () => {
  const flags = ['--weights', inFolder('tiny.safetensors'), '--seconds', '1', '--rounds', '1', '--connections', '4'];
  const { code, stdout, stderr } = await runNode([path.join(folder, 'load.mjs'), ...flags]);
  expect([code, stderr]).toEqual([0, '']);
  const rows = [...stdout.matchAll(/^\| tiny\.safetensors \| 4 \| (.*?) \| ([\d.]+) \| \d+ \| \d+ \| ([\d.]+) \|$/gm)];
  expect(rows.map(([, way]) => way)).toEqual(['one by one', 'batches, no wait', 'batches, 5 ms']);
  for (const [, , rate, batch] of rows) {
    expect(Number(rate)).toBeGreaterThan(1);
    expect(Number(batch)).toBeGreaterThanOrEqual(1);
  }
  expect(Number(rows[0]![3])).toBe(1);
});
