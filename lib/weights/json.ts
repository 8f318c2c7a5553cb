/** The first key that an object anywhere in a JSON text has twice; `JSON.parse` would silently keep the last. */
export function findDuplicateKey(text: string): string | undefined {
  /** The keys of each object that is open; undefined for an array. */
  const open: (Set<string> | undefined)[] = [];
  const token = /"(?:[^"\\]|\\.)*"|[{}[\]]/g;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [found] = match;
    if (found === '{') open.push(new Set());
    else if (found === '[') open.push(undefined);
    else if (found === '}' || found === ']') open.pop();
    else {
      const keys = open.at(-1);
      if (keys === undefined || !/^\s*:/.test(text.slice(token.lastIndex, token.lastIndex + 64))) continue;
      // Compared as values: "a" and "\u0061" are one key.
      const key = JSON.parse(found) as string;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}
