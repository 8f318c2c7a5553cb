import { runInNewContext } from 'node:vm';
import {
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkSignal,
  checkString,
  didYouMean,
  invalidArgument,
  show,
  typedArrayKind,
} from '../../lib/validate';
import { expectRefusal, wrong } from './support';

const invalid = 'ERR_INVALID_ARGUMENT';

describe('a value in a message', () => {
  it.each<[unknown, string]>([
    [undefined, 'undefined'],
    [null, 'null'],
    [true, 'true'],
    [1.5, '1.5'],
    [NaN, 'NaN'],
    [-Infinity, '-Infinity'],
    [12n, '12n'],
    ['cat', '"cat"'],
    ['', '""'],
    ['two\nlines "quoted"', '"two\\nlines \\"quoted\\""'],
    [[1, 'a', null], '[1, "a", null]'],
    [[], '[]'],
    [[1, 2, 3, 4, 5, 6, 7], '[1, 2, 3, 4, 5, 6, … 7 values]'],
    [() => 1, 'a function'],
    [{ a: 1 }, 'an object'],
    [new Map(), 'a Map'],
    [new Date(0), 'a Date'],
    [new Float64Array(3), 'a Float64Array of 24 bytes'],
    [Symbol('a'), 'a Symbol'],
  ])('%p is shown as %s', (value, text) => {
    expect(show(value)).toBe(text);
  });

  it('is cut when it is a long text', () => {
    expect(show('x'.repeat(60))).toBe(`"${'x'.repeat(60)}"`);
    expect(show('x'.repeat(61))).toBe(`"${'x'.repeat(57)}..."`);
  });

  it('is short when it is a list of lists of lists', () => {
    let nested: unknown = 'a text of some length';
    for (let depth = 0; depth < 5; depth += 1) nested = Array(6).fill(nested);
    expect(show(nested).length).toBeLessThan(1000);
  });

  it('is short when it is a list within a list, a hundred thousand times over', () => {
    let nested: unknown[] = [];
    for (let depth = 0; depth < 100_000; depth += 1) nested = [nested];
    expect(show(nested).length).toBeLessThan(1000);
  });

  it('is short when it is a list that holds itself', () => {
    const loop: unknown[] = [1];
    loop.push(loop);
    expect(show(loop).length).toBeLessThan(1000);
  });
});

test('every bad argument is reported in one sentence: its name, what is allowed, what was given', () => {
  const error = invalidArgument('epochs', 'an integer of at least 1', 'ten');
  expect(error.code).toBe(invalid);
  expect(error.name).toBe('DenseNetError');
  expect(error.message).toBe('ERR_INVALID_ARGUMENT: epochs must be an integer of at least 1; got "ten".');
});

describe('an integer', () => {
  it('within the limits comes back, the limits too', () => {
    expect([checkInteger('n', 1, 1, 3), checkInteger('n', 3, 1, 3), checkInteger('n', 2 ** 52, 0)]).toEqual([
      1,
      3,
      2 ** 52,
    ]);
  });

  it.each([[0], [4], [1.5], [NaN], [Infinity], ['2'], [2n], [null], [undefined], [true], [[2]]])(
    '%p is none from 1 to 3',
    async (value) => {
      await expectRefusal(
        () => checkInteger('n', value, 1, 3),
        invalid,
        `n must be an integer from 1 to 3; got ${show(value)}.`,
      );
    },
  );

  it('without an upper limit must be safe: above 2^53 − 1 two of them are the same', async () => {
    expect(checkInteger('n', Number.MAX_SAFE_INTEGER, 0)).toBe(Number.MAX_SAFE_INTEGER);
    await expectRefusal(() => checkInteger('n', 2 ** 53, 0), invalid, 'at least 0', '9007199254740992');
  });
});

describe('a number', () => {
  it('within the limits comes back', () => {
    expect([checkNumber('x', -5.5), checkNumber('x', 0, 0, 1), checkNumber('x', 1, 0, 1)]).toEqual([-5.5, 0, 1]);
  });

  it.each<[unknown, [number?, number?, boolean?], string]>([
    [NaN, [], 'a finite number; got NaN.'],
    [Infinity, [], 'a finite number; got Infinity.'],
    ['1', [], 'a finite number; got "1".'],
    [-1, [0], 'a finite number of at least 0; got -1.'],
    [2, [0, 1], 'a finite number from 0 to 1; got 2.'],
    [-2, [0, 1], 'a finite number from 0 to 1; got -2.'],
    [1, [0, 1, true], 'a finite number from 0 to below 1; got 1.'],
    [1n, [0, 1], 'a finite number from 0 to 1; got 1n.'],
  ])('%p with the limits %p is refused', async (value, limits, sentence) => {
    await expectRefusal(() => checkNumber('x', value, ...limits), invalid, `x must be ${sentence}`);
  });
});

