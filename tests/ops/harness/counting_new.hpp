#pragma once

namespace attention::tests {

/// How often any thread has called operator new. An executable that links counting_new.cpp counts.
long allocations_so_far();

/// While one lives, allocation number `n` from its making on, of any thread, throws std::bad_alloc.
class FailingAllocation {
 public:
  explicit FailingAllocation(long n);
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;
  FailingAllocation(FailingAllocation&&) = delete;
  FailingAllocation& operator=(FailingAllocation&&) = delete;
  ~FailingAllocation();

  /// True when there have been so many allocations that one has failed.
  static bool has_failed();
};

}  // namespace attention::tests
