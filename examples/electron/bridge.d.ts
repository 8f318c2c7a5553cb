/** What the preload script gives the page. Everything else goes over the channel, as calls of the client. */
export interface DigitsApp {
  /** Has the page connected with the host. Its port comes with the window's message `host:port`. */
  connect(): Promise<void>;
  /** Lets a person choose a file of weights; gives the grant for reading it, or null when nothing was chosen. */
  chooseWeights(): Promise<string | null>;
  /** Lets a person choose where to save; gives the grant for writing there, or null when nothing was chosen. */
  chooseTarget(): Promise<string | null>;
  /** Called when the host's process has ended. */
  onHostGone(listener: (why: string) => void): void;
}

declare global {
  interface Window {
    readonly digitsApp: DigitsApp;
  }
}
