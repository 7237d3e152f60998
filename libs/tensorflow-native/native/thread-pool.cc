// A pool that lives as long as the process: its threads wait a moment for the next operation, then sleep.
#include "thread-pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace kindred {
namespace {

// Between two convolutions of a step lie some 10 to 1000 microseconds; waking a sleeping thread costs about 50.
constexpr int spinsBeforeSleep = 2000;

class Pool {
 public:
  explicit Pool(int threads) {
    try {
      for (; helpers_ < threads - 1; helpers_++) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
      // The system grants no more threads: those that there are do all the work.
    }
  }

  void run(int count, const std::function<void(int)>& work) {
    std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn.owns_lock() || helpers_ == 0 || count < 2) {
      for (int i = 0; i < count; i++) work(i);
      return;
    }
    work_ = &work;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(helpers_, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    takeTasks();
    // The helpers hold a pointer to `work`: none may still be inside when it goes away.
    for (int spin = 0; busy_.load(std::memory_order_acquire) != 0; spin++) {
      __builtin_ia32_pause();
      if (spin > spinsBeforeSleep) std::this_thread::yield();
    }
    if (failed_.exchange(false)) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

 private:
  void takeTasks() {
    for (int i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) {
      try {
        (*work_)(i);
      } catch (...) {
        // The first failure is the caller's; it hears of it once no thread is inside `work` any more.
        if (!failed_.exchange(true)) failure_ = std::current_exception();
      }
    }
  }

  void serve() {
    unsigned seen = 0;
    for (;;) {
      for (int spin = 0; spin < spinsBeforeSleep && generation_.load(std::memory_order_acquire) == seen; spin++)
        __builtin_ia32_pause();
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
      }
      seen = generation_.load(std::memory_order_acquire);
      takeTasks();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::mutex turn_, mutex_;
  std::condition_variable wake_;
  std::atomic<unsigned> generation_{0};
  std::atomic<int> next_{0}, busy_{0};
  std::atomic<bool> failed_{false};
  std::exception_ptr failure_;
  const std::function<void(int)>* work_ = nullptr;
  int count_ = 0;
  int helpers_ = 0;
};

}  // namespace

int threadCount() {
  static const int threads = [] {
    const char* set = std::getenv("TF_NUM_INTRAOP_THREADS");
    const int wanted = set == nullptr ? 0 : std::atoi(set);
    return wanted > 0 ? wanted : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }();
  return threads;
}

void parallelFor(int count, const std::function<void(int)>& work) {
  // Never destroyed: its threads may still wait when the process ends.
  static Pool* const pool = new Pool(threadCount());
  pool->run(count, work);
}

}  // namespace kindred
