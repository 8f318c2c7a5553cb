import { MeaningError, PickleError, unpickle, type PickleMeaning } from '../../lib/weights/pickle';
import { Opcode } from '../../lib/weights/pickle-opcodes';
import { Inert, PickleDict, PickleList, PickleTuple, type PickleValue } from '../../lib/weights/pickle-values';
import { torchMeaning } from '../../lib/weights/torch-globals';
import * as p from './build-pickle';

const meaning: PickleMeaning = torchMeaning(() => {
  throw new MeaningError('no storages here');
});

async function read(...pieces: Buffer[]): Promise<PickleValue> {
  return (await unpickle(p.pickle(...pieces), meaning)).value;
}

test('exactly 34 opcodes are known', () => {
  expect(Object.keys(Opcode).sort()).toEqual(
    (
      'PROTO STOP MARK GLOBAL REDUCE BUILD NEWOBJ BINPERSID BINPUT LONG_BINPUT BINGET LONG_BINGET NONE NEWTRUE NEWFALSE ' +
      'BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINSTRING EMPTY_TUPLE EMPTY_LIST EMPTY_DICT EMPTY_SET ' +
      'TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS SETITEM SETITEMS'
    )
      .split(' ')
      .sort(),
  );
});

const known = new Set<number>(Object.values(Opcode));
const others = Array.from({ length: 256 }, (_, code) => code).filter((code) => !known.has(code));

test.each(others)('opcode %i is refused with its number and its place', async (code) => {
  const error: unknown = await unpickle(Buffer.from([0x80, 2, 0x4e, code, 0x2e]), meaning).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(PickleError);
  expect((error as PickleError).offset).toBe(3);
  expect((error as PickleError).message).toContain(`(0x${code.toString(16).padStart(2, '0')})`);
  expect((error as PickleError).message).toContain('at byte 3 of its pickle');
});

test.each([
  ['STACK_GLOBAL', 0x93],
  ['INST', 0x69],
  ['OBJ', 0x6f],
  ['EXT1', 0x82],
  ['NEWOBJ_EX', 0x92],
  ['MEMOIZE', 0x94],
  ['LONG4', 0x8b],
])('%s is refused by its name', async (name, code) => {
  await expect(unpickle(Buffer.from([code]), meaning)).rejects.toThrow(`opcode ${name} (0x`);
});

test('numbers of every width keep their value', async () => {
  expect(await read(Buffer.from([0x4b, 255]))).toBe(255);
  expect(await read(Buffer.from([0x4d, 0xe9, 3]))).toBe(1001);
  expect(await read(Buffer.from([0x4a, 255, 255, 255, 255]))).toBe(-1);
  expect(await read(Buffer.from([0x8a, 0]))).toBe(0);
  expect(await read(Buffer.from([0x8a, 1, 0x80]))).toBe(-128);
  expect(await read(p.integer(2 ** 52))).toBe(2 ** 52);
  expect(await read(p.integer(2n ** 70n))).toBe(2n ** 70n);
  expect(await read(p.integer(-(2n ** 70n)))).toBe(-(2n ** 70n));
  expect(await read(Buffer.from([0x47, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]))).toBe(1.5);
});

test('texts, truth values and nothing', async () => {
  expect(await read(p.text('größe'))).toBe('größe');
  expect(await read(Buffer.from([0x55, 2, 0x61, 0xe9]))).toBe('aé');
  expect(await read(p.none)).toBeNull();
  expect(await read(p.no)).toBe(false);
  expect(await read(Buffer.from([0x88]))).toBe(true);
});

test('containers keep their items, and a dictionary is a Map whatever its keys are called', async () => {
  const dict = (await read(p.dictOf(p.text('__proto__'), p.integer(1), p.text('constructor'), p.none))) as PickleDict;
  expect([...dict.entries]).toEqual([
    ['__proto__', 1],
    ['constructor', null],
  ]);
  const list = (await read(p.emptyList, p.mark, p.integer(1), p.integer(2), Buffer.from([0x65]))) as PickleList;
  expect(list.items).toEqual([1, 2]);
  const pair = (await read(p.integer(1), p.integer(2), Buffer.from([0x86]))) as PickleTuple;
  expect(pair.items).toEqual([1, 2]);
});

test('the memo gives back the very same value', async () => {
  const pair = (await read(p.emptyList, Buffer.from([0x71, 5, 0x68, 5, 0x86]))) as PickleTuple;
  expect(pair.items[0]).toBe(pair.items[1]);
});

test('an OrderedDict takes its pairs from Python 2 as well', async () => {
  const pairs = Buffer.concat([p.emptyList, p.tupleOf(p.text('a'), p.integer(1)), p.append]);
  const dict = (await read(p.call(p.global('collections', 'OrderedDict'), pairs))) as PickleDict;
  expect([...dict.entries]).toEqual([['a', 1]]);
});

test('an unknown class stays inert, whatever is done with it', async () => {
  const made = Buffer.concat([
    p.call(p.global('argparse', 'Namespace')),
    ...[p.dictOf(p.text('lr'), p.integer(1)), p.build],
    ...[p.mark, p.text('a'), p.integer(1), p.setitems],
    ...[p.integer(3), p.append],
  ]);
  const value = await read(made);
  expect(value).toBeInstanceOf(Inert);
  expect((value as Inert).path).toBe('argparse.Namespace');
});

test('a tensor that needs an unknown class is inert too, and does not stop the rest', async () => {
  const value = await read(
    p.dictOf(
      p.text('q'),
      p.call(
        p.global('torch._utils', '_rebuild_parameter'),
        p.call(p.global('torch._utils', '_rebuild_qtensor')),
        p.no,
      ),
      p.text('n'),
      p.integer(1),
    ),
  );
  expect((value as PickleDict).get('q')).toBeInstanceOf(Inert);
  expect((value as PickleDict).get('n')).toBe(1);
});

test('only the globals that are needed are known', () => {
  const paths = (
    'collections.OrderedDict torch._utils._rebuild_tensor torch._utils._rebuild_tensor_v2 torch._utils._rebuild_tensor_v3 ' +
    'torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state torch.nn.parameter.Parameter ' +
    'torch.Size torch.device torch.storage.UntypedStorage torch.FloatStorage torch.BFloat16Storage torch.float16'
  ).split(' ');
  for (const path of paths) expect([path, meaning.knows(path)]).toEqual([path, true]);
  for (const path of [
    'os.system',
    'builtins.eval',
    'torch.load',
    'torch._utils._rebuild_qtensor',
    'toString',
    '__proto__',
  ])
    expect([path, meaning.knows(path)]).toEqual([path, false]);
});

test('a pickle of millions of opcodes is refused, and the event loop goes on meanwhile', async () => {
  const bytes = Buffer.alloc(11_000_000, Buffer.from([0x4e, 0x71, 0]));
  // NONE, BINPUT 0: the stack grows past its limit first; APPEND to something inert keeps it empty.
  const texts = Buffer.concat([p.call(p.global('a', 'B')), Buffer.alloc(11_000_000, Buffer.from([0x4e, 0x61]))]);
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  await expect(unpickle(texts, meaning)).rejects.toThrow(/more than 5000000 opcodes/);
  clearInterval(timer);
  expect(turns).toBeGreaterThan(5);
  await expect(unpickle(bytes, meaning)).rejects.toThrow(/more than 500000 values are on its stack/);
});
