import type { HostTensors } from "@dmae/core";
import type { Executor } from "@dmae/nn";
import type { ViT } from "./vit.ts";

/** A model on an executor: one program for each number of visible patches, with a fixed number of rows. */
export class PreparedModel {
  private readonly programs = new Map<number, Promise<VisibleProgram>>();

  constructor(
    private readonly vit: ViT,
    private readonly params: HostTensors,
    private readonly executor: Executor,
    private readonly batchSize: number,
  ) {}

  /** Logits `[rows, numClasses]` of images `[rows, …]` and their visible patches `[rows, K]`. */
  async run(images: Float32Array, visible: Int32Array, rows: number): Promise<Float32Array> {
    const { batchSize } = this;
    const { numClasses } = this.vit;
    const [size, count] = [images.length / rows, visible.length / rows];
    const program = await this.programFor(count);
    const logits = new Float32Array(rows * numClasses);
    for (let first = 0; first < rows; first += batchSize) {
      const last = Math.min(rows, first + batchSize);
      const found = await program({
        images: filled(Float32Array, images.subarray(first * size, last * size), batchSize * size),
        visible: filled(
          Int32Array,
          visible.subarray(first * count, last * count),
          batchSize * count,
        ),
      });
      const values = found.logits!.data as Float32Array;
      logits.set(values.subarray(0, (last - first) * numClasses), first * numClasses);
    }
    return logits;
  }

  dispose(): void {
    for (const program of this.programs.values())
      program.then(
        (made) => made.dispose(),
        () => {}, // its caller has the error
      );
    this.programs.clear();
  }

  private programFor(count: number): Promise<VisibleProgram> {
    const known = this.programs.get(count);
    if (known) return known;
    const made = prepareProgram(this.vit, this.params, this.executor, [this.batchSize, count]);
    this.programs.set(count, made);
    return made;
  }
}

type VisibleProgram = Awaited<ReturnType<typeof prepareProgram>>;

function prepareProgram(
  vit: ViT,
  params: HostTensors,
  executor: Executor,
  [rows, count]: readonly [number, number],
) {
  return executor.prepareFunction({
    fn: ({ images, visible, ...constants }) => ({
      logits: vit.logits(constants, images!, { visible: visible! }),
    }),
    specs: {
      images: [rows, ...vit.imageShape],
      visible: { shape: [rows, count], dtype: "int32" },
    },
    constants: params,
  });
}

/** Numbers followed by zeros up to `length`. */
function filled<A extends Float32Array | Int32Array>(
  kind: new (length: number) => A,
  values: A,
  length: number,
): A {
  if (values.length === length) return values;
  const all = new kind(length);
  all.set(values);
  return all;
}
