import process from "node:process";

const clock = (seconds: number) => {
  const s = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(s / 3600), Math.floor((s % 3600) / 60)];
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
};

/** Seconds for people: `3:05`, `12:00:00`, from two days on days. */
export const duration = (seconds: number) =>
  seconds >= 2 * 86400 ? `${(seconds / 86400).toFixed(1)} days` : clock(seconds);

/**
 * A line of progress: what, how far, how fast, how long still. On a terminal it is rewritten in place; elsewhere a line
 * is told at every tenth, and every five minutes.
 *
 * @param say told whole lines; default: writes them to standard error
 */
export function progressLine(
  label: string,
  unit: string,
  say: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
) {
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
      const rate = (done - first) / ((now - started) / 1000);
      const tenth = Math.floor((10 * done) / total);
      const isSoon = now - lastDrawn < (terminal ? 100 : 300_000);
      if (isSoon && (terminal ? done < total : tenth === printed)) return;
      lastDrawn = now;
      printed = tenth;
      const left = rate > 0 ? ` · ${duration((total - done) / rate)} left` : "";
      const speed = rate > 0 ? ` · ${rate < 10 ? rate.toFixed(1) : rate.toFixed(0)} ${unit}/s` : "";
      const text = `${label} ${done}/${total}${speed}${left}${note === "" ? "" : ` · ${note}`}`;
      if (terminal) process.stderr.write(`\r\u001b[K${text}`);
      else say(text);
    },
    /** Closes the line. */
    end(note: string): void {
      if (terminal) process.stderr.write("\r\u001b[K");
      say(`${label}: ${note} (${clock((Date.now() - started) / 1000)})`);
    },
  };
}
