// Times sdpa_backward for bench/peers, whose contenders are called from Python.
//   bench_backward L D CAUSAL THREADS SECONDS      CAUSAL: 0 or 1; prints the mean seconds of a
//   call

#include <cstdlib>
#include <exception>
#include <iostream>

#include "bench/backward_call.hpp"
#include "bench/case.hpp"

namespace bench = attention::bench;

int main(int argc, char** argv) {
  if (argc != 6) {
    std::cerr << "usage: bench_backward L D CAUSAL THREADS SECONDS\n";
    return 2;
  }
  const bench::SdpaShape shape{
      .L = std::atoll(argv[1]),
      .D = std::atoll(argv[2]),
      .rule = std::atoi(argv[3]) != 0 ? bench::Rule::causal : bench::Rule::all,
      .threads = std::atoi(argv[4])};
  const bench::Seconds time(std::atof(argv[5]));
  try {
    const auto call = bench::backward_call(shape);
    call();
    std::cout << bench::seconds_of(call, time) << "\n";
  } catch (const std::exception& error) {
    std::cerr << "bench_backward: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
