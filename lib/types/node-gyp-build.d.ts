declare module 'node-gyp-build' {
  /** Loads the addon of the package in `folder`. */
  function load(folder: string): unknown;
  namespace load {
    /** The path of the addon of the package in `folder`; throws where there is none. */
    function path(folder: string): string;
  }
  export = load;
}
