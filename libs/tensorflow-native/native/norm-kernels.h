// The BatchNorm passes for KINDRED_LANES floats a register; included once an instruction set.

namespace kindred {
namespace KINDRED_NAMESPACE {
namespace {

/** Floats that a task works through, about: they stay in the second-level cache between its loops. */
constexpr size_t taskFloats = 65536;
/** Rows whose sum is made in float32 before it is added in double precision. */
constexpr size_t shortRows = 64;

/** The fixed parts that the rows are cut into. */
struct Parts {
  explicit Parts(const NormShape& s)
      : rows(std::max<size_t>(shortRows, taskFloats / s.channels)), count(static_cast<int>((s.rows + rows - 1) / rows)), all(s.rows) {}
  size_t rows;
  int count;
  size_t all;
  size_t begin(int part) const { return part * rows; }
  size_t end(int part) const { return std::min(all, (part + 1) * rows); }
};

/** Two sums a channel, by part, and their totals in the order of the parts. */
class Sums {
 public:
  Sums(const Parts& parts, int channels) : channels_(channels), values_(static_cast<size_t>(parts.count) * 2 * channels, 0.0), parts_(parts.count) {}
  double* of(int part) { return values_.data() + static_cast<size_t>(part) * 2 * channels_; }
  double total(int which, int channel) const {
    double sum = 0;
    for (int part = 0; part < parts_; part++) sum += values_[(static_cast<size_t>(part) * 2 + which) * channels_ + channel];
    return sum;
  }

 private:
  int channels_;
  std::vector<double> values_;
  int parts_;
};

/** Calls `body(first, width)` for blocks of `width` registers from channel `first` on; `width` is a constant of its type. */
template <typename Body>
inline void byChannelBlocks(int channels, Body body) {
  int c = 0;
  for (; c + 4 * lanes <= channels; c += 4 * lanes) body(c, std::integral_constant<int, 4>{});
  for (; c + lanes <= channels; c += lanes) body(c, std::integral_constant<int, 1>{});
}

/** Adds `terms(row, i)`, two vectors for register i, over the rows of a part to `sums`. */
template <int width, typename Terms>
inline void addUp(size_t begin, size_t end, int first, int channels, double* sums, Terms terms) {
  for (size_t from = begin; from < end; from += shortRows) {
    Vector a[width] = {}, b[width] = {};
    const size_t to = std::min(end, from + shortRows);
    for (size_t row = from; row < to; row++)
#pragma GCC unroll 4
      for (int i = 0; i < width; i++) {
        Vector one, two;
        terms(row, i, one, two);
        a[i] += one;
        b[i] += two;
      }
    for (int i = 0; i < width; i++)
      for (int lane = 0; lane < lanes; lane++) {
        sums[first + i * lanes + lane] += a[i][lane];
        sums[channels + first + i * lanes + lane] += b[i][lane];
      }
  }
}

inline Vector positive(Vector v) { return v < Vector{} ? Vector{} : v; }  // NaN stays NaN: an overflow must be seen

void normForward(const NormShape& s, const NormLayer& layer, const float* x, const float* residual, float* y, float* mean, float* variance,
                 float* inverse) {
  const int channels = s.channels;
  const Parts parts(s);
  Sums sums(parts, channels);
  // Sums of x - x0 and its square: without the shift a mean far from 0 would cost the variance its digits.
  parallelFor(parts.count, [&](int part) {
    byChannelBlocks(channels, [&](int c, auto width) {
      addUp<width.value>(parts.begin(part), parts.end(part), c, channels, sums.of(part), [&](size_t row, int i, Vector& one, Vector& two) {
        one = load(x + row * channels + c + i * lanes) - load(x + c + i * lanes);
        two = one * one;
      });
    });
  });
  const double count = static_cast<double>(s.rows);
  for (int c = 0; c < channels; c++) {
    const double shifted = sums.total(0, c) / count;
    const double spreadOut = std::max(0.0, sums.total(1, c) / count - shifted * shifted);
    mean[c] = static_cast<float>(x[c] + shifted);
    variance[c] = static_cast<float>(spreadOut);
    inverse[c] = static_cast<float>(1.0 / std::sqrt(spreadOut + layer.epsilon));
  }
  parallelFor(parts.count, [&](int part) {
    byChannelBlocks(channels, [&](int c, auto width) {
      Vector m[width.value], a[width.value], b[width.value];
      for (int i = 0; i < width.value; i++) {
        m[i] = load(mean + c + i * lanes);
        a[i] = load(inverse + c + i * lanes) * load(layer.scale + c + i * lanes);
        b[i] = load(layer.offset + c + i * lanes);
      }
      for (size_t row = parts.begin(part); row < parts.end(part); row++)
#pragma GCC unroll 4
        for (int i = 0; i < width.value; i++) {
          const size_t at = row * channels + c + i * lanes;
          const Vector value = (load(x + at) - m[i]) * a[i] + b[i];
          store(y + at, positive(residual == nullptr ? value : value + load(residual + at)));
        }
    });
  });
}

void normBackward(const NormShape& s, const NormLayer& layer, const float* dy, const float* y, const float* x, const float* mean,
                  const float* inverse, float* dx, float* dscale, float* doffset, float* dresidual) {
  const int channels = s.channels;
  const Parts parts(s);
  Sums sums(parts, channels);
  // The gradient before the ReLU. Without a residual its sign is worked out again from x, which saves reading y.
  const auto masked = [&](size_t at, Vector centred, Vector a, Vector b) -> Vector {
    const Vector output = y == nullptr ? centred * a + b : load(y + at);
    return output > Vector{} ? load(dy + at) : Vector{};
  };
  parallelFor(parts.count, [&](int part) {
    byChannelBlocks(channels, [&](int c, auto width) {
      addUp<width.value>(parts.begin(part), parts.end(part), c, channels, sums.of(part), [&](size_t row, int i, Vector& one, Vector& two) {
        const int channel = c + i * lanes;
        const size_t at = row * channels + channel;
        const Vector centred = load(x + at) - load(mean + channel);
        one = masked(at, centred, load(inverse + channel) * load(layer.scale + channel), load(layer.offset + channel));
        two = one * centred;
        if (dresidual != nullptr) store(dresidual + at, one);
      });
    });
  });
  std::vector<float> meanGradient(channels), slope(channels);
  for (int c = 0; c < channels; c++) {
    const double sum = sums.total(0, c), product = sums.total(1, c), count = static_cast<double>(s.rows);
    doffset[c] = static_cast<float>(sum);
    dscale[c] = static_cast<float>(product * inverse[c]);
    meanGradient[c] = static_cast<float>(sum / count);
    slope[c] = static_cast<float>(product / count * inverse[c] * inverse[c]);
  }
  parallelFor(parts.count, [&](int part) {
    byChannelBlocks(channels, [&](int c, auto width) {
      for (size_t row = parts.begin(part); row < parts.end(part); row++)
#pragma GCC unroll 4
        for (int i = 0; i < width.value; i++) {
          const int channel = c + i * lanes;
          const size_t at = row * channels + channel;
          const Vector centred = load(x + at) - load(mean + channel), a = load(inverse + channel) * load(layer.scale + channel);
          const Vector g = dresidual == nullptr ? masked(at, centred, a, load(layer.offset + channel)) : load(dresidual + at);
          store(dx + at, a * (g - load(meanGradient.data() + channel) - centred * load(slope.data() + channel)));
        }
    });
  });
}

}  // namespace
}  // namespace KINDRED_NAMESPACE
}  // namespace kindred
