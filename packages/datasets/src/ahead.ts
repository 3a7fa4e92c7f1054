/** How many results are under way at once. */
const atOnce = 8;

/** The results of `produce(first) … produce(end - 1)` in order, some of them started ahead. */
export async function* ahead<Result>(
  first: number,
  end: number,
  produce: (index: number) => Result | Promise<Result>,
): AsyncGenerator<Result> {
  const started: Promise<Result>[] = [];
  const start = async (index: number) => produce(index);
  for (let next = first; next < end || started.length > 0; ) {
    while (next < end && started.length < atOnce) {
      const result = start(next++);
      result.catch(() => {}); // seen when its turn comes
      started.push(result);
    }
    yield await started.shift()!;
  }
}
