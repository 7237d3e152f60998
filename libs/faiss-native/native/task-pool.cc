// The pool's threads.
#include "task-pool.h"
#include <omp.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace kindred {

TaskPool::TaskPool(size_t threads, int nice) {
  for (size_t i = 0; i < threads; i++) threads_.emplace_back([this, nice] { Work(nice); });
}

TaskPool::~TaskPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  for (auto &thread : threads_) thread.join();
}

void TaskPool::Add(std::shared_ptr<Task> task) {
  if (task->parts() == 0) {
    task->Done();
    return;
  }
  const size_t parts = task->parts();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(task));
  }
  if (parts == 1) {
    work_.notify_one();
  } else {
    work_.notify_all();
  }
}

void TaskPool::Work(int nice) {
  // faiss's own loops stay in this thread: the parts are what runs side by side.
  omp_set_num_threads(1);
  // On Linux a priority belongs to the thread; one that cannot be lowered is no fault.
  if (nice > 0) setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), nice);
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (ending_) return;
    std::shared_ptr<Task> task = std::move(waiting_.front());
    waiting_.pop_front();
    const size_t part = task->next_++;
    if (task->next_ < task->parts()) waiting_.push_back(task);
    lock.unlock();
    task->RunPart(part);
    lock.lock();
    if (++task->ended_ < task->parts()) continue;
    lock.unlock();
    task->Done();
    task.reset();
    lock.lock();
  }
}

}  // namespace kindred
