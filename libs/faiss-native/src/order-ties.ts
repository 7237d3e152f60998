// A fixed order for neighbours with equal scores; faiss promises none.

/**
 * Sorts neighbours of equal score by position, in place, in each row of `k`. Rows are already sorted by score, so that only
 * runs of equal scores move.
 */
export function orderTies(scores: Float32Array, positions: Int32Array, k: number): void {
  for (let row = 0; row < scores.length; row += k) {
    for (let start = row; start < row + k;) {
      let end = start + 1;
      while (end < row + k && scores[end] === scores[start]) end++;
      if (end - start > 1) positions.subarray(start, end).sort();
      start = end;
    }
  }
}
