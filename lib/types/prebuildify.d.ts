declare module 'prebuildify' {
  /** Builds an addon and puts it into `out`/prebuilds. */
  function prebuildify(options: object, callback: (error: Error | null) => void): void;
  export = prebuildify;
}
