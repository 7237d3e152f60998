// The Winograd passes for KINDRED_LANES floats a register; included once an instruction set.
//
// One dimension of F(2, 3): y = A'[(G g) * (B' d)], for an input tile d of 4, a filter g of 3 and outputs y of 2, with
//   B' = | 1  0 -1  0 |   G = | 1    0   0  |   A' = | 1  1  1  0 |
//        | 0  1  1  0 |       | 1/2  1/2 1/2|        | 0  1 -1 -1 |
//        | 0 -1  1  0 |       | 1/2 -1/2 1/2|
//        | 0  1  0 -1 |       | 0    0   1  |
// In two dimensions each of the 16 products of a tile becomes one matrix product over channels. The gradient of the
// filter is that of this very computation: G'[(B' d) * (A dy)] summed over tiles.

namespace kindred {
namespace KINDRED_NAMESPACE {
namespace {

constexpr int rows = KINDRED_ROWS;  // rows of a block of the matrix product held in registers, two registers wide
constexpr int columns = 2 * lanes;
constexpr int points = 16;
constexpr int lineFloats = 16;  // staggers arrays whose sizes are powers of two over the cache's sets

/** The tiles of all images, `side` outputs high and wide, numbered in one row. */
struct Tiles {
  explicit Tiles(const ConvolutionShape& s, int side = 2)
      : height(s.height), width(s.width), side(side), down((s.height + side - 1) / side), across((s.width + side - 1) / side),
        count(s.images * down * across) {}
  int height, width, side, down, across, count;

