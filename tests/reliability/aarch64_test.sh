#!/usr/bin/env bash
# Builds the library and its tests for 64-bit ARM with Debian's cross compiler, and runs them under qemu-user: the NEON
# kernels, and that nothing takes x86-64 for granted. The conformance grid is sampled, since emulation is slow.
#   aarch64_test.sh SOURCE FOLDER
set -euo pipefail
source=$1 folder=$2
googletest=/usr/src/googletest
toolchain=$source/cmake/aarch64-linux-gnu.cmake
for tool in aarch64-linux-gnu-g++ qemu-aarch64 ninja; do
  if ! command -v "$tool" >/dev/null; then
    echo "skipped: $tool was not found (Debian: g++-aarch64-linux-gnu qemu-user ninja-build)"
    exit 0
  fi
done
if [ ! -e "$googletest/CMakeLists.txt" ]; then
  echo "skipped: the sources of GoogleTest are not in $googletest (Debian: libgtest-dev)"
  exit 0
fi
mkdir -p "$folder"

# built COMMAND...: runs a build step quietly, and shows its output if it fails.
built() { "$@" >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }; }

if [ ! -e "$folder/prefix/.installed" ]; then
  echo "GoogleTest"
  built cmake -G Ninja -S "$googletest" -B "$folder/googletest" -DCMAKE_TOOLCHAIN_FILE="$toolchain" \
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$folder/prefix" -DCMAKE_INSTALL_LIBDIR=lib
  built cmake --build "$folder/googletest"
  built cmake --install "$folder/googletest"
  touch "$folder/prefix/.installed"
fi

tests=(core/test_core ops/ops_kv_cache_test ops/ops_softmax_linear_test ops/ops_sdpa_semantics_test
  ops/ops_sdpa_conformance_test ops/ops_sdpa_extremes_test
  experiments/test_experiments)
echo "library and tests"
built cmake -G Ninja -S "$source" -B "$folder/build" -DCMAKE_TOOLCHAIN_FILE="$toolchain" -DCMAKE_BUILD_TYPE=Release \
  -DATTENTION_WERROR=ON -DATTENTION_BUILD_CLI=OFF -DATTENTION_BUILD_TUTORIALS=OFF -DATTENTION_BUILD_RENDER=OFF \
  -DATTENTION_BUILD_BENCH=OFF -DATTENTION_WITH_IO_ZLIB=OFF -DATTENTION_INSTALL=OFF -DATTENTION_TEST_BY_EXECUTABLE=ON \
  -DGTest_DIR="$folder/prefix/lib/cmake/GTest"
built cmake --build "$folder/build" --target "${tests[@]##*/}"

# runs NAME ARGUMENT...: a test under the emulator, quietly unless it fails.
runs() {
  local test=$1
  shift
  echo "$test"
  built qemu-aarch64 -L /usr/aarch64-linux-gnu "$folder/build/tests/$test" "$@"
  grep -E '^\[  PASSED' "$folder/log"
}
runs core/test_core --gtest_filter='-*WorksInAForkedChild'  # qemu-user stops in the child of a process with threads
runs ops/ops_kv_cache_test
runs ops/ops_softmax_linear_test --gtest_filter='*fused*:*Softmax*float32*'
runs ops/ops_sdpa_semantics_test --gtest_filter='*fused*:SdpaIsa*'
runs experiments/test_experiments --gtest_filter='*TheKernelsOfEachInstructionSet*'
export ATTENTION_SDPA_CASES=150
runs ops/ops_sdpa_conformance_test --gtest_filter='*fused_neon*:*fused_portable_float32'
grep -q 'fused_neon_float32 (' "$folder/log" || { echo 'the NEON kernels did not run'; exit 1; }
runs ops/ops_sdpa_extremes_test --gtest_filter='*GuardPages*neon_float32:*FirstKeysWhollyMasked*neon_float32'
