import { SingleBar } from 'cli-progress';
import Table from 'cli-table3';
import colors from 'picocolors';
import type { EpochEvent, StepEvent } from '../training/events';

/** A share such as 0.98765 as `98.77 %`. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

/** Seconds as `7.5 s` or `2 min 05 s`. */
export function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const rest = Math.round(seconds % 60);
  return `${Math.floor((seconds - rest) / 60)} min ${String(rest).padStart(2, '0')} s`;
}

/** A count such as 65410 as `65,410`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Control characters, but for tabs, line ends, and the colours that this command itself puts around text. */
const control = /(\u001b\[[\d;]*m)|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Text that may hold names from files, such as classes, fit for a terminal: it can move no cursor and set no title. */
export function printable(text: string): string {
  return text.replace(control, (_, colour: string | undefined) => colour ?? '\ufffd');
}

/** Borders stand back where there are colours at all. */
const style = { head: [], border: colors.isColorSupported ? ['gray'] : [] };

/** Prints rows of a name and a value as a table. */
export function printTable(rows: [string, string][]): void {
  const table = new Table({ style, wordWrap: false });
  table.push(...rows.map(([name, value]) => ({ [colors.bold(name)]: value })));
  console.log(printable(table.toString()));
}

/** Prints rows under heads as a table. */
export function printGrid(head: string[], rows: (string | number)[][]): void {
  const table = new Table({ head: head.map((name) => colors.bold(name)), style });
  table.push(...rows.map((row) => row.map(String)));
  console.log(printable(table.toString()));
}

/** Shows how a training run gets on: a bar on a terminal, a line an epoch elsewhere. */
export class TrainingProgress {
  readonly #bar: SingleBar | undefined;
  readonly #epochs: number;

  constructor(epochs: number) {
    this.#epochs = epochs;
    if (!process.stdout.isTTY) return;
    this.#bar = new SingleBar({
      format: `${colors.cyan('{bar}')} epoch {epoch} · {speed} images/s · loss {loss} · {accuracy}{eta_formatted} left`,
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      fps: 10,
    });
    this.#bar.start(1, 0, { epoch: `0/${epochs}`, speed: '–', loss: '–', accuracy: '' });
  }

  step({ epoch, step, steps, loss, imagesPerSecond }: StepEvent): void {
    this.#bar?.setTotal(this.#epochs * steps);
    this.#bar?.update((epoch - 1) * steps + step, {
      epoch: `${epoch}/${this.#epochs}`,
      speed: count(imagesPerSecond),
      loss: loss.toFixed(3),
    });
  }

  epoch({ epoch, train, validation, seconds }: EpochEvent): void {
    if (this.#bar) {
      if (validation) this.#bar.update({ accuracy: `test ${percent(validation.top1)} · ` });
      return;
    }
    const held = validation ? `, test ${percent(validation.top1)}` : '';
    console.log(
      `epoch ${epoch}/${this.#epochs}: loss ${train.loss.toFixed(4)}, train ${percent(train.top1)}${held}, ` +
        `${count(train.size / seconds)} images/s`,
    );
  }

  stop(): void {
    this.#bar?.stop();
  }
}
