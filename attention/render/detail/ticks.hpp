#pragma once

#include <string>
#include <vector>

#include <attention/core/export.hpp>
#include <attention/render/figure.hpp>

/// Private to the room; exported because the component `render` uses it across the library's
/// border.
namespace attention::render::detail {

/// low < high.
struct Range {
  double low = 0;
  double high = 1;
};

struct Tick {
  double value = 0;
  std::string text;
};

/// "0.17", "-3.00"; never "-0.00". "nan", "inf", "-inf" for values that are not finite.
ATTENTION_API std::string fixed(double value, int decimals);

/// "3e-5", "1.25e+7" as "1.25e7": `decimals` digits after the point of the mantissa.
ATTENTION_API std::string scientific(double value, int decimals);

/// The decimals that tell multiples of `step` (positive) apart: 2 for 0.05, two more than that for
/// steps that are not 1 to 9 times a power of ten.
ATTENTION_API int decimals_for(double step);

/// A value of a cell: fixed, but on a log scale "0" for 0 and below, and scientific with one digit
/// where the fixed text would only have zeros.
ATTENTION_API std::string cell_text(double value, int decimals, Scale scale);

/// The range that data from `low` to `high` is shown in: itself, or, where the two are the same to
/// within 1e-6 of their size, one about them (a factor of 10 on a log scale, a tenth of the value,
/// or [-0.5, 0.5] for 0). Limits beyond 1e300 are taken there.
ATTENTION_API Range usable_range(double low, double high, Scale scale);

/// `range` widened by `share` of itself at both ends; on a log scale, by that share of its decades.
ATTENTION_API Range widened(const Range& range, double share, Scale scale);

/// Where `value` lies: 0 at range.low, 1 at range.high, linear in the value or in its logarithm;
/// outside of [0, 1] for values outside. On a log scale values of 0 and below give -infinity.
ATTENTION_API double position(double value, const Range& range, Scale scale);

/// Round numbers within the range, rising, `most` of them or fewer (2 or more where the range
/// allows): multiples of 1, 2 or 5 times a power of ten; on a log scale powers of ten, between them
/// 2 and 5 times those where the range has less than two decades. The texts have as many decimals
/// as tell neighbours apart.
ATTENTION_API std::vector<Tick> ticks(const Range& range, Scale scale, int most);

/// The ticks for `most` or for the largest number below it that leaves neighbours `least` of the
/// axis apart; the first tick alone when none does.
ATTENTION_API std::vector<Tick> spaced_ticks(const Range& range, Scale scale, int most,
                                             double least);

}  // namespace attention::render::detail
