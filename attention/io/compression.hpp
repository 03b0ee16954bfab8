#pragma once

#include <cstdint>

#include <attention/core/export.hpp>

namespace attention::io {

/// How a member lies in an npz file: as it is (numpy.savez), or deflated (numpy.savez_compressed).
enum class Compression : std::uint8_t { stored, deflated };

/// True when this build reads and writes deflated members: when it was made with zlib.
ATTENTION_API bool deflate_available() noexcept;

}  // namespace attention::io
