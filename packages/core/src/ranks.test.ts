import { expect, test } from "vitest";
import { localWorlds } from "../../../testing/worlds.ts";
import { gatherTexts, ranksOf } from "./ranks.ts";

test("gatherTexts gives every rank the texts of all, of any length and language", async () => {
  const texts = ["", "zwei", "三 é"];
  const { worlds } = localWorlds(3);
  const gathered = await Promise.all(worlds.map((world) => gatherTexts(world, texts[world.rank]!)));
  expect(gathered).toEqual([texts, texts, texts]);
});

test("ranksOf tells several ranks from one, and refuses a promise", () => {
  const [one] = localWorlds(1).worlds;
  const [two] = localWorlds(2).worlds;
  expect([ranksOf("f", undefined), ranksOf("f", one), ranksOf("f", two)]).toEqual([
    undefined,
    undefined,
    two,
  ]);
  expect(() => ranksOf("f", Promise.resolve(two) as never)).toThrow(
    "f: world must be what world() of @dmae/distributed resolves to, got a promise; write await world()",
  );
  for (const wrong of [null, {}, { ...two, rank: 2 }, { rank: 0, size: 2 }])
    expect(() => ranksOf("f", wrong as never)).toThrow("f: world must be what world()");
});
