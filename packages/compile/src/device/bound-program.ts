import type { HostTensor } from "@dmae/core";
import { reportOnce } from "@dmae/core/native";
import { ignoreRejection } from "@dmae/nn/executors";
import type { OutputSpec } from "../graph/graph.ts";
import type { Place } from "../kernels/native-session.ts";
import type { InTurn } from "../runtime/in-turn.ts";
import type { Block, Device } from "./device.ts";
import { type Layout, layOut, tensorIn } from "./layout.ts";

/**
 * CUDA graphs of a program at most: one for each set of addresses, of which a step has two (its state changes places, its
 * batches take turns), and two more after a run that failed.
 */
const MOST_GRAPHS = 4;

/** Where a step's state lies before and after a run. */
export interface StatePlaces {
  /** Equal for equal places. */
  readonly key: string;
  readonly inputs: ReadonlyMap<string, Place>;
  readonly outputs: ReadonlyMap<string, Place>;
}

const NO_STATE: StatePlaces = { key: "", inputs: new Map(), outputs: new Map() };

/** Memory of the device for one run: while it is used, the next inputs are brought into that of the other lane. */
interface Lane {
  readonly index: number;
  readonly inputs: Block | null;
  readonly outputs: Block | null;
  free: Promise<unknown>;
}

/** How a call takes part in others: after which it runs, on which state, and what follows it before the next. */
export interface CallOrder {
  readonly inTurn: InTurn;
  readonly places: () => StatePlaces;
  readonly done: () => void;
}

type LentValues = Readonly<Record<string, { readonly data: unknown }>>;

const ALONE: CallOrder = { inTurn: (task) => task(), places: () => NO_STATE, done: () => {} };

/** What a bound program is made of. */
export interface BoundSource {
  readonly session: object;
  readonly inputs: ReadonlyMap<string, OutputSpec>;
  readonly outputs: ReadonlyMap<string, OutputSpec>;
  /** Names of inputs and outputs that are state. */
  readonly state: ReadonlySet<string>;
  /** Whether the session captures CUDA graphs. */
  readonly graphs: boolean;
}

/** Places that are bound, and the graph that is recorded for them: "" and "-1" for none. */
interface Bound {
  readonly binding: object;
  graph: string;
  isRecorded: boolean;
}

/** A session whose inputs and outputs lie on a device, at addresses that stay. */
export class BoundProgram {
  private readonly lent: Layout;
  private readonly given: Layout;
  /** Pinned memory that no call uses; a call that finds none takes other memory. */
  private readonly stages: ArrayBuffer[];
  private readonly lanes: readonly Lane[];
  private readonly bindings = new Map<string, Bound>();
  private calls = 0;
  /** Values that were brought for the next call. */
  private ahead: { batch: object; lane: Lane; brought: Promise<void> } | undefined;

  constructor(
    readonly device: Device,
    private readonly source: BoundSource,
  ) {
    const own = (specs: ReadonlyMap<string, OutputSpec>) =>
      layOut(new Map([...specs].filter(([name]) => !source.state.has(name))));
    this.lent = own(source.inputs);
    this.given = own(source.outputs);
    const block = ({ bytes }: Layout) => (bytes > 0 ? device.allocate(bytes) : null);
    const { bytes } = this.lent;
    this.stages = bytes > 0 ? [device.staging(bytes), device.staging(bytes)] : [];
    this.lanes = [0, 1].map((index) => ({
      index,
      inputs: block(this.lent),
      outputs: block(this.given),
      free: Promise.resolve(),
    }));
  }

  /**
   * Runs on values, which are copied before this returns, and gives the outputs that are no state.
   *
   * @param batch what `bring` was called with, to use the values that it brought
   */
  call(
    values: LentValues,
    order: CallOrder = ALONE,
    batch?: object,
  ): Promise<Record<string, HostTensor>> {
    const { ahead } = this;
    this.ahead = undefined;
    const lane = ahead?.lane ?? this.nextLane();
    const brought =
      ahead && ahead.batch === batch ? ahead.brought : this.copyTo(lane, values, ahead?.brought);
    ignoreRejection(brought);
    const result = order.inTurn(async () => {
      await brought;
      await this.execute(lane, order.places());
      order.done();
      return this.read(lane);
    });
    lane.free = result.catch(() => {});
    return result;
  }

