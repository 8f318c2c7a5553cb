import { crc32 } from 'node:zlib';
import * as p from '../weights/build-pickle';
import { hostilePickles as pickles, hostileTensors as tensors, w } from './pickle-corpus';
import {
  descriptor,
  legacy,
  safetensors,
  sixFloats,
  storage,
  torchEntries,
  torchZip,
  zip,
  type EntryParts,
} from '../weights/build-zip';

/** A file that must be refused. */
export interface Hostile {
  name: string;
  bytes: Buffer;
  /** What the message must say, so that it is refused for its own fault and not for another. */
  why: RegExp;
}

const { text, tensor, pickle, dictOf, integer, tupleOf } = p;

/** A zip whose entry of this name is changed. */
function changed(name: string, change: Partial<EntryParts>): Buffer {
  return zip(torchEntries().map((entry) => (entry.name === name ? { ...entry, ...change } : entry)));
}

function withEntries(...entries: EntryParts[]): Buffer {
  return zip([...torchEntries(), ...entries]);
}

const zips: [string, Buffer, RegExp][] = [
  ['a storage longer than its record', torchZip({ count: 7 }), /data\/0 has 24 bytes, and the tensors in it need 28/],
  ['a storage shorter than its record', torchZip({ count: 5, shape: [5], strides: [1] }), /need 20/],
  ['a storage without a record', torchZip({ key: '1' }), /no record data\/1/],
  ['a storage outside the archive', torchZip({ key: '../../etc/passwd' }), /no record data\/\.\.\/\.\./],
  [
    'a storage of two lengths',
    torchZip({}, pickle(dictOf(text('v'), tensor({ count: 7 }), text('w'), tensor()))),
    /two lengths/,
  ],
  ['bytes after the pickle', torchZip({}, Buffer.concat([w(tensor()), Buffer.from('more')])), /data\.pkl ends at byte/],
  [
    'a pickle larger than its limit',
    changed('a/data.pkl', { content: Buffer.alloc(17 * 1024 * 1024) }),
    /the limit is 16777216/,
  ],
  ['no data.pkl', zip(torchEntries().slice(1)), /no data\.pkl/],
  ['an empty archive', zip([]), /empty archive/],
  ['two folders', withEntries({ name: 'b/data/1', content: sixFloats }), /do not lie in one folder/],
  [
    'no folder',
    zip(torchEntries().map((entry) => ({ ...entry, name: entry.name.slice(2) }))),
    /do not lie in one folder/,
  ],
  ['big-endian bytes', changed('a/byteorder', { content: Buffer.from('big') }), /big-endian/],
  ['bytes in an unknown order', changed('a/byteorder', { content: Buffer.from('middle') }), /byteorder is "middle"/],
  ['an entry twice', withEntries({ name: 'a/data/0', content: sixFloats }), /"a\/data\/0" twice/],
  ['an entry above its folder', withEntries({ name: 'a/../../x', content: sixFloats }), /unsafe name/],
  ['an entry at the root', withEntries({ name: '/etc/passwd', content: sixFloats }), /unsafe name/],
  ['an entry with a backslash', withEntries({ name: 'a\\..\\x', content: sixFloats }), /unsafe name/],
  ['an entry with a zero in its name', withEntries({ name: 'a/x\0.pkl', content: sixFloats }), /has the name/],
  [
    'an entry whose name is not UTF-8',
    withEntries({
      name: 'a/x',
      content: sixFloats,
      local: { name: Buffer.from([0xff]) },
      central: { name: Buffer.from([0xff]) },
    }),
    /not UTF-8/,
  ],
  ['a compressed entry', changed('a/data/0', { local: { method: 8 }, central: { method: 8 } }), /is compressed/],
  ['an entry compressed in its local header alone', changed('a/data/0', { local: { method: 8 } }), /another method/],
  [
    'an encrypted entry',
    changed('a/data/0', { local: { flags: 1, compressed: 36 }, central: { flags: 1, compressed: 36 } }),
    /encrypted/,
  ],
  ['strong encryption', changed('a/data/0', { central: { flags: 0x41 } }), /encryption/],
  [
    'a masked directory',
    changed('a/data/0', { local: { flags: 0x2000 }, central: { flags: 0x2000 } }),
    /has the flags 0x2000/,
  ],
  ['flags unlike the local ones', changed('a/data/0', { local: { flags: 0 } }), /other flags/],
  ['a name unlike the local one', changed('a/data/0', { local: { name: 'a/data/1' } }), /another name/],
  [
    'a length unlike the local one',
    changed('a/data/0', { local: { compressed: 20, uncompressed: 20 } }),
    /another checksum or length/,
  ],
  ['a checksum unlike the local one', changed('a/data/0', { local: { crc: 1 } }), /another checksum or length/],
  ['two lengths for stored bytes', changed('a/data/0', { central: { compressed: 20 } }), /size mismatch/],
  [
    'a length past the file',
    changed('a/data/0', { central: { compressed: 1e9, uncompressed: 1e9 } }),
    /outside the file/,
  ],
  [
    'a ZIP64 length past all integers',
    changed('a/data/0', {
      central: { compressed: 0xffffffff, uncompressed: 0xffffffff },
      centralExtra: Buffer.concat([Buffer.from([1, 0, 16, 0]), Buffer.alloc(16, 0xff)]),
    }),
    /outside the file/,
  ],
  [
    'a ZIP64 length that is not there',
    changed('a/data/0', { central: { compressed: 0xffffffff, uncompressed: 0xffffffff } }),
    /outside the file/,
  ],
  [
    'a ZIP64 field that is too short',
    changed('a/data/0', {
      central: { compressed: 0xffffffff, uncompressed: 0xffffffff },
      centralExtra: Buffer.from([1, 0, 2, 0, 9, 9]),
    }),
    /does not include/,
  ],
  [
    'an extra field that is cut short',
    changed('a/data/0', { centralExtra: Buffer.from([1, 0, 99, 0, 9]) }),
    /extra field length/,
  ],
  ['an entry that begins in another', changed('a/data/0', { offset: 0 }), /another name/],
  ['entries that overlap', overlapping(), /overlap/],
  ['an entry that begins past the file', changed('a/data/0', { offset: 1e9 }), /outside the file/],
  ['an entry without a local header', changed('a/data/0', { offset: 5 }), /no local header/],
  [
    'a wrong checksum of the pickle',
    changed('a/data.pkl', { local: { crc: 1 }, central: { crc: 1 } }),
    /do not have the checksum/,
  ],
  [
    'a wrong checksum of a tensor',
    changed('a/data/0', { local: { crc: 1 }, central: { crc: 1 } }),
    /"a\/data\/0" is damaged/,
  ],
  [
    'a descriptor that is not there',
    changed('a/data/0', { local: { flags: 0x0808 }, central: { flags: 0x0808 } }),
    /followed by another/,
  ],
  [
    'a descriptor of another length',
    changed('a/data/0', {
      local: { flags: 0x0808 },
      central: { flags: 0x0808 },
      after: descriptor(crc32(sixFloats), 23),
    }),
    /followed by another/,
  ],
  ['more entries than the directory has', zip(torchEntries(), { count: 9 }), /signature|points to byte/],
  ['fewer entries than the directory has', zip(torchEntries(), { count: 3 }), /end does not follow/],
  ['bytes before the end record', zip(torchEntries(), { beforeEnd: Buffer.from('hidden') }), /end does not follow/],
  [
    'an end record within a comment',
    zip(torchEntries(), { comment: zip([]) }),
    /end does not follow|comment|signature|empty archive|another/,
  ],
  [
    'eleven thousand entries',
    zip(Array.from({ length: 11_000 }, (_, i) => ({ name: `a/data/${i}`, content: Buffer.alloc(0) }))),
    /11000 entries/,
  ],
  ['a TorchScript program', withEntries({ name: 'a/constants.pkl', content: Buffer.from('.') }), /TorchScript/],
  [
    'metadata that are not JSON',
    withEntries({ name: 'a/extra/libtorch_densenet.json', content: Buffer.from('{') }),
    /not JSON/,
  ],
];

