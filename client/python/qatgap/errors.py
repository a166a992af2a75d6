"""What can go wrong. Every exception of this package is a `QatgapError`, and its text says what to do."""

from __future__ import annotations


class QatgapError(Exception):
    """Base of all errors of this package."""


class ExportError(QatgapError):
    """A module could not be written in any format that qatgap reads; the text has the reason of each attempt."""


class SamplesError(QatgapError):
    """Samples or labels that cannot be written: no sample, mixed shapes, a number type that no model takes."""


class RulesError(QatgapError):
    """A rule that names no metric, no layer or no known key. Never a failed gate: that is an AssertionError."""


class ReportError(QatgapError):
    """A file that is no report, or one of a schema that this package does not know."""


class PrivateServerError(QatgapError):
    """No `qatgapd` was found, or it did not start; the text has the end of its log."""


class ServiceError(QatgapError):
    """The service refused or an analysis failed. The text is the service's own.

    Attributes:
        code: name of the google.rpc.Code, for example "INVALID_ARGUMENT".
    """

    code: str = "UNKNOWN"

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class InvalidArgumentError(ServiceError):
    """A field, model, sample or target is malformed."""

    code = "INVALID_ARGUMENT"


class NotFoundError(ServiceError):
    """No such target, analysis or artifact."""

    code = "NOT_FOUND"


class FailedPreconditionError(ServiceError):
    """Models that do not pair, or that cannot be analysed."""

    code = "FAILED_PRECONDITION"


class ResourceExhaustedError(ServiceError):
    """Too large, too long or too much at once."""

    code = "RESOURCE_EXHAUSTED"


class UnavailableError(ServiceError):
    """The service cannot be reached."""

    code = "UNAVAILABLE"


class CancelledError(ServiceError):
    """Somebody cancelled the analysis."""

    code = "CANCELLED"


class InternalError(ServiceError):
    """A mistake of qatgap."""

    code = "INTERNAL"


_BY_CODE: dict[str, type[ServiceError]] = {
    kind.code: kind
    for kind in (
        InvalidArgumentError,
        NotFoundError,
        FailedPreconditionError,
        ResourceExhaustedError,
        UnavailableError,
        CancelledError,
        InternalError,
    )
}
# google.rpc.Code by number, as an analysis' error carries it.
_CODE_NAMES = {
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    13: "INTERNAL",
    14: "UNAVAILABLE",
}


def service_error(code: str | int, message: str) -> ServiceError:
    """The error of a code, by the name or number of google.rpc.Code."""
    name = _CODE_NAMES.get(code, "UNKNOWN") if isinstance(code, int) else code
    return _BY_CODE.get(name, ServiceError)(message or "the service gave no message", name)
