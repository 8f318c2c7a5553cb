/** What `JSON.parse` does not see to: how much a text would make it build, and keys that come twice. */

/** Levels of objects and arrays; a safetensors header has three. */
const MOST_LEVELS = 8;

/** Values that a text may hold; each can take a hundred times its bytes in memory. */
const MOST_VALUES = 400_000;

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const opening = new Set([0x7b, 0x5b]);
const closing = new Set([0x7d, 0x5d]);

/** Why a text is too much to parse; nothing when it is not. It need not be JSON. */
export function findExcess(text: Buffer): string | undefined {
  let level = 0;
  let values = 1;
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] as number;
    if (byte === QUOTE) at = endOfString(text, at);
    else if (byte === COMMA) values += 1;
    else if (opening.has(byte)) {
      values += 1;
      level += 1;
    } else if (closing.has(byte)) level -= 1;
    if (level > MOST_LEVELS) return `its values lie more than ${MOST_LEVELS} levels deep`;
    if (values > MOST_VALUES) return `it holds more than ${MOST_VALUES} values`;
  }
  return undefined;
}

/** The place of the quote that ends the string which begins at `start`; the text's end when there is none. */
function endOfString(text: Buffer, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = text.indexOf(QUOTE, at);
    if (at < 0) return text.length;
    let backslashes = 0;
    while (text[at - 1 - backslashes] === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return at;
  }
}

/**
 * The first key that an object anywhere in a text has twice; `JSON.parse` would silently keep the last.
 *
 * @param text Of which `JSON.parse` has made something.
 */
export function findDuplicateKey(text: Buffer): string | undefined {
  /** The keys of each object that is open; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] as number;
    if (opening.has(byte)) open.push(byte === 0x7b ? new Set() : undefined);
    else if (closing.has(byte)) open.pop();
    if (byte !== QUOTE) continue;
    const start = at;
    at = endOfString(text, at);
    const keys = open.at(-1);
    if (keys === undefined || !isBeforeColon(text, at + 1)) continue;
    // Compared as values: "a" and "\u0061" are one key.
    const key = JSON.parse(text.toString('utf8', start, at + 1)) as string;
    if (keys.has(key)) return key;
    keys.add(key);
  }
  return undefined;
}

function isBeforeColon(text: Buffer, from: number): boolean {
  let at = from;
  while (text[at] === 0x20 || text[at] === 0x09 || text[at] === 0x0a || text[at] === 0x0d) at += 1;
  return text[at] === 0x3a;
}
