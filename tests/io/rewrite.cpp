// rewrite IN OUT: reads each .npy and .npz file of the folder IN and writes it anew into the folder
// OUT, an npz file twice: NAME stored, and deflated-NAME deflated. For round_trip_with_numpy.py.

#include <exception>
#include <filesystem>
#include <iostream>
#include <vector>

#include <attention/io/npz.hpp>

namespace {

using attention::io::Compression;

void rewrite(const std::filesystem::path& in, const std::filesystem::path& out_folder) {
  const std::vector<attention::io::NamedArray> arrays = attention::io::read_arrays(in);
  const std::filesystem::path name = in.filename();
  if (in.extension() == ".npy") {
    attention::io::write_npy(out_folder / name, arrays.at(0).array);
    return;
  }
  std::vector<attention::io::NamedView> views;
  views.reserve(arrays.size());
  for (const auto& [key, array] : arrays) {
    views.push_back({.name = key, .view = array});
  }
  attention::io::write_npz(out_folder / name, views);
  if (attention::io::deflate_available()) {
    attention::io::write_npz(out_folder / ("deflated-" + name.string()), views,
                             Compression::deflated);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) {
      std::cerr << "usage: rewrite IN OUT\n";
      return 2;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
      rewrite(entry.path(), argv[2]);
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
