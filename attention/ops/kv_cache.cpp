#include <algorithm>
#include <string>

#include <attention/core/error.hpp>
#include <attention/ops/detail/checks.hpp>
#include <attention/ops/kv_cache.hpp>

namespace attention {
namespace {

constexpr std::int64_t kFewestPositions = 16;

/// The (B, Hkv, length, features) of `storage` from position `begin` on.
template <class T>
TensorView<T> part_of(Tensor<T>& storage, std::int64_t begin, std::int64_t length) {
  return storage.view().slice(2, begin, length);
}

template <class T>
void copy_rounded(const AnyView& from, const TensorView<T>& to) {
  visit(from.dtype(), [&]<class From>() {
    const auto* const source = static_cast<const From*>(from.data());
    const auto copy = [&](std::int64_t to_offset, std::int64_t from_offset) {
      to.data()[to_offset] = element_cast<T>(source[from_offset]);
    };
    for_each_offset(to.shape(), copy, to.strides(), from.strides());
  });
}

void check_appended(const AnyView& view, const char* name, const KvCacheSize& size,
                    std::int64_t features) {
  const char* const function = "KvCache::append";
  const bool fits = view.rank() == 4 && view.shape()[0] == size.B && view.shape()[1] == size.Hkv &&
                    view.shape()[3] == features;
  require(fits, [&] {
    return Error(function, std::string(name) + " must have the shape (B, Hkv, n, size of a head)",
                 detail::describe(name, view.shape()) + ", B = " + std::to_string(size.B) +
                     ", Hkv = " + std::to_string(size.Hkv) +
                     ", size of a head = " + std::to_string(features));
  });
  require(is_floating(view.dtype()), [&] {
    return Error(function, std::string(name) + " must have a floating element type",
                 name_of(view.dtype()));
  });
}

}  // namespace

template <class T>
KvCache<T>::KvCache(const KvCacheSize& size, std::int64_t capacity) : size_(size) {
  require(std::min({size.B, size.Hkv, size.D, size.Dv}) >= 0, "KvCache", "no size may be negative",
          [&] { return "(B, Hkv, D, Dv) = " + to_string({size.B, size.Hkv, size.D, size.Dv}); });
  keys_ = Tensor<T>({size.B, size.Hkv, 0, size.D});
  values_ = Tensor<T>({size.B, size.Hkv, 0, size.Dv});
  reserve(capacity);
}

template <class T>
void KvCache<T>::append(const AnyView& k, const AnyView& v) {
  check_appended(k, "k", size_, size_.D);
  check_appended(v, "v", size_, size_.Dv);
  const std::int64_t count = k.shape()[2];
  require(
      count == v.shape()[2], "KvCache::append", "k and v must have one number of positions",
      [&] { return detail::describe("k", k.shape()) + ", " + detail::describe("v", v.shape()); });
  const std::int64_t length = length_ + count;
  if (length > capacity_) {
    // k and v may be views of the old memory, which lives until they too are copied.
    KvCache grown(size_, std::max({length, 2 * capacity_, kFewestPositions}));
    grown.append(keys(), values());
    grown.append(k, v);
    *this = std::move(grown);
    return;
  }
  copy_rounded(k, part_of(keys_, length_, count));
  copy_rounded(v, part_of(values_, length_, count));
  length_ = length;
}

template <class T>
TensorView<const T> KvCache<T>::keys() const noexcept {
  return keys_.view().slice(2, 0, length_);
}

template <class T>
TensorView<const T> KvCache<T>::values() const noexcept {
  return values_.view().slice(2, 0, length_);
}

template <class T>
void KvCache<T>::reserve(std::int64_t capacity) {
  require(capacity >= 0, "KvCache::reserve", "capacity must not be negative",
          [&] { return std::to_string(capacity); });
  if (capacity <= capacity_) {
    return;
  }
  Tensor<T> keys({size_.B, size_.Hkv, capacity, size_.D});
  Tensor<T> values({size_.B, size_.Hkv, capacity, size_.Dv});
  copy_rounded(this->keys(), part_of(keys, 0, length_));
  copy_rounded(this->values(), part_of(values, 0, length_));
  keys_ = std::move(keys);
  values_ = std::move(values);
  capacity_ = capacity;
}

template <class T>
void KvCache<T>::truncate(std::int64_t length) {
  require(0 <= length && length <= length_, "KvCache::truncate",
          "length must lie in [0, length of the cache]", [&] {
            return std::to_string(length) + ", length of the cache = " + std::to_string(length_);
          });
  length_ = length;
}

template class KvCache<float>;
template class KvCache<double>;
template class KvCache<float16>;
template class KvCache<bfloat16>;

}  // namespace attention
