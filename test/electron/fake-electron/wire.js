'use strict';

/** Structured clones as text, for the way into a page and out of it: typed arrays, and numbers that JSON does not know. */

// Its text runs in the page too, so everything is inside.
function make() {
  const kinds = { Uint8Array, Int32Array, Float32Array, Float64Array };

  /** @param {unknown} value */
  const encode = (value) =>
    JSON.stringify(value, (_, item) => {
      if (ArrayBuffer.isView(item)) {
        const bytes = new Uint8Array(item.buffer, item.byteOffset, item.byteLength);
        let text = '';
        for (const byte of bytes) text += String.fromCharCode(byte);
        return { $array: Object.prototype.toString.call(item).slice(8, -1), text: btoa(text) };
      }
      return typeof item === 'number' && !Number.isFinite(item) ? { $number: String(item) } : item;
    }) ?? 'null';

  /** @param {string} text */
  const decode = (text) =>
    /** @type {unknown} */ (
      JSON.parse(text, (_, item) => {
        if (item?.$number !== undefined) return Number(item.$number);
        if (item?.$array === undefined) return item;
        const bytes = Uint8Array.from(atob(item.text), (letter) => letter.charCodeAt(0));
        return new kinds[/** @type {keyof typeof kinds} */ (item.$array)](bytes.buffer);
      })
    );

  return { encode, decode };
}

module.exports = { make, ...make() };
