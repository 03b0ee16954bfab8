// Times a step of training for bench/peers, whose contenders are called from Python.
//   bench_training E H L B THREADS SECONDS      prints the mean seconds of a step

#include <cstdlib>
#include <exception>
#include <iostream>

#include "bench/case.hpp"
#include "bench/training_call.hpp"

namespace bench = attention::bench;

int main(int argc, char** argv) {
  if (argc != 7) {
    std::cerr << "usage: bench_training E H L B THREADS SECONDS\n";
    return 2;
  }
  const bench::TrainingShape shape{.E = std::atoll(argv[1]),
                                   .H = std::atoll(argv[2]),
                                   .L = std::atoll(argv[3]),
                                   .B = std::atoll(argv[4]),
                                   .threads = std::atoi(argv[5])};
  const bench::Seconds time(std::atof(argv[6]));
  try {
    const auto call = bench::training_call(shape);
    call();
    std::cout << bench::seconds_of(call, time) << "\n";
  } catch (const std::exception& error) {
    std::cerr << "bench_training: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