/** Two entries whose local headers are the same bytes but for a longer extra field in one. */
function overlapping(): Buffer {
  const inner = zip([{ name: 'a/data/1', content: sixFloats }]);
  const local = inner.subarray(0, 30 + 'a/data/1'.length + sixFloats.length);
  const outer = torchEntries();
  const before = zip(outer).indexOf('a/version') - 30;
  return zip([
    ...outer.slice(0, 3),
    { ...(outer[3] as EntryParts), name: 'a/blob', content: Buffer.from(local) },
    { name: 'a/data/1', content: sixFloats, offset: before + 30 + 'a/blob'.length },
  ]);
}

const legacies: [string, Buffer, RegExp][] = [
  ['another layout', legacy({ protocol: pickle(integer(1002)) }), /layout is 1002/],
  ['a big-endian machine', legacy({ system: pickle(dictOf(text('little_endian'), p.no)) }), /little-endian/],
  ['no facts of the machine', legacy({ system: pickle(p.none) }), /little-endian/],
  ['a persistent id among the keys', legacy({ keys: pickle(tupleOf(text('storage')), p.persid) }), /where none may be/],
  ['keys that are no list', legacy({ keys: pickle(p.none) }), /no list of storages/],
  [
    'a key that no tensor has',
    legacy({ keys: pickle(p.emptyList, text('9'), p.append) }),
    /no tensor lies in its storage/,
  ],
  [
    'a storage listed twice',
    legacy({
      keys: pickle(p.emptyList, p.mark, text('0'), text('0'), Buffer.from([0x65])),
      storages: Buffer.concat([storage(sixFloats), storage(sixFloats)]),
    }),
    /"0" twice/,
  ],
  [
    'a storage that is not listed',
    legacy({ keys: pickle(p.emptyList), storages: Buffer.alloc(0) }),
    /does not list all/,
  ],
  ['a storage of another length', legacy({ storages: storage(sixFloats, 5) }), /has 5 elements/],
  ['a negative count before a storage', legacy({ storages: storage(sixFloats, -6) }), /has -6 elements/],
  ['a storage that is cut short', legacy({ storages: storage(sixFloats).subarray(0, 20) }), /cut short/],
  [
    'bytes after the storages',
    legacy({ storages: Buffer.concat([storage(sixFloats), Buffer.from('x')]) }),
    /end at byte/,
  ],
  [
    'a view past its storage',
    legacy({ object: w(tensor({ layout: 'legacy', view: tupleOf(text('v'), integer(4), integer(6)) })) }),
    /view of a storage reaches to byte 40/,
  ],
  [
    'a view of a negative length',
    legacy({ object: w(tensor({ layout: 'legacy', view: tupleOf(text('v'), integer(0), integer(-1)) })) }),
    /length of -1/,
  ],
  [
    'a view with two parts',
    legacy({ object: w(tensor({ layout: 'legacy', view: tupleOf(text('v'), integer(0)) })) }),
    /in the place of its view/,
  ],
  [
    'a storage described in two ways',
    legacy({
      object: pickle(
        dictOf(text('v'), tensor({ layout: 'legacy', count: 7 }), text('w'), tensor({ layout: 'legacy' })),
      ),
    }),
    /described in two ways/,
  ],
  [
    'a storage of an unknown class',
    legacy({ object: w(tensor({ layout: 'legacy', storage: 'StrangeStorage' })) }),
    /length in the file is not known/,
  ],
];