test('true and false are all that a flag may be', async () => {
  expect([checkBoolean('flag', true), checkBoolean('flag', false)]).toEqual([true, false]);
  for (const value of [1, 0, 'true', null, undefined])
    await expectRefusal(() => checkBoolean('flag', value), invalid, `flag must be true or false; got ${show(value)}.`);
});

test('a text must not be empty', async () => {
  expect(checkString('path', 'a')).toBe('a');
  for (const value of ['', 7, null, undefined, ['a'], Buffer.from('a')])
    await expectRefusal(
      () => checkString('path', value),
      invalid,
      `path must be a string that is not empty; got ${show(value)}.`,
    );
});

describe('one of a few names', () => {
  const names = ['sgd', 'adam', 'adamw'] as const;

  it('comes back', () => {
    expect(checkOneOf('type', 'adam', names)).toBe('adam');
  });

  it.each([
    ['adan', 'Did you mean "adam"?'],
    ['SGD', 'Did you mean "sgd"?'],
  ] as const)('that is written wrong, %s, is guessed', async (given, hint) => {
    const texts = ['type must be one of "sgd", "adam", "adamw"', `got "${given}".`, hint];
    await expectRefusal(() => checkOneOf('type', given, names), invalid, ...texts);
  });

  it('is refused with the code that the caller chose', async () => {
    await expectRefusal(() => checkOneOf('variant', 5, names, 'ERR_UNKNOWN_VARIANT'), 'ERR_UNKNOWN_VARIANT', 'got 5.');
  });

  it('is no property that every object has', async () => {
    for (const given of ['constructor', '__proto__', 'toString'])
      await expectRefusal(() => checkOneOf('type', given, names), invalid, `got "${given}"`);
  });
});

test('a guess is made only where a name is near', () => {
  expect(didYouMean('densenet112', ['densenet121', 'cifar'])).toBe(' Did you mean "densenet121"?');
  expect(didYouMean('x', ['densenet121'])).toBe('');
  expect(didYouMean('anything', [])).toBe('');
});

describe('options', () => {
  const check = (value: unknown): unknown =>
    checkOptions<{ a?: number; bee?: number }>('options', wrong(value), ['a', 'bee']);

  it('that are not given are empty', () => {
    expect(check(undefined)).toEqual({});
  });

  it('with known keys come back as they are', () => {
    const options = { a: 1, bee: undefined };
    expect(check(options)).toBe(options);
  });

  it.each([[null], [1], ['a'], [true], [[]], [[1]]])('%p are refused', async (value) => {
    await expectRefusal(() => check(value), invalid, `options must be an object; got ${show(value)}.`);
  });

  it('with an unknown key are refused with the key, the known ones and the nearest', async () => {
    await expectRefusal(() => check({ be: 1 }), invalid, 'options has no option "be"', 'a, bee', 'Did you mean "bee"?');
  });

  it('with a key __proto__ of their own are refused', async () => {
    await expectRefusal(() => check(JSON.parse('{"__proto__": 1}')), invalid, '"__proto__"');
  });
});

describe('a signal', () => {
  it('may be left out, and may come from another realm', () => {
    const { signal } = new AbortController();
    const foreign = { aborted: false, addEventListener: () => undefined };
    expect([checkSignal('signal', undefined), checkSignal('signal', signal)]).toEqual([undefined, signal]);
    expect(checkSignal('signal', foreign)).toBe(foreign);
  });

  it.each([[null], [{}], ['abort'], [new AbortController()], [{ aborted: false }]])('is not %p', async (value) => {
    await expectRefusal(
      () => checkSignal('signal', value),
      invalid,
      `signal must be an AbortSignal; got ${show(value)}.`,
    );
  });
});

test('a typed array is known by its kind, wherever it was made', () => {
  expect(typedArrayKind(new Float32Array(1))).toBe('Float32Array');
  expect(typedArrayKind(runInNewContext('new Uint8Array(1)'))).toBe('Uint8Array');
  expect(typedArrayKind(Buffer.alloc(1))).toBe('Uint8Array');
  for (const other of [[1], new ArrayBuffer(1), new DataView(new ArrayBuffer(1)), null, { length: 1 }])
    expect(typedArrayKind(other)).toBeUndefined();
});
