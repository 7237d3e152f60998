// Kept memory: pieces that were given back, reused for the next request that they fit without much waste.
#include "buffer.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>

namespace kindred {
namespace {

struct Kept {
  std::mutex mutex;
  std::multimap<size_t, float*> pieces;
};

Kept& kept() {
  // Never destroyed: threads may still work when the process ends.
  static Kept* const all = new Kept;
  return *all;
}

}  // namespace

Buffer::Buffer(size_t floats, Content content) : data_(nullptr), bytes_((floats * sizeof(float) + 63) / 64 * 64) {
  {
    std::lock_guard<std::mutex> lock(kept().mutex);
    const auto found = kept().pieces.lower_bound(bytes_);
    if (found != kept().pieces.end() && found->first <= 2 * bytes_) {
      bytes_ = found->first;
      data_ = found->second;
      kept().pieces.erase(found);
    }
  }
  if (data_ == nullptr) data_ = static_cast<float*>(std::aligned_alloc(64, bytes_));
  if (data_ == nullptr) throw std::bad_alloc();
  if (content == Content::zeros) std::memset(data_, 0, bytes_);
}

Buffer::~Buffer() {
  std::lock_guard<std::mutex> lock(kept().mutex);
  kept().pieces.emplace(bytes_, data_);
}

}  // namespace kindred
