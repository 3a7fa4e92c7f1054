// The worker, as functions.
import type { Answer, Calls, Report, Request } from "./messages.ts";

interface Waiting {
  resolve(result: never): void;
  reject(error: Error): void;
  report(report: Report): void;
}

/** A call under way. */
export interface Running<T> {
  readonly result: Promise<T>;
  stop(): void;
}

/** Calls the worker, which is started with the first call. */
export class Compute {
  private readonly waiting = new Map<number, Waiting>();
  private worker: Worker | undefined;
  private next = 0;

  /** Starts a call. */
  start<K extends keyof Calls>(
    call: K,
    argument: Calls[K][0],
    report: (report: Report) => void = () => {},
  ): Running<Calls[K][1]> {
    const id = this.next++;
    const send = (message: Request) => this.started().postMessage(message);
    const result = new Promise<Calls[K][1]>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, report });
      send({ id, call, argument } as Request);
    });
    return { result, stop: () => send({ id, stop: true }) };
  }

  /** Ends the worker with all that is under way. */
  close(): void {
    this.worker?.terminate();
    this.worker = undefined;
    this.waiting.clear();
  }

  private started(): Worker {
    if (this.worker) return this.worker;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => this.take(data));
    this.worker.addEventListener("error", ({ message }) => this.fail(message));
    return this.worker;
  }

  private take(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    if (!waiting) return;
    if (!("report" in answer)) this.waiting.delete(answer.id);
    if ("report" in answer) waiting.report(answer.report);
    else if ("error" in answer) waiting.reject(new Error(answer.error));
    else waiting.resolve(answer.result as never);
  }

  private fail(message = "the worker could not be started"): void {
    for (const { reject } of this.waiting.values()) reject(new Error(message));
    this.waiting.clear();
  }
}