const one = { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] };
const safetensorsFiles: [string, Buffer, RegExp][] = [
  [
    'a header longer than the file',
    Buffer.concat([Buffer.from([255, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{}')]),
    /header would have 255/,
  ],
  ['a header of exabytes', Buffer.concat([Buffer.alloc(8, 0xff), Buffer.from('{}')]), /18446744073709551615 bytes/],
  ['a header that is not JSON', safetensors(undefined, sixFloats, '{"w":'), /not JSON/],
  ['a header that is not UTF-8', safetensors(undefined, sixFloats, Buffer.from([0x7b, 0xff, 0x7d])), /not UTF-8/],
  [
    'a key twice',
    safetensors(undefined, sixFloats, `{"w":${JSON.stringify(one)},"\\u0077":${JSON.stringify(one)}}`),
    /"w" twice/,
  ],
  [
    'a __proto__ that is no tensor',
    safetensors(undefined, sixFloats, '{"__proto__":{"polluted":1}}'),
    /tensor "__proto__"/,
  ],
  ['metadata that are no texts', safetensors({ __metadata__: { a: 1 }, w: one }), /__metadata__/],
  ['an unknown element type', safetensors({ w: { ...one, dtype: 'F12' } }), /element type "F12"/],
  ['an element type of the prototype', safetensors({ w: { ...one, dtype: 'toString' } }), /element type "toString"/],
  ['a negative length', safetensors({ w: { ...one, shape: [-2, -3] } }), /has the shape/],
  ['a length that is no integer', safetensors({ w: { ...one, shape: [1.5, 4] } }), /has the shape/],
  [
    'lengths whose product overflows',
    safetensors({ w: { ...one, shape: [2 ** 40, 2 ** 40] } }),
    /too large to be true/,
  ],
  ['a range shorter than the shape', safetensors({ w: { ...one, data_offsets: [0, 20] } }), /needs 24/],
  ['a range backwards', safetensors({ w: { ...one, data_offsets: [24, 0] } }), /has -24 bytes/],
  ['a hole', safetensors({ w: { ...one, data_offsets: [4, 28] } }, Buffer.alloc(28)), /begins at byte/],
  ['an overlap', safetensors({ v: one, w: one }), /begins at byte/],
  ['bytes after the last tensor', safetensors({ w: one }, Buffer.alloc(25)), /something was added/],
  ['a range past the file', safetensors({ w: one }, Buffer.alloc(20)), /cut short/],
];

const others: [string, Buffer, RegExp][] = [
  ['an empty file', Buffer.alloc(0), /is empty/],
  [
    'a tar archive',
    Buffer.concat([Buffer.alloc(257), Buffer.from('ustar\x0000'), Buffer.alloc(248)]),
    /before 0\.1\.10/,
  ],
  ['a web page', Buffer.from('<!DOCTYPE html><html></html>'), /web page/],
  ['a pointer of Git LFS', Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'), /git lfs pull/],
  ['a gzip file', Buffer.from('\x1f\x8b\x08\x00abcdefgh', 'latin1'), /gzip/],
  ['an HDF5 file', Buffer.from('\x89HDF\r\n\x1a\n00000000', 'latin1'), /HDF5/],
  ['a plain pickle', pickle(p.emptyDict, p.none), /plain pickle/],
  ['a picture', Buffer.from('\x89PNG\r\n\x1a\n00000000', 'latin1'), /begins like none/],
];

function files(format: string, list: [string, Buffer, RegExp][]): Hostile[] {
  return list.map(([name, bytes, why]) => ({ name: `${format}: ${name}`, bytes, why }));
}

/** Every hostile file; each has one fault. */
export function hostileFiles(): Hostile[] {
  return [
    ...files(
      'torch zip',
      pickles.map(([name, bytes, why]) => [name, torchZip({}, bytes), why]),
    ),
    ...files(
      'legacy torch',
      pickles.map(([name, bytes, why]) => [
        name,
        legacy({ object: bytes, keys: pickle(p.emptyList), storages: Buffer.alloc(0) }),
        why,
      ]),
    ),
    ...files(
      'torch zip',
      tensors.map(([name, parts, why]) => [name, torchZip(parts), why]),
    ),
    ...files(
      'legacy torch',
      tensors.map(([name, parts, why]) => [name, legacy({ object: w(tensor({ ...parts, layout: 'legacy' })) }), why]),
    ),
    ...files('torch zip', zips),
    ...files('legacy torch', legacies),
    ...files('safetensors', safetensorsFiles),
    ...files('other', others),
  ];
}

/** Files of each format that are right. */
export function goodFiles(): { name: string; bytes: Buffer }[] {
  return [
    { name: 'torch zip', bytes: torchZip() },
    { name: 'legacy torch', bytes: legacy() },
    { name: 'safetensors', bytes: safetensors({ w: one }) },
  ];
}
