import { SingleBar } from 'cli-progress';
import colors from 'picocolors';
import { formatBytes } from '../runtime/install/bytes';

/** Shows how far a long transfer is: a bar on a terminal; elsewhere a line when it begins, and one every ten seconds. */
export class ByteProgress {
  #bar: SingleBar | undefined;
  #title = '';
  #told = 0;

  begin(title: string): void {
    this.stop();
    this.#title = title;
    this.#told = Date.now();
    console.log(title);
  }

  update(done: number, total: number | undefined): void {
    const amount = total === undefined ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`;
    if (process.stdout.isTTY) {
      this.#bar ??= this.#open();
      this.#bar.setTotal(Math.max(total ?? done, 1));
      this.#bar.update(done, { amount });
    } else if (Date.now() - this.#told > 10_000) {
      this.#told = Date.now();
      console.log(`  ${this.#title}: ${amount}`);
    }
  }

  #open(): SingleBar {
    const bar = new SingleBar({
      format: `  ${colors.cyan('{bar}')} {amount} · {eta_formatted} left`,
      barsize: 24,
      hideCursor: true,
      clearOnComplete: true,
      fps: 5,
    });
    bar.start(1, 0, { amount: '' });
    return bar;
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}
