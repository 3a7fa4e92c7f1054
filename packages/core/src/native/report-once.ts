const reported = new Set<string>();

/** Tells the user, in one line and once, what a program does without: it only costs time. */
export function reportOnce(line: string): void {
  if (reported.has(line)) return;
  reported.add(line);
  console.warn(line);
}
