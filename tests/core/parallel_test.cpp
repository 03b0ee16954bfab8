#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <attention/core/error.hpp>
#include <attention/core/parallel.hpp>

namespace attention {
namespace {

TEST(ParallelFor, CallsEachTaskOnceWithAWorkerInRange) {
  for (const int threads : {1, 2, 3, 8}) {
    for (const std::int64_t tasks : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(tasks));
      parallel_for(tasks, threads, [&](std::int64_t task, int worker) {
        ASSERT_GE(worker, 0);
        ASSERT_LT(worker, threads);
        ++calls[static_cast<std::size_t>(task)];
      });
      for (const auto& count : calls) {
        ASSERT_EQ(count, 1);
      }
    }
  }
}

TEST(ParallelFor, GivesNoWorkerNumberToTwoThreadsAtOnce) {
  std::vector<std::atomic<int>> inside(4);
  std::atomic<bool> shared{false};
  parallel_for(2000, 4, [&](std::int64_t, int worker) {
    auto& mine = inside[static_cast<std::size_t>(worker)];
    shared = shared || ++mine != 1;
    std::this_thread::yield();
    --mine;
  });
  EXPECT_FALSE(shared);
}

TEST(ParallelFor, RunsNestedCallsInline) {
  std::atomic<int> count{0};
  std::atomic<bool> moved{false};
  parallel_for(8, 4, [&](std::int64_t, int) {
    const std::thread::id self = std::this_thread::get_id();
    parallel_for(8, 4, [&](std::int64_t, int worker) {
      ++count;
      moved = moved || worker != 0 || std::this_thread::get_id() != self;
    });
  });
  EXPECT_EQ(count, 64);
  EXPECT_FALSE(moved);
}

TEST(ParallelFor, ThrowsTheFirstExceptionAndWorksAfterwards) {
  std::atomic<int> done{0};
  const auto fails_in_task_10 = [&](std::int64_t task, int) {
    if (task == 10) {
      throw std::runtime_error("task 10");
    }
    ++done;
  };
  EXPECT_THROW(parallel_for(1000, 4, fails_in_task_10), std::runtime_error);
  EXPECT_LT(done, 1000);
  done = 0;
  parallel_for(100, 4, [&](std::int64_t, int) { ++done; });
  EXPECT_EQ(done, 100);
}

TEST(ParallelFor, ServesConcurrentCallers) {
  std::atomic<int> count{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 50; ++repeat) {
        parallel_for(20, 3, [&](std::int64_t, int) { ++count; });
      }
    });
  }
  for (std::thread& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(count, 4 * 50 * 20);
}

#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#elif defined(__has_feature)
constexpr bool kThreadSanitizer = __has_feature(thread_sanitizer);
#else
constexpr bool kThreadSanitizer = false;
#endif

TEST(ParallelFor, WorksInAForkedChild) {
  if (kThreadSanitizer) {
    GTEST_SKIP() << "the thread sanitizer does not follow the threads of a forked child";
  }
  std::atomic<int> warm{0};
  parallel_for(10, 2, [&](std::int64_t, int) { ++warm; });
  const pid_t child = fork();
  ASSERT_NE(child, -1);
  if (child == 0) {
    std::atomic<int> count{0};
    parallel_for(100, 2, [&](std::int64_t, int) { ++count; });
    _exit(count == 100 ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  parallel_for(10, 2, [&](std::int64_t, int) { ++warm; });
  EXPECT_EQ(warm, 20);
}

const auto kFiveMilliseconds = [](std::int64_t, int) {
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
};

TEST(InterruptCheck, EndsALoopOfItsThread) {
  const auto stop = [] { throw std::runtime_error("interrupted"); };
  const InterruptCheck check(stop);
  EXPECT_THROW(parallel_for(1000, 1, kFiveMilliseconds), std::runtime_error);
  EXPECT_THROW(parallel_for(1000, 3, kFiveMilliseconds), std::runtime_error);
  std::thread other([] { EXPECT_NO_THROW(parallel_for(20, 1, kFiveMilliseconds)); });
  other.join();
}

TEST(InterruptCheck, EndsWithItsLife) {
  int asked = 0;
  const auto ask = [&] { ++asked; };
  {
    const InterruptCheck check(ask);
    parallel_for(20, 1, kFiveMilliseconds);
  }
  EXPECT_GT(asked, 0);
  const int before = asked;
  parallel_for(20, 1, kFiveMilliseconds);
  EXPECT_EQ(asked, before);
}

class CountingExecutor final : public Executor {
 public:
  void run(int workers, FunctionRef<void(int)> worker) override {
    ++runs;
    for (int i = 0; i < workers; ++i) {
      worker(i);
    }
  }
  int runs = 0;
};

TEST(Executor, ReplacesThePool) {
  CountingExecutor executor;
  set_executor(&executor);
  int count = 0;  // no atomic: this executor runs on one thread
  parallel_for(10, 3, [&](std::int64_t, int) { ++count; });
  set_executor(nullptr);
  EXPECT_EQ(executor.runs, 1);
  EXPECT_EQ(count, 10);
}

TEST(DefaultThreads, CanBeSetAndChecked) {
  const int before = default_threads();
  EXPECT_GE(before, 1);
  set_default_threads(3);
  EXPECT_EQ(default_threads(), 3);
  EXPECT_EQ(resolve_threads(0), 3);
  EXPECT_EQ(resolve_threads(5), 5);
  set_default_threads(before);
  EXPECT_THROW(set_default_threads(0), Error);
  EXPECT_THROW(resolve_threads(-1), Error);
}

}  // namespace
}  // namespace attention
