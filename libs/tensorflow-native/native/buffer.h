// Working memory of an operation. It is kept for the next one: the system's own would be fresh pages each time.
#pragma once
#include <cstddef>

namespace kindred {

/** Floats at the start of a cache line, borrowed for the life of this object. @throws std::bad_alloc */
class Buffer {
 public:
  enum class Content { anything, zeros };
  explicit Buffer(size_t floats, Content content = Content::anything);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  float* data() const { return data_; }

 private:
  float* data_;
  size_t bytes_;
};

}  // namespace kindred
