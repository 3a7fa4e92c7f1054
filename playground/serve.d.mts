/** Serves a folder on this machine only; `isolated` sends the headers that threads need (default true). */
export function serve(
  folder: string,
  options?: { port?: number; isolated?: boolean },
): Promise<{ address: string; close(): void }>;
