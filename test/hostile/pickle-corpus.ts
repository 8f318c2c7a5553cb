import * as p from '../weights/build-pickle';

const { text, tensor, pickle, dictOf, integer, call, global, tupleOf } = p;

/** A pickle of a state dict whose one entry is "w". */
export function w(value: Buffer): Buffer {
  return pickle(dictOf(text('w'), value));
}

const huge = 2 ** 53;

/** Nesting of one container in another. */
function nested(depth: number, open: Buffer, close: Buffer): Buffer {
  return Buffer.concat([...Array<Buffer>(depth).fill(open), p.none, ...Array<Buffer>(depth).fill(close)]);
}

/** Faults of a pickle, which both of torch's formats must refuse. */
export const hostilePickles: [string, Buffer, RegExp][] = [
  [
    'a call of os.system',
    pickle(call(global('os', 'system'), text('touch /tmp/pwned'))),
    /whole Python object, os\.system/,
  ],
  ['a call of eval in a dictionary', w(call(global('builtins', 'eval'), text('1'))), /no tensors/],
  ['a state dict that is a number', pickle(integer(1)), /holds 1, not a dictionary/],
  ['an empty pickle', pickle(), /too few values/],
  ['a pickle of nothing', Buffer.alloc(0), /cut short|damaged/],
  ['values left over', pickle(p.none, p.none), /left over/],
  ['an open mark', pickle(p.mark, p.none), /left over/],
  ['a mark that is not open', pickle(p.none, p.tuple), /needs a mark/],
  ['a call of a dictionary', pickle(call(p.emptyDict)), /calls a dictionary/],
  ['a call of a number', pickle(integer(3), p.emptyTuple, p.reduce), /calls 3/],
  ['a call of a storage class', w(call(global('torch', 'FloatStorage'))), /is not a function/],
  [
    'a call without a tuple',
    pickle(global('collections', 'OrderedDict'), p.none, p.reduce),
    /in the place of its arguments/,
  ],
  ['a memo that was never filled', pickle(Buffer.from([0x68, 9])), /takes 9 from its memo/],
  [
    'a far memo that was never filled',
    pickle(Buffer.from([0x6a, 255, 255, 255, 255])),
    /takes 4294967295 from its memo/,
  ],
  ['a key without a value', pickle(p.emptyDict, p.mark, p.none, p.setitems), /a key without a value/],
  ['keys of a list', pickle(p.emptyList, p.mark, p.none, p.none, p.setitems), /sets keys of a list/],
  ['an append to a dictionary', pickle(p.emptyDict, p.none, p.append), /appends to a dictionary/],
  ['a state for a list', pickle(p.emptyList, p.none, p.build), /gives a state to a list/],
  [
    'a state for a tensor',
    w(Buffer.concat([tensor({ layout: 'zip' }), p.none, p.build])),
    /gives a state to a tensor|parts/,
  ],
  ['a key twice', pickle(dictOf(text('w'), p.none, text('w'), p.none)), /"w" twice/],
  [
    'an OrderedDict with a key twice',
    pickle(
      call(
        global('collections', 'OrderedDict'),
        Buffer.concat([
          p.emptyList,
          p.mark,
          tupleOf(text('a'), p.none),
          tupleOf(text('a'), p.none),
          Buffer.from([0x65]),
        ]),
      ),
    ),
    /"a" twice/,
  ],
  [
    'an OrderedDict of a number',
    pickle(call(global('collections', 'OrderedDict'), integer(7))),
    /OrderedDict is made of 7/,
  ],
  ['tuples 300 levels deep', pickle(nested(300, Buffer.alloc(0), Buffer.from([0x85]))), /256 levels deep/],
  ['lists 300 levels deep', pickle(nested(300, p.emptyList, p.append)), /256 levels deep/],
  ['300 open marks', pickle(Buffer.alloc(300, p.mark)), /256 levels deep/],
  [
    'a list in itself, 300 times',
    pickle(p.emptyList, Buffer.from([0x71, 0]), ...Array<Buffer>(300).fill(Buffer.from([0x68, 0, 0x61]))),
    /256 levels deep/,
  ],
  ['half a million dictionaries', pickle(Buffer.alloc(500_000, p.emptyDict)), /more than 120000 objects/],
  [
    'a list of more than a million values',
    pickle(p.emptyList, Buffer.alloc(2_000_010, Buffer.from([0x4e, 0x61]))),
    /hold more than 1000000 values/,
  ],
  ['a stack of a million values', pickle(Buffer.alloc(1_100_000, p.none)), /more than 500000 values/],
  [
    'a memo of a quarter of a million values',
    pickle(
      Buffer.concat([
        p.none,
        ...Array.from({ length: 250_001 }, (_, i) => Buffer.from([0x72, i & 255, (i >> 8) & 255, i >> 16, 0])),
      ]),
    ),
    /memo has more than/,
  ],
  [
    'eleven thousand classes',
    pickle(Buffer.concat(Array.from({ length: 11_000 }, (_, i) => global('m', String(i))))),
    /more than 10000 classes/,
  ],
  ['a class with a long name', pickle(global('m', 'x'.repeat(1000))), /too long/],
  ['a text longer than the file', pickle(Buffer.from([0x58, 255, 255, 255, 127, 65])), /cut short/],
  ['a text that is not UTF-8', pickle(dictOf(text(Buffer.from([0xc3, 0x28])), p.none)), /not UTF-8/],
  ['a protocol of the future', Buffer.concat([Buffer.from([0x80, 9]), p.none, p.stop]), /protocol is 9/],
  ['a persistent id that is a text', w(Buffer.concat([text('0'), p.persid])), /a persistent id is "0"/],
  [
    'a persistent id of another kind',
    w(Buffer.concat([tupleOf(text('file'), text('/etc/passwd')), p.persid])),
    /of the kind "file"/,
  ],
  [
    'a persistent id with three parts',
    w(Buffer.concat([tupleOf(text('storage'), p.none, p.none), p.persid])),
    /has 3 parts/,
  ],
  [
    'a tensor of a number',
    w(
      call(
        global('torch._utils', '_rebuild_tensor_v2'),
        integer(1),
        integer(0),
        tupleOf(),
        tupleOf(),
        p.no,
        p.emptyDict,
      ),
    ),
    /lies in 1/,
  ],
  ['a tensor with two arguments', w(call(global('torch._utils', '_rebuild_tensor_v2'), p.none, p.none)), /2 arguments/],
  [
    'a parameter of a number',
    w(call(global('torch._utils', '_rebuild_parameter'), integer(1), p.no, p.emptyDict)),
    /Parameter is made of 1/,
  ],
];

