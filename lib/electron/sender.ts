import { DenseNetError } from '../errors';
import { isArrayOf, invalidArgument, show } from '../validate';

/** As much of Electron's `WebFrameMain` as is needed. */
export interface SenderFrame {
  readonly url: string;
  /** Null for the frame that fills the window. */
  readonly parent: object | null;
}

/**
 * Checks who sent an `ipcMain` event: the top frame of a page of the app's own. A page that was navigated away, a frame
 * within a page, and a frame that is gone are refused.
 *
 * @param event What `ipcMain.handle` or `ipcMain.on` gives its listener.
 * @param origins The app's own origins, such as `app://digits`.
 * @throws DenseNetError `ERR_UNTRUSTED_SENDER`.
 */
export function checkSender(event: { readonly senderFrame: SenderFrame | null }, origins: readonly string[]): void {
  if (!isArrayOf<string>(origins, (one) => typeof one === 'string' && originOf(one) === one) || origins.length === 0)
    throw invalidArgument('origins', 'an array of origins such as "app://digits", at least one', origins);
  const frame = event.senderFrame;
  const why =
    frame === null
      ? 'the frame is gone'
      : frame.parent !== null
        ? 'it is a frame within a page'
        : `it is of ${show(originOf(frame.url) ?? frame.url)}`;
  if (frame === null || frame.parent !== null || !origins.includes(originOf(frame.url) ?? ''))
    throw new DenseNetError(
      'ERR_UNTRUSTED_SENDER',
      `the request was refused: ${why}. Only the top frame of ${origins.join(', ')} may ask.`,
    );
}

/** Scheme and host, also of schemes that the URL standard gives no origin. */
function originOf(url: string): string | undefined {
  try {
    const { protocol, host } = new URL(url);
    return `${protocol}//${host}`;
  } catch {
    return undefined;
  }
}
