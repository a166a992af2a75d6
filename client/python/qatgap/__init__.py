"""qatgap: how far the integer model that runs is from the QAT model that was trained, layer by layer, and why.

>>> report = qatgap.analyze(qat_model, example_inputs, samples, targets=["pytorch-x86"])  # doctest: +SKIP
>>> report.layers.sort_values("total.changed_rate", ascending=False)  # doctest: +SKIP
"""

from importlib.metadata import PackageNotFoundError, version

from qatgap.analysis import analyze
from qatgap.errors import (
    CancelledError,
    ExportError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    PrivateServerError,
    QatgapError,
    ReportError,
    ResourceExhaustedError,
    RulesError,
    SamplesError,
    ServiceError,
    UnavailableError,
)
from qatgap.export import export_model
from qatgap.modules import ExportWarning, add_typed_observer_hooks, freeze_fake_quants
from qatgap.report import Report, Verdict
from qatgap.rules import RuleWarning, Violation, metric_names
from qatgap.samples import Normalization

try:
    __version__ = version("qatgap")
except PackageNotFoundError:
    __version__ = "0+unknown"

__all__ = [
    "CancelledError",
    "ExportError",
    "ExportWarning",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "Normalization",
    "NotFoundError",
    "PrivateServerError",
    "QatgapError",
    "Report",
    "ReportError",
    "ResourceExhaustedError",
    "RuleWarning",
    "RulesError",
    "SamplesError",
    "ServiceError",
    "UnavailableError",
    "Verdict",
    "Violation",
    "add_typed_observer_hooks",
    "analyze",
    "export_model",
    "freeze_fake_quants",
    "metric_names",
]
