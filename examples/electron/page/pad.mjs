/** The side of the digits that the network learned from, and of what is drawn on its way there. */
const side = 8;
const large = 128;

/** As thick, against the height of a digit, as the pens of those who wrote the digits. */
const thickness = large * 0.14;

/** A field to draw a digit in. Strokes are kept as lines, so that their thickness does not depend on the digit's size. */
export class Pad {
  #canvas;
  #context;
  /** @type {[number, number][][]} Points in the canvas's own pixels. */
  #strokes = [];
  #drawing = false;
  #onChange;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => void} onChange
   */
  constructor(canvas, onChange) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
    this.#onChange = onChange;
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.#drawing = true;
      this.#strokes.push([]);
      this.#extend(event);
    });
    canvas.addEventListener('pointermove', (event) => this.#drawing && this.#extend(event));
    for (const name of ['pointerup', 'pointercancel']) canvas.addEventListener(name, () => (this.#drawing = false));
  }

  get empty() {
    return this.#strokes.length === 0;
  }

  clear() {
    this.#strokes = [];
    this.#drawing = false;
    this.#paint();
    this.#onChange();
  }

  /** @param {PointerEvent} event */
  #extend(event) {
    const { left, top, width } = this.#canvas.getBoundingClientRect();
    const scale = this.#canvas.width / width;
    this.#strokes.at(-1).push([(event.clientX - left) * scale, (event.clientY - top) * scale]);
    this.#paint();
    this.#onChange();
  }

  #paint() {
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    draw(this.#context, this.#strokes, this.#canvas.width * 0.075);
  }

  /**
   * What the network sees: the digit cut out, brought to its size and made coarse, as those that it learned from.
   *
   * @returns {{ data: Uint8Array, shape: number[] } | undefined} 1×1×8×8, bright ink on black; undefined when empty.
   */
  image() {
    if (this.empty) return undefined;
    const points = this.#strokes.flat();
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
    const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    // A dot stays a dot.
    const extent = Math.max(right - left, bottom - top, this.#canvas.width * 0.15);
    const scale = (large - thickness) / extent;
    const move = (value, from, to) => (value - (from + to) / 2) * scale + large / 2;
    const moved = this.#strokes.map((stroke) => stroke.map(([x, y]) => [move(x, left, right), move(y, top, bottom)]));
    const context = new OffscreenCanvas(large, large).getContext('2d', { willReadFrequently: true });
    context.fillRect(0, 0, large, large);
    draw(context, moved, thickness);
    // Halved again and again, which is the mean of each square.
    for (let from = large; from > side; from /= 2) {
      context.globalCompositeOperation = 'copy';
      context.drawImage(context.canvas, 0, 0, from, from, 0, 0, from / 2, from / 2);
    }
    const { data } = context.getImageData(0, 0, side, side);
    return { data: Uint8Array.from({ length: side * side }, (_, place) => data[place * 4]), shape: [1, 1, side, side] };
  }
}

/** Draws lines through points. */
function draw(context, strokes, width) {
  Object.assign(context, { lineWidth: width, lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff' });
  for (const [[x, y], ...rest] of strokes) {
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x, y);
    for (const point of rest) context.lineTo(...point);
    context.stroke();
  }
}

/**
 * Shows an image of the pad, point by point.
 *
 * @param {HTMLCanvasElement} canvas 8×8.
 * @param {{ data: Uint8Array } | undefined} image
 */
export function show(canvas, image) {
  const context = canvas.getContext('2d');
  context.clearRect(0, 0, side, side);
  if (image === undefined) return;
  const pixels = Uint8ClampedArray.from({ length: side * side * 4 }, (_, place) =>
    place % 4 === 3 ? 255 : image.data[place >> 2],
  );
  context.putImageData(new ImageData(pixels, side, side), 0, 0);
}
