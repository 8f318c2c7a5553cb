import { DenseNetError } from '../errors';
import { isArrayOf, invalidArgument, show } from '../validate';

/** As much of Electron's `WebFrameMain` as is needed. */
export interface SenderFrame {
  /** The address of the page in it. */
  readonly url: string;
  /** Null for the frame that fills the window. */
  readonly parent: object | null;
}

/**
 * Checks who sent an `ipcMain` event: the top frame of a page of the app's own. A page that was navigated away, a frame
 * within a page, and a frame that is gone are refused.
 *
 * @param event What `ipcMain.handle` or `ipcMain.on` gives its listener.
 * @param origins The app's own origins, at least one: scheme and host, such as `app://digits`, with no slash behind them.
 * @throws DenseNetError `ERR_UNTRUSTED_SENDER`; `ERR_INVALID_ARGUMENT` for an origin that is none.
 */
export function checkSender(event: { readonly senderFrame: SenderFrame | null }, origins: readonly string[]): void {
  if (!isArrayOf<string>(origins, (one) => typeof one === 'string' && originOf(one) === one) || origins.length === 0)
    throw invalidArgument('origins', 'an array of origins such as "app://digits", at least one', origins);
  const why = refusalOf(event.senderFrame, origins);
  if (why !== undefined)
    throw new DenseNetError(
      'ERR_UNTRUSTED_SENDER',
      `the request was refused: ${why}. Only the top frame of ${origins.join(', ')} may ask.`,
    );
}

function refusalOf(frame: SenderFrame | null, origins: readonly string[]): string | undefined {
  if (frame === null) return 'the frame is gone';
  if (frame.parent !== null) return 'it is a frame within a page';
  const origin = originOf(frame.url);
  return origin !== undefined && origins.includes(origin) ? undefined : `it is of ${show(origin ?? frame.url)}`;
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
