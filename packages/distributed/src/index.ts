export type { World, WorldData, WorldOperation } from "@dmae/core";
export { world } from "./world.ts";
