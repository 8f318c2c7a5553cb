// In a file of its own, which imports nothing of Node's: a renderer has it too.

/** A value as an error message shows it: short, on one line, and with its type where that is not plain. */
export function show(value: unknown, within = false): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'bigint') return `${value}n`;
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  if (Array.isArray(value)) {
    // A list within a list is not opened: it may be as deep and as wide as it likes, or hold itself.
    if (within && value.length > 0) return `[… ${value.length} values]`;
    const head = Array.from(value.slice(0, 6), (item) => show(item, true)).join(', ');
    return value.length > 6 ? `[${head}, … ${value.length} values]` : `[${head}]`;
  }
  if (typeof value === 'function') return 'a function';
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  const named = `${/^[AEIOU]/.test(kind) ? 'an' : 'a'} ${kind}`;
  return ArrayBuffer.isView(value) ? `${named} of ${value.byteLength} bytes` : kind === 'Object' ? 'an object' : named;
}
