#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <type_traits>

#include <attention/core/export.hpp>

namespace attention {

/// A callable that somebody else owns: two pointers, no allocation. It must not outlive the
/// callable.
template <class Signature>
class FunctionRef;

template <class Result, class... Args>
class FunctionRef<Result(Args...)> {
 public:
  template <class Function>
    requires(!std::is_same_v<std::remove_cvref_t<Function>, FunctionRef>)
  // NOLINTNEXTLINE(google-explicit-constructor): as a function's parameter
  FunctionRef(const Function& function)
      : object_(&function), call_([](const void* object, Args... args) -> Result {
          return (*static_cast<const Function*>(object))(args...);
        }) {}
  Result operator()(Args... args) const { return call_(object_, args...); }

 private:
  const void* object_;
  Result (*call_)(const void*, Args...);
};

/// Runs work on several threads for parallel_for. Replace the built-in pool with your program's own
/// scheduler by set_executor.
class ATTENTION_API Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  Executor(Executor&&) = delete;
  Executor& operator=(Executor&&) = delete;
  virtual ~Executor() = default;

  /// Calls worker(0), and worker(1) ... worker(workers - 1) as far as threads are free, each number
  /// at most once, and returns when all calls have returned. The calls share the work among
  /// themselves: worker(0) alone does all of it. `worker` never throws.
  virtual void run(int workers, FunctionRef<void(int)> worker) = 0;
};

/// Calls body(task, worker) once for each task in [0, tasks), tasks in rising order from one shared
/// counter, on up to `threads` threads of which the caller is one. `worker` lies in [0, threads):
/// index per-thread scratch by it.
///
/// threads: 0 takes the process default. A call from inside a body runs inline, on its thread. The
/// first exception of a body is thrown to the caller after all running bodies have ended; tasks not
/// begun by then are left out. Which worker runs which task differs from run to run; results must
/// not depend on it.
///
/// Throws Error when `threads` is negative.
ATTENTION_API void parallel_for(std::int64_t tasks, int threads,
                                FunctionRef<void(std::int64_t task, int worker)> body);

/// While one lives, parallel_for calls `check` between tasks on the thread that made it, about
/// every 50 ms. What the check throws ends the loop and reaches the caller: how a program in
/// another language stops a long computation (Ctrl-C in Python).
class ATTENTION_API InterruptCheck {
 public:
  explicit InterruptCheck(FunctionRef<void()> check) noexcept;
  InterruptCheck(const InterruptCheck&) = delete;
  InterruptCheck& operator=(const InterruptCheck&) = delete;
  InterruptCheck(InterruptCheck&&) = delete;
  InterruptCheck& operator=(InterruptCheck&&) = delete;
  ~InterruptCheck();

  /// Asks the check of this thread, if there is one and it has not been asked for 50 ms.
  static void poll();

 private:
  FunctionRef<void()> check_;
  std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
  InterruptCheck* outer_;
};

/// How many threads a call with this `threads` option uses: itself, or the process default for 0.
/// Throws Error when it is negative.
ATTENTION_API int resolve_threads(int threads);

/// The process default: the processors that this process may run on, or ATTENTION_NUM_THREADS if
/// set to 1 or more when first asked for, or what set_default_threads said last.
ATTENTION_API int default_threads();
/// Throws Error unless threads >= 1.
ATTENTION_API void set_default_threads(int threads);

/// Replaces the built-in thread pool; nullptr brings it back. The executor must outlive its use.
/// Not to be called while a parallel_for runs.
ATTENTION_API void set_executor(Executor* executor) noexcept;

}  // namespace attention
