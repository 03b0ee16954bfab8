#include <attention/io/compression.hpp>
#include <attention/io/detail/deflate.hpp>

#if ATTENTION_HAS_ZLIB

#include <algorithm>
#include <array>
#include <new>
#include <string>

#include <zlib.h>

namespace attention::io {

bool deflate_available() noexcept {
  return true;
}

namespace detail {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 16;
/// zlib counts in 32 bits.
constexpr std::size_t kMaxPiece = std::size_t{1} << 30;
/// Negative: no zlib header or checksum around the stream.
constexpr int kRawWindowBits = -MAX_WBITS;
constexpr int kDefaultMemoryLevel = 8;

class Inflater {
 public:
  Inflater(const ByteSource& source, const DeflatedSection& section, const Origin& origin)
      : source_(source),
        origin_(origin),
        next_(section.offset),
        end_(section.offset + section.compressed_size) {
    if (inflateInit2(&stream_, kRawWindowBits) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  Inflater(Inflater&&) = delete;
  Inflater& operator=(Inflater&&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  /// The next bytes: all of `out`.
  void read(std::span<std::byte> out) {
    while (!out.empty()) {
      const std::span<std::byte> piece = out.first(std::min(out.size(), kMaxPiece));
      origin_.check(inflate_to(piece) == piece.size(),
                    [] { return "is damaged: its deflate stream ends before the promised size"; });
      out = out.subspan(piece.size());
    }
  }

  void check_end() {
    std::array<std::byte, 1> beyond = {};
    origin_.check(inflate_to(beyond) == 0,
                  [] { return "is damaged: its deflate stream goes on after the promised size"; });
    origin_.check(stream_.avail_in == 0 && next_ == end_,
                  [] { return "is damaged: its deflate stream ends before its compressed size"; });
  }

 private:
  /// Inflates to `out` until it is full or the stream has ended; returns how much it got.
  std::size_t inflate_to(std::span<std::byte> out) {
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    while (stream_.avail_out > 0 && !ended_) {
      if (stream_.avail_in == 0) {
        refill();
      }
      // Without input it may still give bytes: a match that the last piece of `out` cut in two.
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_MEM_ERROR) {
        throw std::bad_alloc();
      }
      origin_.check(result != Z_BUF_ERROR,
                    [] { return "is damaged: its deflate stream is cut off"; });
      ended_ = result == Z_STREAM_END;
      origin_.check(ended_ || result == Z_OK, [&] {
        return "is damaged: its deflate stream does not decode" +
               (stream_.msg == nullptr ? std::string() : std::string(" (") + stream_.msg + ")");
      });
    }
    return out.size() - stream_.avail_out;
  }

  void refill() {
    const auto count = static_cast<std::size_t>(
        std::min<std::int64_t>(end_ - next_, static_cast<std::int64_t>(buffer_.size())));
    source_.read(next_, std::span(buffer_).first(count));
    next_ += static_cast<std::int64_t>(count);
    stream_.next_in = reinterpret_cast<const Bytef*>(buffer_.data());
    stream_.avail_in = static_cast<uInt>(count);
  }

  const ByteSource& source_;
  const Origin& origin_;
  std::int64_t next_;  // in the source: the first byte not yet in the buffer
  std::int64_t end_;
  z_stream stream_ = {};
  bool ended_ = false;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kBufferBytes);
};

class Deflater {
 public:
  explicit Deflater(ByteWriter write) : write_(write) {
    if (deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kRawWindowBits,
                     kDefaultMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  Deflater(Deflater&&) = delete;
  Deflater& operator=(Deflater&&) = delete;
  ~Deflater() { deflateEnd(&stream_); }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::span<const std::byte> piece = bytes.first(std::min(bytes.size(), kMaxPiece));
      stream_.next_in = reinterpret_cast<const Bytef*>(piece.data());
      stream_.avail_in = static_cast<uInt>(piece.size());
      run(Z_NO_FLUSH);
      bytes = bytes.subspan(piece.size());
    }
  }

  void finish() { run(Z_FINISH); }

 private:
  void run(int flush) {
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      ::deflate(&stream_, flush);  // fails only on a stream in a wrong state
      write_(std::span(buffer_).first(buffer_.size() - stream_.avail_out));
    } while (stream_.avail_out == 0);
  }

  ByteWriter write_;
  z_stream stream_ = {};
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kBufferBytes);
};

}  // namespace

void inflate(const ByteSource& source, const DeflatedSection& section, const Origin& origin,
             FunctionRef<void(const ByteStream&)> consume) {
  Inflater inflater(source, section, origin);
  const auto read = [&](std::span<std::byte> out) { inflater.read(out); };
  consume({.size = section.size, .read = read});
  inflater.check_end();
}

void deflate(FunctionRef<void(ByteWriter)> produce, ByteWriter write) {
  Deflater deflater(write);
  const auto take = [&](std::span<const std::byte> bytes) { deflater.write(bytes); };
  produce(take);
  deflater.finish();
}

}  // namespace detail
}  // namespace attention::io

#else

#include <attention/core/error.hpp>

namespace attention::io {

bool deflate_available() noexcept {
  return false;
}

namespace detail {

void inflate(const ByteSource& /*source*/, const DeflatedSection& /*section*/, const Origin& origin,
             FunctionRef<void(const ByteStream&)> /*consume*/) {
  origin.fail(
      "is deflated, and this build of attention has no zlib: build attention with zlib, or save "
      "the file uncompressed (numpy.savez)");
}

void deflate(FunctionRef<void(ByteWriter)> /*produce*/, ByteWriter /*write*/) {
  throw Error("deflate",
              "this build of attention has no zlib: build it with zlib, or write the arrays stored",
              "Compression::deflated");
}

}  // namespace detail
}  // namespace attention::io

#endif
