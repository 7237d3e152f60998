// The inner loop of everything here: inner products of up to four queries with a block of vectors.

/**
 * Writes the inner products of queries `first` … `first + lanes - 1` (`lanes`: 1 to 4) with `vectors` rows of `block` to
 * `out`, [lanes, vectors]. Sums are kept in double precision and rounded once. Four rows at a time: each number that is
 * read from memory is used four times, which is what bounds plain JavaScript here.
 */
export function innerProducts(
  queries: Float32Array,
  first: number,
  lanes: number,
  block: Float32Array,
  vectors: number,
  dimension: number,
  out: Float32Array,
): void {
  const q0 = first * dimension;
  // Missing lanes repeat the last query; their results are written where nobody reads, or not at all.
  const q1 = q0 + (lanes > 1 ? dimension : 0);
  const q2 = lanes > 2 ? q1 + dimension : q1;
  const q3 = lanes > 3 ? q2 + dimension : q2;
  let row = 0;
  for (; row + 1 < vectors; row += 2) {
    let a = row * dimension;
    let b = a + dimension;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    let t0 = 0;
    let t1 = 0;
    let t2 = 0;
    let t3 = 0;
    for (let i = 0; i < dimension; i++, a++, b++) {
      const x = block[a]!;
      const y = block[b]!;
      const u0 = queries[q0 + i]!;
      const u1 = queries[q1 + i]!;
      const u2 = queries[q2 + i]!;
      const u3 = queries[q3 + i]!;
      s0 += x * u0;
      t0 += y * u0;
      s1 += x * u1;
      t1 += y * u1;
      s2 += x * u2;
      t2 += y * u2;
      s3 += x * u3;
      t3 += y * u3;
    }
    write(out, lanes, vectors, row, s0, s1, s2, s3);
    write(out, lanes, vectors, row + 1, t0, t1, t2, t3);
  }
  for (; row < vectors; row++) {
    const a = row * dimension;
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let i = 0; i < dimension; i++) {
      const x = block[a + i]!;
      s0 += x * queries[q0 + i]!;
      s1 += x * queries[q1 + i]!;
      s2 += x * queries[q2 + i]!;
      s3 += x * queries[q3 + i]!;
    }
    write(out, lanes, vectors, row, s0, s1, s2, s3);
  }
}

function write(
  out: Float32Array,
  lanes: number,
  vectors: number,
  row: number,
  s0: number,
  s1: number,
  s2: number,
  s3: number,
): void {
  out[row] = s0;
  if (lanes > 1) out[vectors + row] = s1;
  if (lanes > 2) out[2 * vectors + row] = s2;
  if (lanes > 3) out[3 * vectors + row] = s3;
}
