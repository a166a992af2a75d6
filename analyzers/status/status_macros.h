// Early returns for absl::Status and absl::StatusOr<T>.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define QATGAP_STATUS_CONCAT_INNER(a, b) a##b
#define QATGAP_STATUS_CONCAT(a, b) QATGAP_STATUS_CONCAT_INNER(a, b)

// Returns the status of `expression` from the enclosing function unless it is OK.
#define QATGAP_RETURN_IF_ERROR(expression)                   \
  do {                                                       \
    if (::absl::Status qatgap_status_ = (expression);        \
        !qatgap_status_.ok()) {                              \
      return qatgap_status_;                                 \
    }                                                        \
  } while (false)

#define QATGAP_ASSIGN_OR_RETURN_IMPL(result, target, expression) \
  auto result = (expression);                                    \
  if (!result.ok()) return std::move(result).status();           \
  target = *std::move(result)

// Evaluates `expression` (a StatusOr) once; assigns its value to `target` or returns its status.
#define QATGAP_ASSIGN_OR_RETURN(target, expression) \
  QATGAP_ASSIGN_OR_RETURN_IMPL(QATGAP_STATUS_CONCAT(qatgap_or_, __LINE__), target, expression)
