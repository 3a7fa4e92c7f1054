import { DmaeError, type Given } from "@dmae/core";
import { checkOptions, defined } from "@dmae/core/checks";
import { checkCounts } from "./network.ts";

/** The networks of the official certified-training code, by its names. */
export type ConvNetName = "lenet" | "cifar_resnet20" | "cifar_resnet110" | "resnet50";

/** What defines a network and the images it takes. */
export interface ConvNetConfig {
  /** Its name. */
  readonly name: ConvNetName;
  /** Side of its images, in pixels. */
  readonly inputSize: number;
  /** Channels of an image. */
  readonly channels: number;
  /** Channel means of images in [0, 1], subtracted inside the model. */
  readonly mean: readonly number[];
  /** Channel standard deviations, divided by inside the model. */
  readonly std: readonly number[];
  /** Number of classes. */
  readonly numClasses: number;
  /** Channels of the first stage of a ResNet (16 and 64); LeNet ignores it. */
  readonly width: number;
  /** Residual blocks in each stage of a ResNet; LeNet ignores it. */
  readonly blocks: readonly number[];
}

const cifar = {
  inputSize: 32,
  channels: 3,
  mean: [0.4914, 0.4822, 0.4465],
  std: [0.2023, 0.1994, 0.201],
  numClasses: 10,
  width: 16,
} as const;

const defaults: Readonly<Record<ConvNetName, Omit<ConvNetConfig, "name">>> = {
  lenet: {
    inputSize: 28,
    channels: 1,
    mean: [0],
    std: [1],
    numClasses: 10,
    width: 20,
    blocks: [],
  },
  cifar_resnet20: { ...cifar, blocks: [3, 3, 3] },
  cifar_resnet110: { ...cifar, blocks: [18, 18, 18] },
  resnet50: {
    inputSize: 224,
    channels: 3,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
    numClasses: 1000,
    width: 64,
    blocks: [3, 4, 6, 3],
  },
};

/**
 * Completes a configuration and checks it.
 *
 * @returns every field, frozen
 * @throws DmaeError "argument" naming the field
 */
export function resolveConfig(name: ConvNetName, overrides: Given<ConvNetConfig>): ConvNetConfig {
  const base = Object.hasOwn(defaults, name) ? defaults[name] : undefined;
  if (!base)
    throw new DmaeError(
      "argument",
      `createConvNet: unknown network "${name}"; known are ${Object.keys(defaults).join(", ")}`,
    );
  checkOptions("createConvNet", overrides, {
    name: true,
    inputSize: true,
    channels: true,
    mean: true,
    std: true,
    numClasses: true,
    width: true,
    blocks: true,
  });
  const config = { name, ...base, ...defined(overrides) };
  if (config.name !== name)
    throw new DmaeError(
      "argument",
      `createConvNet: name must be ${name} in the overrides too, got ${config.name}`,
    );
  check(config);
  return Object.freeze(config);
}

function check({ name, inputSize, channels, mean, std, numClasses, width, blocks }: ConvNetConfig) {
  const caller = "createConvNet";
  checkCounts(caller, { inputSize, channels, numClasses, width });
  for (const [field, values] of Object.entries({ mean, std, blocks }))
    if (!Array.isArray(values))
      throw new DmaeError("argument", `${caller}: ${field} must be an array, got ${values}`);
  if (name !== "lenet" && blocks.length === 0)
    throw new DmaeError(
      "argument",
      `${caller}: blocks of ${name} must have a number for each stage, e.g. [${defaults[name].blocks}], got []`,
    );
  blocks.forEach((count, i) => {
    checkCounts(caller, { [`blocks[${i}]`]: count });
  });
  const smallest = { lenet: 16, cifar_resnet20: 4, cifar_resnet110: 4, resnet50: 32 }[name];
  if (inputSize < smallest)
    throw new DmaeError(
      "argument",
      `${caller}: inputSize of ${name} must be at least ${smallest}, got ${inputSize}`,
    );
  for (const [field, values] of Object.entries({ mean, std }))
    if (values.length !== channels || !values.every(Number.isFinite))
      throw new DmaeError(
        "argument",
        `${caller}: ${field} must hold one number for each of the ${channels} channel(s), got [${values}]`,
      );
  if (!std.every((value) => value > 0))
    throw new DmaeError("argument", `${caller}: std must be positive, got [${std}]`);
}
