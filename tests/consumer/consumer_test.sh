#!/usr/bin/env bash
# Installs the library into a temporary prefix and builds the ten-line consumer against it by find_package and by
# pkg-config, and (of a static library; it builds the library once more) by add_subdirectory; then runs it.
# Without optimisation and with the portable kernels alone, which is quicker: what is tested is how the library is found, built and linked.
#   consumer_test.sh SOURCE COMPILER static|shared WITH_RENDER
set -euo pipefail
source=$1 compiler=$2 kind=$3 with_render=$4
consumer=$source/tests/consumer
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CXX=$compiler
shared=OFF
if [ "$kind" = shared ]; then shared=ON; fi
expected='(1, 2, 4, 4), each weight 0.25'

# built COMMAND...: runs a build step quietly, and shows its output if it fails.
built() { "$@" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }; }

# gives COMMAND...: the consumer's output must be the expected one.
gives() {
  local found
  found=$(LD_LIBRARY_PATH="$work/prefix/lib" "$@")
  [ "$found" = "$expected" ] || { echo "found '$found', expected '$expected'"; exit 1; }
}

echo "install ($kind)"
built cmake -G Ninja -S "$source" -B "$work/build" -DCMAKE_BUILD_TYPE=Debug -DATTENTION_ISAS=portable -DBUILD_SHARED_LIBS="$shared" \
  -DATTENTION_BUILD_TESTS=OFF -DATTENTION_BUILD_CLI=OFF -DATTENTION_BUILD_TUTORIALS=OFF \
  -DATTENTION_BUILD_RENDER="$with_render" -DCMAKE_INSTALL_PREFIX="$work/prefix" -DCMAKE_INSTALL_LIBDIR=lib
built cmake --build "$work/build"
built cmake --install "$work/build"

echo "no private header is installed, and every installed header stands alone"
private=$(find "$work/prefix/include" -path '*/detail*' -o -path '*/kernels*')
[ -z "$private" ] || { echo "installed: $private"; exit 1; }
(cd "$work/prefix/include" && find . -name '*.hpp') | while read -r header; do
  echo "#include <${header#./}>" >"$work/header.cpp"
  built "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I "$work/prefix/include" "$work/header.cpp"
done

echo "find_package"
built cmake -G Ninja -S "$consumer/find_package" -B "$work/by_package" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DWITH_RENDER="$with_render"
built cmake --build "$work/by_package"
gives "$work/by_package/consumer"
if [ "$with_render" = ON ]; then
  LD_LIBRARY_PATH="$work/prefix/lib" "$work/by_package/figure" "$work/figure.svg"
  [ -s "$work/figure.svg" ]
fi

echo "pkg-config"
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig
static=
if [ "$kind" = static ]; then static=--static; fi
# The flags are words of their own.
# shellcheck disable=SC2046,SC2086
built "$compiler" -std=c++20 "$source/tutorials/00_setup/first_program.cpp" $(pkg-config $static --cflags --libs attention) -o "$work/by_pkg_config"
gives "$work/by_pkg_config"
if [ "$with_render" = ON ]; then
  # shellcheck disable=SC2046,SC2086
  built "$compiler" -std=c++20 "$consumer/figure.cpp" $(pkg-config $static --cflags --libs attention-render) \
    -o "$work/figure_by_pkg_config"
  LD_LIBRARY_PATH="$work/prefix/lib" "$work/figure_by_pkg_config" "$work/figure.png"
fi

if [ "$kind" = static ]; then
  echo "add_subdirectory"
  built cmake -G Ninja -S "$consumer/add_subdirectory" -B "$work/by_subdirectory" -DCMAKE_BUILD_TYPE=Debug \
    -DATTENTION_ISAS=portable -DATTENTION_SOURCE="$source"
  built cmake --build "$work/by_subdirectory" --target consumer
  gives "$work/by_subdirectory/consumer"
fi
echo "consumers build and run ($kind)"