  /** Points at the `Size`x`Size` pixels from `margin` before tile `index` on; at `zeros` for those outside the image. */
  template <int Size>
  void locate(int index, int margin, const float* map, int channels, const float* zeros, const float* (&pixels)[Size][Size]) const {
    const int image = index / (down * across), place = index % (down * across);
    const int top = place / across * side - margin, left = place % across * side - margin;
    for (int i = 0; i < Size; i++)
      for (int j = 0; j < Size; j++) {
        const int y = top + i, x = left + j;
        const bool inside = y >= 0 && y < height && x >= 0 && x < width;
        pixels[i][j] = inside ? map + ((static_cast<size_t>(image) * height + y) * width + x) * channels : zeros;
      }
  }
};

/** One dimension of B' on values 0 to 3. */
inline void inputPoints(Vector d0, Vector d1, Vector d2, Vector d3, Vector (&v)[4]) {
  v[0] = d0 - d2;
  v[1] = d1 + d2;
  v[2] = d2 - d1;
  v[3] = d1 - d3;
}

/** Product of `rows` rows of `a` (`depth` long, `stride` apart) and `b` [depth, columns], to `out` [rows, columns]. */
inline void multiply(const float* a, size_t stride, const float* b, int depth, float* out) {
  Vector sums[rows][2] = {};
  for (int d = 0; d < depth; d++) {
    const Vector b0 = load(b + d * columns), b1 = load(b + d * columns + lanes);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const Vector value = spread(a[r * stride + d]);
      sums[r][0] += value * b0;
      sums[r][1] += value * b1;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    store(out + r * columns, sums[r][0]);
    store(out + r * columns + lanes, sums[r][1]);
  }
}

/** One dimension of G on a filter's three values. */
inline void filterPoints(Vector g0, Vector g1, Vector g2, Vector (&u)[4]) {
  const Vector half = spread(0.5f), outer = (g0 + g2) * half, middle = g1 * half;
  u[0] = g0;
  u[1] = outer + middle;
  u[2] = outer - middle;
  u[3] = g2;
}

/** Filters at the 16 points: [outputs / columns, 16, inputs, columns]. */
void transformFilter(const float* filter, int inputs, int outputs, float* transformed) {
  const size_t plane = static_cast<size_t>(inputs) * outputs;
  const int blocks = outputs / columns;
  parallelFor(blocks * (inputs / lanes), [&](int task) {
    const int block = task % blocks, first = task / blocks * lanes;
    for (int c = first; c < first + lanes; c++)
      for (int part = 0; part < columns; part += lanes) {
        const float* g = filter + static_cast<size_t>(c) * outputs + block * columns + part;
        Vector t[3][4], u[4];
        for (int a = 0; a < 3; a++) filterPoints(load(g + a * 3 * plane), load(g + (a * 3 + 1) * plane), load(g + (a * 3 + 2) * plane), t[a]);
        for (int j = 0; j < 4; j++) {
          filterPoints(t[0][j], t[1][j], t[2][j], u);
          for (int i = 0; i < 4; i++)
            store(transformed + ((static_cast<size_t>(block) * points + i * 4 + j) * inputs + c) * columns + part, u[i]);
        }
      }
  });
}

/** The filter of the input's gradient: turned by half a turn, inputs and outputs exchanged. [3, 3, outputs, inputs]. */
void turnFilter(const float* filter, int inputs, int outputs, float* turned) {
  const size_t plane = static_cast<size_t>(inputs) * outputs;
  constexpr int side = 32;
  parallelFor(9 * (outputs / side), [&](int task) {
    const int place = task % 9, k0 = task / 9 * side;
    const float* from = filter + static_cast<size_t>(8 - place) * plane;
    float* to = turned + static_cast<size_t>(place) * plane;
    for (int c0 = 0; c0 < inputs; c0 += side)
      for (int k = k0; k < k0 + side; k++)
        for (int c = c0; c < c0 + side; c++) to[static_cast<size_t>(k) * inputs + c] = from[static_cast<size_t>(c) * outputs + k];
  });
}

/** An `Ending` that does nothing. */
struct Unchanged {
  Vector operator()(Vector value, size_t, int) const { return value; }
};

/** An `Ending` on the values at `at` of the output, which are those of the channels from `channel` on. */
struct Ended {
  const Ending& ending;
  Vector operator()(Vector value, size_t at, int channel) const {
    value += load(ending.bias + channel);
    if (ending.residual != nullptr) value += load(ending.residual + at);
    return ending.relu ? (value > Vector{} ? value : Vector{}) : value;
  }
};

/** y from transformed filters; `s.inputs` and `s.outputs` are those of this product. `end` has the last word on each value. */
template <typename End>
void convolve(const ConvolutionShape& s, const float* x, const float* filters, float* y, End end) {
  const Tiles tiles(s);
  const int inputs = s.inputs, outputs = s.outputs;
  // A block's transformed tiles stay in the second-level cache: at most 1 MiB.
  const int block = std::clamp(16384 / inputs / rows * rows, rows, 64);
  const size_t inputStride = static_cast<size_t>(block) * inputs + lineFloats;
  constexpr size_t outputPad = lineFloats;
  const size_t outputStride = static_cast<size_t>(block) * columns + outputPad;
  const int blocks = (tiles.count + block - 1) / block;
  const Buffer zeros(inputs, Buffer::Content::zeros);

  parallelFor(blocks, [&](int task) {
    const Buffer scratch(points * (inputStride + outputStride));
    float* const v = scratch.data();
    float* const m = v + points * inputStride;
    const int first = task * block, count = std::min(block, tiles.count - first);
    for (int t = 0; t < count; t++) {
      const float* d[4][4];
      tiles.locate(first + t, 1, x, inputs, zeros.data(), d);
      for (int c = 0; c < inputs; c += lanes) {
        Vector u[4][4], out[4];
        for (int j = 0; j < 4; j++) {
          inputPoints(load(d[0][j] + c), load(d[1][j] + c), load(d[2][j] + c), load(d[3][j] + c), out);
          for (int i = 0; i < 4; i++) u[i][j] = out[i];
        }
        for (int i = 0; i < 4; i++) {
          inputPoints(u[i][0], u[i][1], u[i][2], u[i][3], out);
          for (int j = 0; j < 4; j++) store(v + (i * 4 + j) * inputStride + static_cast<size_t>(t) * inputs + c, out[j]);
        }
      }
    }
    for (int k = 0; k < outputs; k += columns) {
      for (int point = 0; point < points; point++) {
        const float* b = filters + (static_cast<size_t>(k / columns) * points + point) * inputs * columns;
        for (int t = 0; t < count; t += rows)
          multiply(v + point * inputStride + static_cast<size_t>(t) * inputs, inputs, b, inputs, m + point * outputStride + t * columns);
      }
      for (int t = 0; t < count; t++) {
        const int image = (first + t) / (tiles.down * tiles.across), place = (first + t) % (tiles.down * tiles.across);
        const int top = place / tiles.across * 2, left = place % tiles.across * 2;
        for (int part = 0; part < columns; part += lanes) {
          const float* p = m + t * columns + part;
          Vector rowsOut[2][4];
          for (int j = 0; j < 4; j++) {
            const Vector m1 = load(p + (4 + j) * outputStride), m2 = load(p + (8 + j) * outputStride);
            rowsOut[0][j] = load(p + j * outputStride) + m1 + m2;
            rowsOut[1][j] = m1 - m2 - load(p + (12 + j) * outputStride);
          }
          for (int i = 0; i < 2 && top + i < s.height; i++) {
            const size_t at = ((static_cast<size_t>(image) * s.height + top + i) * s.width + left) * outputs + k + part;
            store(y + at, end(rowsOut[i][0] + rowsOut[i][1] + rowsOut[i][2], at, k + part));
            if (left + 1 < s.width)
              store(y + at + outputs, end(rowsOut[i][1] - rowsOut[i][2] - rowsOut[i][3], at + outputs, k + part));
          }
        }
      }
    }
  });
}

void forward(const ConvolutionShape& s, const float* x, const float* filter, float* y) {
  const Buffer transformed(static_cast<size_t>(points) * s.inputs * s.outputs);
  transformFilter(filter, s.inputs, s.outputs, transformed.data());
  convolve(s, x, transformed.data(), y, Unchanged{});
}

void forwardFrozen(const ConvolutionShape& s, const float* x, const float* frozen, const Ending& ending, float* y) {
  convolve(s, x, frozen, y, Ended{ending});
}

void inputGradient(const ConvolutionShape& s, const float* dy, const float* filter, float* dx) {
  const Buffer turned(static_cast<size_t>(9) * s.inputs * s.outputs);
  turnFilter(filter, s.inputs, s.outputs, turned.data());
  ConvolutionShape back = s;
  std::swap(back.inputs, back.outputs);
  forward(back, dy, turned.data(), dx);
}

/** One dimension of A on two values: the component `point`. */
inline Vector outputPoint(int point, Vector y0, Vector y1) {
  switch (point) {
    case 0:
      return y0;
    case 1:
      return y0 + y1;
    case 2:
      return y0 - y1;
    default:
      return -y1;
  }
}

/**
 * The product of transposed `a` (`depth` of `lanes`) and `b`, to `sums` [rows, columns] (a row `stride` long): in place of
 * what is there when `fresh`, else added.
 */
inline void accumulate(const float* a, const float* b, int bStride, int depth, bool fresh, float* sums, size_t stride) {
  Vector part[rows][2] = {};
  for (int d = 0; d < depth; d++) {
    const Vector b0 = load(b + static_cast<size_t>(d) * bStride), b1 = load(b + static_cast<size_t>(d) * bStride + lanes);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
      const Vector value = spread(a[d * lanes + r]);
      part[r][0] += value * b0;
      part[r][1] += value * b1;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++) {
    float* const to = sums + r * stride;
    store(to, fresh ? part[r][0] : load(to) + part[r][0]);
    store(to + lanes, fresh ? part[r][1] : load(to + lanes) + part[r][1]);
  }
}

/** dU: the filter's gradient at the 16 points, [16, inputs, outputs]. A task has 4 points and `wide` outputs. */
void gradientAtPoints(const ConvolutionShape& s, const float* x, const float* dy, float* gradient) {
  const Tiles tiles(s);
  const int inputs = s.inputs, outputs = s.outputs;
  constexpr int block = 64;
  int wide = std::min(outputs, 128);
  if (outputs % wide != 0) wide = channelMultiple;
  while (wide > channelMultiple && 4 * (outputs / wide) < 2 * threadCount() && wide / 2 % channelMultiple == 0) wide /= 2;
  const size_t inputStride = static_cast<size_t>(block) * inputs + lineFloats;
  const size_t outputStride = static_cast<size_t>(block) * wide + lineFloats;
  const size_t plane = static_cast<size_t>(inputs) * outputs;
  const Buffer zeros(std::max(inputs, outputs), Buffer::Content::zeros);

  parallelFor(4 * (outputs / wide), [&](int task) {
    const int i = task % 4, k0 = task / 4 * wide;
    const Buffer scratch(4 * (inputStride + outputStride));
    float* const v = scratch.data();
    float* const m = v + 4 * inputStride;
    // Row i of B' reads two of the four pixels' rows: d[plus] and, added or taken away, d[other].
    static constexpr int plus[4] = {0, 1, 2, 1}, other[4] = {2, 2, 1, 3};
    const Vector sign = spread(i == 1 ? 1.0f : -1.0f);
    for (int first = 0; first < tiles.count; first += block) {
      const int count = std::min(block, tiles.count - first);
      for (int t = 0; t < count; t++) {
        const float* d[4][4];
        tiles.locate(first + t, 1, x, inputs, zeros.data(), d);
        for (int c = 0; c < inputs; c += lanes) {
          Vector u[4], out[4];
          for (int j = 0; j < 4; j++) u[j] = load(d[plus[i]][j] + c) + sign * load(d[other[i]][j] + c);
          inputPoints(u[0], u[1], u[2], u[3], out);
          for (int j = 0; j < 4; j++) store(v + j * inputStride + (static_cast<size_t>(c / lanes) * block + t) * lanes, out[j]);
        }
        const float* e[2][2];
        tiles.locate(first + t, 0, dy, outputs, zeros.data(), e);
        const bool beyond = e[1][1] == zeros.data();
        for (int k = 0; k < wide; k += lanes) {
          const int at = k0 + k;
          const auto pixel = [&](int a, int b) { return beyond && e[a][b] == zeros.data() ? Vector{} : load(e[a][b] + at); };
          const Vector left = outputPoint(i, pixel(0, 0), pixel(1, 0)), right = outputPoint(i, pixel(0, 1), pixel(1, 1));
          for (int j = 0; j < 4; j++) store(m + j * outputStride + static_cast<size_t>(t) * wide + k, outputPoint(j, left, right));
        }
      }
      for (int j = 0; j < 4; j++)
        for (int c = 0; c < inputs; c += rows)
          for (int k = 0; k < wide; k += columns)
            accumulate(v + j * inputStride + static_cast<size_t>(c / lanes) * block * lanes + c % lanes, m + j * outputStride + k, wide, count, first == 0,
                       gradient + (i * 4 + j) * plane + static_cast<size_t>(c) * outputs + k0 + k, outputs);
    }
  });
}

/** One dimension of G' on four values. */
inline void filterFromPoints(Vector u0, Vector u1, Vector u2, Vector u3, Vector (&g)[3]) {
  const Vector half = spread(0.5f), sum = (u1 + u2) * half;
  g[0] = u0 + sum;
  g[1] = (u1 - u2) * half;
  g[2] = sum + u3;
}

void filterGradient(const ConvolutionShape& s, const float* x, const float* dy, float* dfilter) {
  const size_t plane = static_cast<size_t>(s.inputs) * s.outputs;
  const Buffer gradient(points * plane);
  gradientAtPoints(s, x, dy, gradient.data());
  parallelFor(s.inputs, [&](int c) {
    for (int k = 0; k < s.outputs; k += lanes) {
      const size_t at = static_cast<size_t>(c) * s.outputs + k;
      const float* u = gradient.data() + at;
      Vector t[3][4], g[3];
      for (int j = 0; j < 4; j++) {
        filterFromPoints(load(u + j * plane), load(u + (4 + j) * plane), load(u + (8 + j) * plane), load(u + (12 + j) * plane), g);
        for (int a = 0; a < 3; a++) t[a][j] = g[a];
      }
      for (int a = 0; a < 3; a++) {
        filterFromPoints(t[a][0], t[a][1], t[a][2], t[a][3], g);
        for (int b = 0; b < 3; b++) store(dfilter + (a * 3 + b) * plane + at, g[b]);
      }
    }
  });
}

}  // namespace
}  // namespace KINDRED_NAMESPACE
}  // namespace kindred
