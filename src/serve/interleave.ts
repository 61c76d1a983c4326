/** Merges streams in the order their items come, each with its stream's index. Ends them all when its consumer stops or one throws. */
export async function* interleave<T>(streams: AsyncGenerator<T, void>[]): AsyncGenerator<[index: number, item: T], void> {
  const pull = (i: number) => streams[i].next().then((result) => ({ i, result }));
  const pending = new Map(streams.map((_, i) => [i, pull(i)]));
  try {
    while (pending.size > 0) {
      const { i, result } = await Promise.race(pending.values());
      if (result.done) pending.delete(i);
      else {
        pending.set(i, pull(i));
        yield [i, result.value];
      }
    }
  } finally {
    for (const promise of pending.values()) promise.catch(() => undefined);
    await Promise.allSettled(streams.map((stream) => stream.return()));
  }
}
