#pragma once

namespace attention::tests {

/// How often any thread has called operator new. An executable that links counting_new.cpp counts.
long allocations_so_far();

}  // namespace attention::tests
