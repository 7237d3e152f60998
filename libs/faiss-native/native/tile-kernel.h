// Inner products of two blocks of vectors, a tile at a time in registers. Included once for each instruction set, inside a
// namespace and a `#pragma GCC target` of its own, with LANES (floats a register) and ROWS (rows of a tile, a divisor of LANES).
//
// Each product is one chain of fused multiply-adds in the order of the dimensions. So it does not depend on the tile, the block
// or the thread that made it, AVX2 and AVX-512 agree to the bit, and <a, b> is <b, a>.

typedef float Lanes __attribute__((vector_size(4 * LANES)));

constexpr size_t kLanes = LANES;
constexpr size_t kRows = ROWS;
constexpr size_t kVectors = 3;
constexpr size_t kColumns = kVectors * kLanes;

// `rows`: kRows vectors inside a panel; `columns`: kVectors panels in succession. A panel is [dimension][kLanes].
inline void Products(const float *rows, const float *columns, size_t dimension, Lanes (&sums)[kRows][kVectors]) {
  const size_t panel = dimension * kLanes;
  Lanes kept[kRows][kVectors] = {};
  for (size_t i = 0; i < dimension * kLanes; i += kLanes) {
    Lanes column[kVectors];
#pragma GCC unroll 3
    for (size_t v = 0; v < kVectors; v++) column[v] = *reinterpret_cast<const Lanes *>(columns + v * panel + i);
#pragma GCC unroll 16
    for (size_t r = 0; r < kRows; r++) {
#pragma GCC unroll 3
      for (size_t v = 0; v < kVectors; v++) kept[r][v] += rows[i + r] * column[v];
    }
  }
#pragma GCC unroll 16
  for (size_t r = 0; r < kRows; r++) {
#pragma GCC unroll 3
    for (size_t v = 0; v < kVectors; v++) sums[r][v] = kept[r][v];
  }
}

// Offers what reaches a bar of the tile's row or, with `both`, of its column. `row` and `column` are the tile's first.
inline void Select(const Lanes (&sums)[kRows][kVectors], size_t row, size_t column, bool both, NeighbourTable &table) {
  const float *bars = table.bars();
  for (size_t r = 0; r < kRows; r++) {
    uint64_t passing = 0;
#pragma GCC unroll 3
    for (size_t v = 0; v < kVectors; v++) {
      uint64_t reached = AtLeast(sums[r][v], Lanes{} + bars[row + r]);
      if (both) reached |= AtLeast(sums[r][v], *reinterpret_cast<const Lanes *>(bars + column + v * kLanes));
      passing |= reached << (v * kLanes);
    }
    for (; passing != 0; passing &= passing - 1) {
      const auto c = static_cast<size_t>(__builtin_ctzll(passing));
      const float score = reinterpret_cast<const float *>(sums[r])[c];
      table.Offer(row + r, score, column + c);
      if (both) table.Offer(column + c, score, row + r);
    }
  }
}

// All products of the vectors `rows` with the vectors `columns` (ranges of positions, multiples of kColumns).
void Block(const float *panels, size_t dimension, Range rows, Range columns, NeighbourTable &table) {
  const bool both = rows.begin != columns.begin;
  alignas(64) Lanes sums[kRows][kVectors];
  for (size_t column = columns.begin; column < columns.end; column += kColumns) {
    for (size_t row = rows.begin; row < rows.end; row += kRows) {
      const float *panel = panels + row / kLanes * kLanes * dimension + row % kLanes;
      Products(panel, panels + column * dimension, dimension, sums);
      Select(sums, row, column, both, table);
    }
  }
}
