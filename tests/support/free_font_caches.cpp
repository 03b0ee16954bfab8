#include <cairo.h>
#include <fontconfig/fontconfig.h>
#include <gtest/gtest.h>

namespace {

/// Frees what the libraries below keep, after the last test: what is left then is a leak.
class FreeFontCaches : public testing::Environment {
 public:
  void TearDown() override {
    cairo_debug_reset_static_data();
    FcFini();
  }
};

[[maybe_unused]] const testing::Environment* const kFreeFontCaches =
    testing::AddGlobalTestEnvironment(new FreeFontCaches);

}  // namespace
