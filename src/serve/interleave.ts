/** Several streams as one. */

/** Merges streams in the order their items come, each with its stream's index. Ends them all when its consumer stops or one throws. */
export async function* interleave<T>(
  streams: AsyncGenerator<T, void>[],
): AsyncGenerator<[index: number, item: T], void> {
  // what has come and was not given out; racing the pending ones instead would leave a reaction on each of them for every item
  const come: ({ i: number; result: IteratorResult<T, void> } | { error: unknown })[] = [];
  let wake: (() => void) | undefined;
  const put = (item: (typeof come)[number]): void => {
    come.push(item);
    wake?.();
  };
  const pull = (i: number): void =>
    void streams[i]?.next().then(
      (result) => put({ i, result }),
      (error: unknown) => put({ error }),
    );
  try {
    for (const i of streams.keys()) pull(i);
    for (let open = streams.length; open > 0; ) {
      const next = come.shift();
      if (next === undefined) await new Promise<void>((resolve) => (wake = resolve));
      else if ("error" in next) throw next.error;
      else if (next.result.done) open--;
      else {
        pull(next.i);
        yield [next.i, next.result.value];
      }
    }
  } finally {
    await Promise.allSettled(streams.map((stream) => stream.return()));
  }
}
