/** Who may call CUDA while a graph is recorded: nobody else, on any thread. */
export interface Recording {
  /** Runs a task while no copy and no other such task is under way. */
  alone<T>(task: () => Promise<T>): Promise<T>;
  /** Runs a copy, beside others. */
  beside<T>(copy: () => Promise<T>): Promise<T>;
}

/**
 * Keeps copies and allocations out of the recording of CUDA graphs. The provider records in `cudaStreamCaptureModeGlobal`
 * (onnxruntime/core/providers/cuda/cuda_graph.cc), in which a call of another thread that could wait ends the recording.
 */
export function recordingOf(): Recording {
  const waiting: { readonly isAlone: boolean; readonly start: () => void }[] = [];
  let running = 0;
  let isBlocked = false;
  const startNext = () => {
    while (waiting[0] && !isBlocked && (running === 0 || !waiting[0].isAlone)) {
      const { isAlone, start } = waiting.shift()!;
      running++;
      isBlocked = isAlone;
      start();
    }
  };
  const enter = async <T>(isAlone: boolean, task: () => Promise<T>): Promise<T> => {
    await new Promise<void>((start) => {
      waiting.push({ isAlone, start });
      startNext();
    });
    try {
      return await task();
    } finally {
      running--;
      isBlocked = false;
      startNext();
    }
  };
  return {
    alone: (task) => enter(true, task),
    beside: (copy) => enter(false, copy),
  };
}
