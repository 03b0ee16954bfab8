// Times linear for bench/peers, whose contenders are called from Python.
//   bench_linear ROWS INPUTS OUTPUTS THREADS SECONDS      prints the mean seconds of a call

#include <cstdlib>
#include <exception>
#include <iostream>

#include "bench/case.hpp"
#include "bench/linear_call.hpp"

namespace bench = attention::bench;

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "usage: bench_linear ROWS INPUTS OUTPUTS THREADS SECONDS\n";
    return 2;
  }
  const bench::LinearShape shape{.rows = std::atoll(argv[1]),
                                 .inputs = std::atoll(argv[2]),
                                 .outputs = std::atoll(argv[3]),
                                 .threads = std::atoi(argv[4])};
  const bench::Seconds time(std::atof(argv[5]));
  try {
    const auto call = bench::linear_call(shape);
    call();
    std::cout << bench::seconds_of(call, time) << "\n";
  } catch (const std::exception& error) {
    std::cerr << "bench_linear: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