/** Faults of a tensor's numbers. */
export const hostileTensors: [string, p.TensorParts, RegExp][] = [
  ['a negative offset', { offset: -1 }, /begins at -1/],
  ['an offset past the storage', { offset: 1 }, /reaches to byte 28/],
  ['an offset beyond all integers', { offset: 2n ** 80n }, /begins at 1208925819614629174706176/],
  ['an offset that overflows in bytes', { offset: huge - 1 }, /too large to be true/],
  ['a negative length', { shape: [-2, 3] }, /shape hold -2/],
  ['a length beyond all integers', { shape: [2n ** 64n, 3] }, /shape hold 18446744073709551616/],
  [
    'lengths whose product overflows',
    { shape: [2 ** 30, 2 ** 30, 2 ** 30], strides: [0, 0, 0] },
    /too large to be true/,
  ],
  ['a negative stride', { strides: [-3, 1] }, /strides hold -3/],
  ['a stride past the storage', { strides: [4, 1] }, /reaches to byte 28/],
  ['a stride that overflows', { strides: [huge - 1, huge - 1] }, /too large to be true/],
  ['a billion elements on one', { shape: [1_000_000_000], strides: [0] }, /that it repeats/],
  ['rows that overlap', { shape: [3, 3], strides: [1, 1] }, /that it repeats/],
  ['more strides than axes', { strides: [3, 1, 1] }, /2 axes and 3 strides/],
  [
    'a hundred axes',
    { shape: Array<number>(100).fill(1), strides: Array<number>(100).fill(1) },
    /in the place of its shape/,
  ],
  ['a storage of a negative length', { count: -6 }, /length of -6|length in the file is not known/],
  [
    'a storage of more bytes than integers',
    { count: huge - 1 },
    /too large to be true|length in the file is not known/,
  ],
];
