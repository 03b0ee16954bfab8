#include "cli/app.hpp"

int main(int argc, char** argv) {
  return attention::cli::run(argc, argv);
}
