#include <cstddef>

#include <attention/reference/dropout.hpp>

namespace attention::reference {

template <class T>
void dropout(TensorView<T> out, TensorView<const T> x, const random::DropoutMask& mask,
             std::int64_t begin, std::int64_t end) {
  const int last = x.rank() - 1;
  const std::int64_t x_step = last < 0 ? 0 : x.strides()[last];
  const std::int64_t out_step = last < 0 ? 0 : out.strides()[last];
  for_each_part_of_a_row(
      x.shape(), begin, end,
      [&](std::int64_t index, std::int64_t count, std::int64_t to, std::int64_t from) {
        random::FourWords words = mask.words_of_elements(index / 4);
        for (std::int64_t n = 0; n < count; ++n) {
          const std::int64_t place = (index + n) % 4;
          words = place == 0 ? mask.words_of_elements((index + n) / 4) : words;
          const bool kept = mask.keeps(words[static_cast<std::size_t>(place)]);
          const auto value = element_cast<double>(x.data()[from + n * x_step]);
          out.data()[to + n * out_step] = kept ? element_cast<T>(value * mask.factor()) : T{0};
        }
      },
      out.strides(), x.strides());
}

template void dropout(TensorView<float>, TensorView<const float>, const random::DropoutMask&,
                      std::int64_t, std::int64_t);
template void dropout(TensorView<double>, TensorView<const double>, const random::DropoutMask&,
                      std::int64_t, std::int64_t);

}  // namespace attention::reference