  /** Copies the values of the next call to the device, while others run; a second one before that call does nothing. */
  bring(values: LentValues, batch: object): Promise<void> {
    if (this.ahead) return Promise.resolve();
    const lane = this.nextLane();
    const brought = this.copyTo(lane, values);
    ignoreRejection(brought);
    this.ahead = { batch, lane, brought };
    return brought;
  }

  private nextLane(): Lane {
    return this.lanes[this.calls++ % 2]!;
  }

  /** Copies values into memory of ours at once, and to the device when the lane is free. */
  private async copyTo(
    lane: Lane,
    values: LentValues,
    before: Promise<unknown> = lane.free,
  ): Promise<void> {
    const { lent, stages } = this;
    if (!lane.inputs) return;
    const pinned = stages.pop();
    const stage = pinned ?? new ArrayBuffer(lent.bytes);
    for (const [name, { data }] of Object.entries(values))
      if (lent.specs.has(name))
        tensorIn(lent, stage, name).data.set(data as Float32Array<ArrayBuffer>);
    try {
      await before.catch(() => {});
      await this.device.copy(new Uint8Array(stage, 0, lent.bytes), [lane.inputs, 0], lent.bytes);
    } finally {
      if (pinned) stages.push(pinned);
    }
  }

  private async read({ outputs }: Lane): Promise<Record<string, HostTensor>> {
    const { given } = this;
    const buffer = new ArrayBuffer(given.bytes);
    if (outputs) await this.device.copy([outputs, 0], new Uint8Array(buffer), given.bytes);
    const alone = given.specs.size === 1;
    return Object.fromEntries(
      [...given.specs.keys()].map((name) => {
        const tensor = tensorIn(given, buffer, name);
        return [name, alone ? tensor : { ...tensor, data: tensor.data.slice() }];
      }),
    );
  }

  /**
   * Runs with what lies on the device. The first run at a set of addresses records a CUDA graph, which the later ones replay. ONNX
   * Runtime computes once to allocate and once more to record (onnxruntime/core/session/inference_session.cc), from the same
   * inputs: so nothing is ever written over what is read.
   */
  private async execute(lane: Lane, places: StatePlaces): Promise<void> {
    const bound = this.boundTo(lane, places);
    const run = async () =>
      this.device.addon.runBound(this.source.session, bound.binding, bound.graph);
    const records = Number(bound.graph) > 0 && !bound.isRecorded;
    if (!records) return run();
    try {
      await this.device.alone(run);
      bound.isRecorded = true;
    } catch (error) {
      for (const each of this.bindings.values()) if (!each.isRecorded) each.graph = "-1";
      await run();
      reportOnce(`compile: working without CUDA graphs: ${(error as Error).message}`);
    }
  }

  private boundTo(lane: Lane, places: StatePlaces): Bound {
    const key = `${lane.index}${places.key}`;
    const known = this.bindings.get(key);
    if (known) return known;
    const { session, inputs, outputs, graphs } = this.source;
    const all = (
      specs: ReadonlyMap<string, OutputSpec>,
      state: ReadonlyMap<string, Place>,
      block: Block | null,
      { offsets }: Layout,
    ): Place[] => [...specs.keys()].map((name) => state.get(name) ?? [block!, offsets.get(name)!]);
    const binding = this.device.addon.bind(
      session,
      all(inputs, places.inputs, lane.inputs, this.lent),
      all(outputs, places.outputs, lane.outputs, this.given),
    );
    const count = this.bindings.size;
    const isOff = count >= MOST_GRAPHS || [...this.bindings.values()].some((b) => b.graph === "-1");
    const graph = graphs ? (isOff ? "-1" : String(count + 1)) : "";
    const made = { binding, graph, isRecorded: false };
    this.bindings.set(key, made);
    return made;
  }

  /** Frees the session and the memory; no call may be under way. */
  dispose(): void {
    const { device, lanes, source } = this;
    this.bindings.clear();
    void device.alone(async () => {
      device.addon.release(source.session);
      for (const { inputs, outputs } of lanes)
        for (const block of [inputs, outputs]) if (block) device.free(block);
    });
  }
}
