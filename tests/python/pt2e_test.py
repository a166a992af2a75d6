"""PT2E: prepared and converted modules exported and analysed. In one file, since torchao takes long to make them."""

import copy
import warnings

import nets
import pytest
import torch
from module_files import assert_equal, load, state_of

import qatgap
from qatgap.modules import input_names

MAC_LAYERS = ["stem.0", "body.0", "head", "fc"]
QUANTIZERS = pytest.mark.parametrize("quantizer", ["x86", "xnnpack"])


def in_eval_with_observers_off(quantizer):
    from torchao.quantization.pt2e import disable_observer, move_exported_model_to_eval

    module = copy.deepcopy(nets.pt2e(quantizer))
    module.apply(disable_observer)
    move_exported_model_to_eval(module)
    return module


@QUANTIZERS
@pytest.mark.parametrize("kind", ["prepared", "converted"])
def test_they_are_written_as_pt2_and_compute_the_same(tmp_path, quantizer, kind):
    module = in_eval_with_observers_off(quantizer) if kind == "prepared" else nets.pt2e_converted(quantizer)
    before = state_of(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error", qatgap.ExportWarning)
        path = qatgap.export_model(module, nets.EXAMPLE, tmp_path / "model")
    assert path == tmp_path / "model.pt2"
    assert_equal(before, state_of(module))
    # Another batch size than the example's.
    data = nets.images(5)
    with torch.no_grad():
        assert torch.equal(load(path)(data), module(data))


def test_as_users_have_it(tmp_path):
    """In training form, observers on, and exported for one batch size."""
    module = nets.pt2e("x86", free_batch=False)
    before = state_of(module)
    with pytest.warns(qatgap.ExportWarning) as seen:
        path = qatgap.export_model(module, nets.images(8), tmp_path / "model")
    texts = [str(warning.message) for warning in seen]
    assert any("were on" in text for text in texts), texts
    assert any("takes only batches of 8" in text for text in texts), texts
    assert path.suffix == ".pt2"
    assert_equal(before, state_of(module))


def test_names_of_inputs():
    assert input_names(nets.pt2e("x86")) == ["x"]


@QUANTIZERS
@pytest.mark.filterwarnings("ignore::qatgap.ExportWarning")
def test_the_service_measures_every_layer_that_has_codes(server, quantizer):
    report = qatgap.analyze(
        nets.pt2e(quantizer),
        nets.EXAMPLE,
        nets.images(16, 7),
        converted=nets.pt2e_converted(quantizer),
        server=server,
        targets=["generic-int32"],
        progress=False,
    )
    # X86InductorQuantizer leaves the last layer's output in float: no codes to compare, and the report says so.
    measured = MAC_LAYERS if quantizer == "xnnpack" else MAC_LAYERS[:3]
    assert sorted(set(report.layers.layer)) == sorted(measured)
    assert set(MAC_LAYERS) - set(measured) <= set(report.unmeasured.name)
    assert any(source.startswith("nets.py:") for source in report.layers.source), report.layers.source.to_list()
