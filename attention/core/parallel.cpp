#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#include <sched.h>

#include <attention/core/error.hpp>
#include <attention/core/parallel.hpp>

namespace attention {
namespace {

/// True on a thread that runs a body: a parallel_for there runs inline.
thread_local bool inside_parallel_for = false;

/// What this thread's loops ask between tasks; see InterruptCheck.
thread_local InterruptCheck* interrupt_check = nullptr;
constexpr std::chrono::milliseconds kInterruptInterval{50};

std::atomic<int> process_default_threads{0};  // 0: not asked for yet
std::atomic<Executor*> user_executor{nullptr};

/// Threads that sleep until there is a job. A job is one function with a number of places for
/// helpers; a helper that wakes takes a place, and the caller, once its own part is done, withdraws
/// the places that nobody took.
class Pool final : public Executor {
 public:
  void run(int workers, FunctionRef<void(int)> worker) override {
    const std::unique_lock one_job_at_a_time(job_mutex_, std::try_to_lock);
    if (!one_job_at_a_time.owns_lock()) {
      worker(0);  // another caller has the threads
      return;
    }
    {
      const std::scoped_lock lock(mutex_);
      grow(workers - 1);
      job_ = &worker;
      places_ = workers - 1;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    worker(0);
    std::unique_lock lock(mutex_);
    places_ = 0;
    lock.unlock();
    spin_until([this] { return running_.load(std::memory_order_acquire) == 0; });
    lock.lock();
    done_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  /// Makes threads until there are `count`; fewer when the system gives no more, and then the
  /// others do their work.
  void grow(int count) {
    while (static_cast<int>(threads_.size()) < count) {
      try {
        threads_.emplace_back([this, seen = generation_.load()] { serve(seen); });
      } catch (const std::system_error&) {
        return;
      }
    }
  }

  /// A short spin catches the next call of a busy program, or the end of the last task; after it
  /// the thread sleeps. Whoever else is ready to run goes first.
  template <class Condition>
  static void spin_until(const Condition& holds) {
    constexpr std::chrono::microseconds kSpin{50};
    const auto end = std::chrono::steady_clock::now() + kSpin;
    while (!holds() && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
  }

  void serve(std::uint64_t seen) {
    for (;;) {
      spin_until([&] { return generation_.load(std::memory_order_acquire) != seen; });
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return generation_.load() != seen; });
      seen = generation_.load();
      if (places_ == 0) {
        continue;
      }
      const int number = places_--;
      const FunctionRef<void(int)> job = *job_;
      ++running_;
      lock.unlock();
      job(number);
      lock.lock();
      if (--running_ == 0) {
        done_.notify_one();
      }
    }
  }

  std::mutex job_mutex_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::vector<std::thread> threads_;
  const FunctionRef<void(int)>* job_ = nullptr;
  std::atomic<std::uint64_t> generation_{0};  // counts the jobs
  int places_ = 0;                            // for helpers, not yet taken
  std::atomic<int> running_{0};               // helpers at work
};

/// The built-in pool, never deleted: its threads may outlive main. A child of fork() has none of
/// the parent's threads and perhaps a locked mutex: it starts with a pool of its own, and the
/// parent's is left where it lies.
std::atomic<Pool*> pool{nullptr};
std::atomic<Pool*> abandoned_pool{nullptr};
std::mutex pool_mutex;

void start_anew_in_child() {
  abandoned_pool.store(pool.exchange(nullptr));
  inside_parallel_for = false;
  pool_mutex.unlock();
}

Pool& built_in_pool() {
  Pool* current = pool.load(std::memory_order_acquire);
  if (current == nullptr) {
    const std::scoped_lock lock(pool_mutex);
    current = pool.load(std::memory_order_relaxed);
    if (current == nullptr) {
      [[maybe_unused]] static const int kRegistered = pthread_atfork(
          [] { pool_mutex.lock(); }, [] { pool_mutex.unlock(); }, start_anew_in_child);
      current = new Pool;
      pool.store(current, std::memory_order_release);
    }
  }
  return *current;
}

/// Runs tasks from the shared counter until there are none or a body has thrown.
class Job {
 public:
  Job(std::int64_t tasks, FunctionRef<void(std::int64_t, int)> body) : tasks_(tasks), body_(body) {}

  void work(int worker) noexcept {
    const bool nested = std::exchange(inside_parallel_for, true);
    try {
      for (std::int64_t task = next_++; task < tasks_; task = next_++) {
        body_(task, worker);
        InterruptCheck::poll();
      }
    } catch (...) {
      const std::scoped_lock lock(mutex_);
      if (!error_) {
        error_ = std::current_exception();
      }
      next_ = tasks_;
    }
    inside_parallel_for = nested;
  }

  void rethrow() const {
    if (error_) {
      std::rethrow_exception(error_);
    }
  }

 private:
  std::atomic<std::int64_t> next_{0};
  std::int64_t tasks_;
  FunctionRef<void(std::int64_t, int)> body_;
  std::mutex mutex_;
  std::exception_ptr error_;
};

int threads_of_the_machine() {
  if (const char* text = std::getenv("ATTENTION_NUM_THREADS")) {
    const std::string_view digits(text);
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc{} && end == digits.data() + digits.size() && value >= 1) {
      return value;
    }
  }
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    return std::max(1, CPU_COUNT(&allowed));
  }
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

void parallel_for(std::int64_t tasks, int threads, FunctionRef<void(std::int64_t, int)> body) {
  const auto workers = static_cast<int>(std::min<std::int64_t>(resolve_threads(threads), tasks));
  Job job(tasks, body);
  if (workers <= 1 || inside_parallel_for) {
    job.work(0);
  } else {
    Executor* const chosen = user_executor.load(std::memory_order_acquire);
    Executor& executor = chosen != nullptr ? *chosen : built_in_pool();
    executor.run(workers, [&job](int worker) { job.work(worker); });
  }
  job.rethrow();
}

InterruptCheck::InterruptCheck(FunctionRef<void()> check) noexcept
    : check_(check), outer_(std::exchange(interrupt_check, this)) {}

InterruptCheck::~InterruptCheck() {
  interrupt_check = outer_;
}

void InterruptCheck::poll() {
  InterruptCheck* const current = interrupt_check;
  if (current == nullptr) {
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (now - current->asked_ > kInterruptInterval) {
    current->asked_ = now;
    current->check_();
  }
}

int resolve_threads(int threads) {
  require(threads >= 0, "parallel_for", "threads must be 0 (the process default) or more",
          [&] { return std::to_string(threads); });
  return threads == 0 ? default_threads() : threads;
}

int default_threads() {
  int threads = process_default_threads.load(std::memory_order_relaxed);
  if (threads == 0) {
    threads = threads_of_the_machine();
    int unset = 0;
    if (!process_default_threads.compare_exchange_strong(unset, threads)) {
      threads = unset;
    }
  }
  return threads;
}

void set_default_threads(int threads) {
  require(threads >= 1, "set_default_threads", "threads must be 1 or more",
          [&] { return std::to_string(threads); });
  process_default_threads.store(threads, std::memory_order_relaxed);
}

void set_executor(Executor* executor) noexcept {
  user_executor.store(executor, std::memory_order_release);
}

}  // namespace attention
