// Similarities of stored vectors with queries. Included once for each instruction set, inside a namespace and a
// `#pragma GCC target` of its own, with LANES (floats a register), ROWS (vectors a tile) and SumOf (adds up a register).
//
// Larger is nearer: inner products, or squared distances below zero.

typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef float Loose __attribute__((vector_size(4 * LANES), aligned(4)));

constexpr size_t kLanes = LANES;
constexpr size_t kRows = ROWS;

template <bool kL2>
inline Lanes Accumulate(Lanes sum, Lanes a, Lanes b) {
  if (!kL2) return sum + a * b;
  const Lanes difference = a - b;
  return sum - difference * difference;
}

// One query with one vector: the score that answers show, whatever way the vector was found.
template <bool kL2>
inline float Pair(const float *a, const float *b, size_t dimension) {
  Lanes sums[4] = {};
  size_t i = 0;
  for (; i + 4 * kLanes <= dimension; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (size_t s = 0; s < 4; s++) {
      sums[s] = Accumulate<kL2>(sums[s], *reinterpret_cast<const Loose *>(a + i + s * kLanes),
                                *reinterpret_cast<const Loose *>(b + i + s * kLanes));
    }
  }
  for (; i + kLanes <= dimension; i += kLanes) {
    sums[0] = Accumulate<kL2>(sums[0], *reinterpret_cast<const Loose *>(a + i), *reinterpret_cast<const Loose *>(b + i));
  }
  float sum = SumOf((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < dimension; i++) sum += kL2 ? -(a[i] - b[i]) * (a[i] - b[i]) : a[i] * b[i];
  return sum;
}

// `kVectors` registers of queries, interleaved as [dimension][kVectors * kLanes], with `count` vectors, at most kRows.
template <bool kL2, size_t kVectors>
inline void Tile(const float *const *rows, size_t count, const size_t *positions, const float *panel, size_t dimension,
                 size_t first_query, NeighbourTable &table) {
  Lanes sums[kRows][kVectors] = {};
  for (size_t i = 0; i < dimension; i++) {
    Lanes query[kVectors];
#pragma GCC unroll 2
    for (size_t v = 0; v < kVectors; v++) {
      query[v] = *reinterpret_cast<const Loose *>(panel + (i * kVectors + v) * kLanes);
    }
#pragma GCC unroll 8
    for (size_t r = 0; r < kRows; r++) {
      const Lanes row = Lanes{} + rows[r][i];
#pragma GCC unroll 2
      for (size_t v = 0; v < kVectors; v++) sums[r][v] = Accumulate<kL2>(sums[r][v], query[v], row);
    }
  }
  alignas(64) Lanes kept[kRows][kVectors];
#pragma GCC unroll 8
  for (size_t r = 0; r < kRows; r++) {
#pragma GCC unroll 2
    for (size_t v = 0; v < kVectors; v++) kept[r][v] = sums[r][v];
  }
  for (size_t r = 0; r < count; r++) {
    for (size_t v = 0; v < kVectors; v++) {
      const size_t query = first_query + v * kLanes;
      uint64_t passing = AtLeast(kept[r][v], *reinterpret_cast<const Loose *>(table.bars() + query));
      for (; passing != 0; passing &= passing - 1) {
        const auto lane = static_cast<size_t>(__builtin_ctzll(passing));
        table.Offer(query + lane, reinterpret_cast<const float *>(&kept[r][v])[lane], positions[r]);
      }
    }
  }
}

template <bool kL2, size_t kVectors>
inline void Panel(const ScanRows &scan, const float *panel, size_t dimension, size_t first_query, NeighbourTable &table) {
  for (size_t row = 0; row < scan.count; row += kRows) {
    const size_t count = scan.count - row < kRows ? scan.count - row : kRows;
    const float *rows[kRows];
    for (size_t r = 0; r < kRows; r++) rows[r] = scan.rows[row + (r < count ? r : 0)];
    Tile<kL2, kVectors>(rows, count, scan.positions + row, panel, dimension, first_query, table);
  }
}

float Score(const float *a, const float *b, size_t dimension, bool l2) {
  return l2 ? Pair<true>(a, b, dimension) : Pair<false>(a, b, dimension);
}

void Scan(const ScanRows &scan, const ScanQueries &queries, bool l2, NeighbourTable &table) {
  const float *panel = queries.panels;
  for (size_t first = 0; first < queries.places;) {
    const size_t width = queries.places - first >= 2 * kLanes ? 2 : 1;
    if (width == 2) {
      l2 ? Panel<true, 2>(scan, panel, queries.dimension, first, table)
         : Panel<false, 2>(scan, panel, queries.dimension, first, table);
    } else {
      l2 ? Panel<true, 1>(scan, panel, queries.dimension, first, table)
         : Panel<false, 1>(scan, panel, queries.dimension, first, table);
    }
    first += width * kLanes;
    panel += width * kLanes * queries.dimension;
  }
}
