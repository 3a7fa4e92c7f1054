/** What a command of `smoothing-certify` is given to write to. */
interface Streams {
  out(text: string): void;
  error(text: string): void;
  readonly isTerminal: boolean;
}

/** Runs a command off a terminal and keeps what it prints. */
export const commandRunner =
  (main: (argv: readonly string[], streams: Streams) => Promise<number>) =>
  async (...argv: string[]) => {
    const printed = { out: "", error: "" };
    const status = await main(argv, {
      out: (text) => void (printed.out += text),
      error: (text) => void (printed.error += text),
      isTerminal: false,
    });
    return { status, ...printed };
  };
