// The threads that one operation spreads its tiles over. TensorFlow's C interface does not lend its own.
#pragma once
#include <functional>

namespace kindred {

/** Number of threads that work on one operation, the calling one counted: TF_NUM_INTRAOP_THREADS, else all cores. */
int threadCount();

/**
 * Calls `work(0) … work(count - 1)`, each once, on any of the threads, and returns when all are done. A second call at
 * the same time runs on its own thread alone. The first exception of a call is thrown again here, after the last call.
 */
void parallelFor(int count, const std::function<void(int)>& work);

}  // namespace kindred
