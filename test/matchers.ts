/** Matchers of our own, for every test. */
declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- how jest's own types are extended
  namespace jest {
    interface Expect {
      /** An asymmetric matcher: a number below a limit. */
      toBeBelow(limit: number): unknown;
    }
  }
}

expect.extend({
  toBeBelow(received: number, limit: number) {
    return { pass: received < limit, message: () => `expected ${received} to be below ${limit}` };
  },
});

export {};
