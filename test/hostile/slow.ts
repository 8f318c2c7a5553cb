/** How long a parser may take for any file, milliseconds; counting every line (`--coverage`) makes it several times slower. */
export const SLOW_MS = process.env['DENSENET_COVERAGE'] === undefined ? 1000 : 5000;
