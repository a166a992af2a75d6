// Prints the tables of docs/metrics.md, to be pasted there after a change of metric_descriptions.cc.
#include <iostream>

#include "server/metrics/metric_descriptions.h"

int main() {
  using qatgap::server::MetricGroup;
  std::cout << MetricsTable(MetricGroup::kService) << '\n' << MetricsTable(MetricGroup::kTrackedModels);
}
