// Registers of KINDRED_LANES floats; included once an instruction set.

namespace kindred {
namespace KINDRED_NAMESPACE {
namespace {

constexpr int lanes = KINDRED_LANES;

typedef float Vector __attribute__((vector_size(lanes * 4), aligned(4), may_alias));

inline Vector load(const float* p) { return *reinterpret_cast<const Vector*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<Vector*>(p) = v; }
/** `value` in each lane. (Not 0 + value: that would turn -0 into 0 and costs an addition.) */
inline Vector spread(float value) { return value - Vector{}; }

}  // namespace
}  // namespace KINDRED_NAMESPACE
}  // namespace kindred
