// Threads for searches; tasks take turns part by part, so that a small one does not wait for a large one.
#pragma once
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace kindred {

// Work in parts that may run beside each other. RunPart must not throw.
class Task {
 public:
  virtual ~Task() = default;
  virtual size_t parts() const = 0;
  virtual void RunPart(size_t part) = 0;
  // Called once, by the thread that ended the last part.
  virtual void Done() = 0;

 private:
  friend class TaskPool;
  size_t next_ = 0;
  size_t ended_ = 0;
};

class TaskPool {
 public:
  // `nice`: how much the threads yield to others, 0 to 19.
  TaskPool(size_t threads, int nice);
  ~TaskPool();
  // A task without parts is done at once, on the calling thread.
  void Add(std::shared_ptr<Task> task);
  size_t threads() const { return threads_.size(); }

 private:
  void Work(int nice);

  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<std::shared_ptr<Task>> waiting_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace kindred
