import * as tf from "@tensorflow/tfjs-core";

/**
 * Runs `action` without TensorFlow.js's warnings: the cpu backend advertises tfjs-node at its first tensor, and tfjs-node
 * brings further copies of packages, which complain kernel by kernel that the first came before them.
 */
export async function quietly<Result>(action: () => Promise<Result>): Promise<Result> {
  const before = tf.env().getBool("PROD"); // in tfjs-core this flag decides on warnings and on nothing else
  tf.env().set("PROD", true);
  try {
    return await action();
  } finally {
    tf.env().set("PROD", before);
  }
}
