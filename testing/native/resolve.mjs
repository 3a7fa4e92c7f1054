// node --import: makes @tensorflow/tfjs-node of the folder DMAE_NATIVE_PROJECT the one that every package finds.
import { createRequire, register } from "node:module";
import { pathToFileURL } from "node:url";

const project = process.env.DMAE_NATIVE_PROJECT;
if (!project)
  throw new Error("resolve.mjs: DMAE_NATIVE_PROJECT must name a folder with @tensorflow/tfjs-node");
const entry = createRequire(`${project}/package.json`).resolve("@tensorflow/tfjs-node");
const hooks = `export const resolve = (specifier, context, next) =>
  specifier === "@tensorflow/tfjs-node"
    ? { url: ${JSON.stringify(pathToFileURL(entry).href)}, shortCircuit: true }
    : next(specifier, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
