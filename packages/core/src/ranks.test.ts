import { expect, test } from "vitest";
import { localWorlds } from "../../../testing/worlds.ts";
import { gatherTexts } from "./ranks.ts";

test("gatherTexts gives every rank the texts of all, of any length and language", async () => {
  const texts = ["", "zwei", "三 é"];
  const { worlds } = localWorlds(3);
  const gathered = await Promise.all(worlds.map((world) => gatherTexts(world, texts[world.rank]!)));
  expect(gathered).toEqual([texts, texts, texts]);
});
