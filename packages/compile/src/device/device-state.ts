import type { HostTensor, HostTensors } from "@dmae/core";
import type { TensorSpecs } from "@dmae/nn";
import { hostInputs, ignoreRejection, lifetime } from "@dmae/nn/executors";
import type { OutputSpec } from "../graph/graph.ts";
import { zerosOf } from "../host-step.ts";
import type { Place } from "../kernels/native-session.ts";
import { type InTurn, takeTurns } from "../runtime/in-turn.ts";
import type { LoadedProgram } from "../runtime/program.ts";
import { BATCH, METRIC, NEXT, namesWith, OUTPUT, prefixed, STATE } from "../step-names.ts";
import { type BatchStep, refuseDisposed, type StepState } from "../step-state.ts";
import type { StatePlaces } from "./bound-program.ts";
import type { Block, Device } from "./device.ts";
import { byteLength, layOut } from "./layout.ts";

/**
 * The state of step programs in the memory of a device, twice: a run reads one copy of an entry and writes the other, and they
 * change places when it has succeeded. So after a run that failed the state is that of the last one that did not.
 */
export async function deviceState(
  device: Device,
  state: HostTensors,
  exchanged: readonly string[] = [],
): Promise<StepState> {
  const copies = await device.alone(async () => new StateCopies(device, state));
  const programs: LoadedProgram[] = [];
  const inTurn = takeTurns();
  const life = lifetime(() => {
    for (const program of programs) program.dispose();
    copies.free();
  }, refuseDisposed);
  try {
    for (const [name, { data }] of Object.entries(state)) await copies.write(name, data);
  } catch (error) {
    copies.free();
    throw error;
  }
  return {
    step(program, specs) {
      programs.push(program);
      return stepOn(copies, program, specs, (call) => life.during(() => call(inTurn)));
    },
    exchange: (change) => life.during(() => inTurn(() => exchangeOn(copies, exchanged, change))),
    copy: (names) => life.during(() => inTurn(() => copies.read(names))),
    dispose: life.close,
  };
}

function stepOn(
  copies: StateCopies,
  program: LoadedProgram,
  specs: TensorSpecs,
  during: <T>(call: (inTurn: InTurn) => Promise<T>) => Promise<T>,
): BatchStep {
  const written = namesWith(NEXT, program.outputs);
  const metrics = namesWith(METRIC, program.outputs);
  const valuesOf = (batch: unknown) => prefixed(BATCH, hostInputs("call", batch, specs));
  const step = (batch: unknown) =>
    during(async (inTurn) => {
      const order = {
        inTurn,
        places: () => copies.places(written),
        done: () => copies.swap(written),
      };
      const results = await program.runBound(valuesOf(batch), order, batch);
      return Object.fromEntries(
        metrics.map((name) => [name, Number(results[METRIC + name]!.data[0])]),
      );
    });
  // what is wrong with a batch is said by the call
  const bring = (batch: unknown) =>
    ignoreRejection(during(async () => program.bring(valuesOf(batch), batch)));
  return Object.assign(step, { bring });
}

/** Brings entries into host memory, side by side, and takes over what `change` makes of them. */
async function exchangeOn(
  copies: StateCopies,
  names: readonly string[],
  change: (values: readonly Float32Array[]) => Promise<void>,
): Promise<void> {
  const sizes = names.map((name) => byteLength(copies.specs.get(name)!) / 4);
  const whole = new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
  let start = 0;
  const parts = sizes.map((size) => whole.subarray(start, (start += size)));
  for (const [i, name] of names.entries()) await copies.readInto(name, parts[i]!);
  await change([whole]);
  for (const [i, name] of names.entries()) await copies.write(name, parts[i]!);
}

/** Two copies of each entry, of which one is current. */
class StateCopies {
  readonly specs: ReadonlyMap<string, OutputSpec>;
  private readonly offsets: ReadonlyMap<string, number>;
  private readonly blocks: Block[] = [];
  private readonly current: Map<string, 0 | 1>;

  constructor(
    private readonly device: Device,
    state: HostTensors,
  ) {
    const { specs, offsets, bytes } = layOut(
      new Map(Object.entries(state).map(([name, { dtype, shape }]) => [name, { dtype, shape }])),
    );
    this.specs = specs;
    this.offsets = offsets;
    this.current = new Map(Object.keys(state).map((name) => [name, 0]));
    try {
      for (let i = 0; i < 2; i++) this.blocks.push(device.allocate(Math.max(bytes, 1)));
    } catch (error) {
      this.free();
      throw error;
    }
  }

  private place(name: string, isNext = false): Place {
    const side = this.current.get(name)! ^ Number(isNext);
    return [this.blocks[side]!, this.offsets.get(name)!];
  }

  /** Where a run reads the state and writes its next entries. */
  places(written: readonly string[]): StatePlaces {
    const names = [...this.specs.keys()];
    return {
      key: [...this.current.values()].join(""),
      inputs: new Map(names.map((name) => [STATE + name, this.place(name)])),
      outputs: new Map(written.map((name) => [OUTPUT + NEXT + name, this.place(name, true)])),
    };
  }

  /** Makes the next entries the current ones. */
  swap(written: readonly string[]): void {
    for (const name of written) this.current.set(name, this.current.get(name) === 0 ? 1 : 0);
  }

  async write(name: string, data: HostTensor["data"]): Promise<void> {
    if (data.byteLength > 0) await this.device.copy(data, this.place(name), data.byteLength);
  }

  async readInto(name: string, data: HostTensor["data"]): Promise<void> {
    if (data.byteLength > 0) await this.device.copy(this.place(name), data, data.byteLength);
  }

  async read(
    names: readonly string[] = [...this.specs.keys()],
  ): Promise<Record<string, HostTensor>> {
    const host: Record<string, HostTensor> = {};
    for (const name of names) {
      const { dtype, shape } = this.specs.get(name)!;
      const tensor = zerosOf({ dtype, shape: [...shape] });
      await this.readInto(name, tensor.data);
      host[name] = tensor;
    }
    return host;
  }

  free(): void {
    for (const block of this.blocks) this.device.free(block);
  }
}
