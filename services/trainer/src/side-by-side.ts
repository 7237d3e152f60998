// Work on many things at one time, though not on all.

/** Does `work` on each of `items`, on at most `atOnce` at one time. Results are in the order of the items. @throws what `work` throws first. */
export async function sideBySide<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const next = items.entries();
  await Promise.all(
    Array.from({ length: Math.min(atOnce, items.length) }, async () => {
      for (const [index, item] of next) results[index] = await work(item);
    }),
  );
  return results;
}
