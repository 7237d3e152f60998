// The forward pass of a frozen convolution by tiles of 4x4 outputs, for KINDRED_LANES floats a register; included once an
// instruction set, after winograd-kernels.h.
//
// F(4, 3) at the points 0, +-a, +-b and infinity, a = sqrt(1/2), b = sqrt(2) = 2a: 36 products in place of 144. These points lie
// closer to 1 than the usual 0, +-1, +-2, which keeps rounding errors a few times smaller. In one dimension
//   B' = | 1   0  -5/2  0   1  0 |   G = |  1     0     0  |   A' = | 1  1   1    1   1   0 |
//        | 0  -b  -2    a   1  0 |       | -2/3  -2a/3 -1/3|        | 0  a  -a    b  -b   0 |
//        | 0   b  -2   -a   1  0 |       | -2/3   2a/3 -1/3|        | 0 1/2  1/2  2   2   0 |
//        | 0  -a  -1/2  b   1  0 |       |  1/6   b/6   1/3|        | 0 a/2 -a/2  2b -2b  1 |
//        | 0   a  -1/2 -b   1  0 |       |  1/6  -b/6   1/3|
//        | 0   1   0  -5/2  0  1 |       |  0     0     1  |

namespace kindred {
namespace KINDRED_NAMESPACE {
namespace {

constexpr int wideSide = 4, wideReach = 6, widePoints = wideReach * wideReach;
constexpr double rootHalf = 0.70710678118654752440, rootTwo = 1.41421356237309504880;

/** One dimension of B' on values 0 to 5. */
inline void wideInputPoints(const Vector (&d)[6], Vector (&v)[6]) {
  const Vector a = spread(static_cast<float>(rootHalf)), b = spread(static_cast<float>(rootTwo));
  const Vector outer = d[4] - spread(2.0f) * d[2], inner = d[4] - spread(0.5f) * d[2];
  const Vector outerOdd = a * d[3] - b * d[1], innerOdd = b * d[3] - a * d[1];
  v[0] = d[0] - spread(2.5f) * d[2] + d[4];
  v[1] = outer + outerOdd;
  v[2] = outer - outerOdd;
  v[3] = inner + innerOdd;
  v[4] = inner - innerOdd;
  v[5] = d[1] - spread(2.5f) * d[3] + d[5];
}

/** One dimension of A' on the products at the 6 points. */
inline void wideOutputs(const Vector (&m)[6], Vector (&y)[4]) {
  const Vector a = spread(static_cast<float>(rootHalf)), b = spread(static_cast<float>(rootTwo));
  const Vector evenA = m[1] + m[2], evenB = m[3] + m[4], oddA = m[1] - m[2], oddB = m[3] - m[4];
  y[0] = m[0] + evenA + evenB;
  y[1] = a * oddA + b * oddB;
  y[2] = spread(0.5f) * evenA + spread(2.0f) * evenB;
  y[3] = a * spread(0.5f) * oddA + b * spread(2.0f) * oddB + m[5];
}

/** One dimension of G. */
inline void wideFilterPoints(double g0, double g1, double g2, double (&u)[6]) {
  const double near = -2.0 / 3 * g0 - g2 / 3, nearOdd = -2.0 / 3 * rootHalf * g1;
  const double far = g0 / 6 + g2 / 3, farOdd = rootTwo / 6 * g1;
  u[0] = g0;
  u[1] = near + nearOdd;
  u[2] = near - nearOdd;
  u[3] = far + farOdd;
  u[4] = far - farOdd;
  u[5] = g2;
}

/** Filters at the 36 points, in double precision until they are stored: [outputs / columns, 36, inputs, columns]. */
void freezeWideFilter(const float* filter, int inputs, int outputs, float* frozen) {
  const size_t plane = static_cast<size_t>(inputs) * outputs;
  parallelFor(outputs / columns, [&](int block) {
    for (int c = 0; c < inputs; c++)
      for (int k = 0; k < columns; k++) {
        const float* g = filter + static_cast<size_t>(c) * outputs + block * columns + k;
        double t[3][6], u[6];
        for (int a = 0; a < 3; a++) wideFilterPoints(g[a * 3 * plane], g[(a * 3 + 1) * plane], g[(a * 3 + 2) * plane], t[a]);
        for (int j = 0; j < 6; j++) {
          wideFilterPoints(t[0][j], t[1][j], t[2][j], u);
          for (int i = 0; i < 6; i++)
            frozen[((static_cast<size_t>(block) * widePoints + i * 6 + j) * inputs + c) * columns + k] = static_cast<float>(u[i]);
        }
      }
  });
}

/** Tile `t` of `tiles` at its 36 points, to `v` [36] (`stride` apart). */
inline void transformWideTile(const Tiles& tiles, int t, const float* x, int inputs, const float* zeros, float* v, size_t stride) {
  const float* d[wideReach][wideReach];
  tiles.locate(t, 1, x, inputs, zeros, d);
  for (int c = 0; c < inputs; c += lanes) {
    Vector u[6][6], in[6], out[6];
    for (int j = 0; j < 6; j++) {
      for (int i = 0; i < 6; i++) in[i] = load(d[i][j] + c);
      wideInputPoints(in, out);
      for (int i = 0; i < 6; i++) u[i][j] = out[i];
    }
    for (int i = 0; i < 6; i++) {
      wideInputPoints(u[i], out);
      for (int j = 0; j < 6; j++) store(v + (i * 6 + j) * stride + c, out[j]);
    }
  }
}

/** relu(x * filter + bias + residual) from a filter of `freezeWideFilter`. */
void forwardFrozenWide(const ConvolutionShape& s, const float* x, const float* filters, const Ending& ending, float* y) {
  const Tiles tiles(s, wideSide);
  const Ended end{ending};
  const int inputs = s.inputs, outputs = s.outputs;
  const int block = std::clamp(4096 / inputs / rows * rows, 4 * rows, 8 * rows);
  const size_t inputStride = static_cast<size_t>(block) * inputs + lineFloats;
  const size_t outputStride = static_cast<size_t>(block) * columns + lineFloats;
  const Buffer zeros(inputs, Buffer::Content::zeros);

  parallelFor((tiles.count + block - 1) / block, [&](int task) {
    const Buffer scratch(widePoints * (inputStride + outputStride));
    float* const v = scratch.data();
    float* const m = v + widePoints * inputStride;
    const int first = task * block, count = std::min(block, tiles.count - first);
    for (int t = 0; t < count; t++)
      transformWideTile(tiles, first + t, x, inputs, zeros.data(), v + static_cast<size_t>(t) * inputs, inputStride);
    for (int k = 0; k < outputs; k += columns) {
      for (int point = 0; point < widePoints; point++) {
        const float* b = filters + (static_cast<size_t>(k / columns) * widePoints + point) * inputs * columns;
        for (int t = 0; t < count; t += rows)
          multiply(v + point * inputStride + static_cast<size_t>(t) * inputs, inputs, b, inputs, m + point * outputStride + t * columns);
      }
      for (int t = 0; t < count; t++) {
        const int image = (first + t) / (tiles.down * tiles.across), place = (first + t) % (tiles.down * tiles.across);
        const int top = place / tiles.across * wideSide, left = place % tiles.across * wideSide;
        const int high = std::min(wideSide, s.height - top), wide = std::min(wideSide, s.width - left);
        for (int part = 0; part < columns; part += lanes) {
          const float* p = m + t * columns + part;
          Vector half[4][6], in[6], out[4];
          for (int j = 0; j < 6; j++) {
            for (int i = 0; i < 6; i++) in[i] = load(p + (i * 6 + j) * outputStride);
            wideOutputs(in, out);
            for (int i = 0; i < 4; i++) half[i][j] = out[i];
          }
          for (int i = 0; i < high; i++) {
            wideOutputs(half[i], out);
            const size_t at = ((static_cast<size_t>(image) * s.height + top + i) * s.width + left) * outputs + k + part;
            for (int j = 0; j < wide; j++) store(y + at + static_cast<size_t>(j) * outputs, end(out[j], at + static_cast<size_t>(j) * outputs, k + part));
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace KINDRED_NAMESPACE
}  // namespace kindred
