import process from "node:process";

const clock = (seconds: number) => {
  const s = Math.max(0, Math.round(seconds));
  return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`;
};

/**
 * A line of progress: what, how far, how fast, how long still. On a terminal it is rewritten in place;
 * elsewhere a line is printed at every tenth.
 */
export function progressLine(label: string, unit: string) {
  const terminal = process.stderr.isTTY === true;
  const started = Date.now();
  let first: number | undefined;
  let printed = -1;
  let lastDrawn = 0;
  return {
    /** Shows that `done` of `total` units are finished. */
    update(done: number, total: number, note = ""): void {
      first ??= done;
      const now = Date.now();
      const elapsed = (now - started) / 1000;
      const rate = (done - first) / elapsed;
      const tenth = Math.floor((10 * done) / total);
      if (terminal ? now - lastDrawn < 100 && done < total : tenth === printed) return;
      lastDrawn = now;
      printed = tenth;
      const left = rate > 0 ? ` · ${clock((total - done) / rate)} left` : "";
      const speed = rate > 0 ? ` · ${rate < 10 ? rate.toFixed(1) : rate.toFixed(0)} ${unit}/s` : "";
      const text = `${label} ${done}/${total}${speed}${left}${note === "" ? "" : ` · ${note}`}`;
      process.stderr.write(terminal ? `\r\u001b[K${text}` : `${text}\n`);
    },
    /** Closes the line. */
    end(note: string): void {
      const text = `${label}: ${note} (${clock((Date.now() - started) / 1000)})`;
      process.stderr.write(terminal ? `\r\u001b[K${text}\n` : `${text}\n`);
    },
  };
}
