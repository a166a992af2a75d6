// The figures of a difference and the pairs of paths, by the names that metrics have. Internal to gate/.
#pragma once

#include <array>
#include <string_view>

namespace qatgap::report::gate {

struct Statistic {
  std::string_view name;     // in a metric
  std::string_view member;   // in the report's JSON
  bool larger_is_worse;
  std::string_view meaning;
};
inline constexpr std::array<Statistic, 8> kStatistics = {{
    {"changed", "changed", true, "codes that differ"},
    {"changed_rate", "changed_rate", true, "codes that differ, of all"},
    {"cosine", "cosine", false, "cosine of the codes"},
    {"max_lsb", "max_absolute", true, "largest |difference| in LSB"},
    {"mean_absolute_lsb", "mean_absolute_lsb", true, "mean |difference| in LSB"},
    {"mean_lsb", "mean_lsb", true, "mean difference in LSB"},
    {"rms_lsb", "rms_lsb", true, "root mean square difference in LSB"},
    {"sqnr_db", "sqnr_db", false, "signal to noise in dB"},
}};

struct ComparisonName {
  std::string_view name;     // in a metric; the one called "target" is what `outputs.` stands for
  std::string_view path, reference;
};
inline constexpr std::array<ComparisonName, 6> kComparisons = {{
    {"engine", "engine", "fake_quant"},
    {"engine_vs_target", "engine", "target"},
    {"float_bias", "float_bias", "fake_quant"},
    {"quantized_bias", "quantized_bias", "fake_quant"},
    {"quantized_bias_vs_float_bias", "quantized_bias", "float_bias"},
    {"target", "target", "fake_quant"},
}};

}  // namespace qatgap::report::gate
