"""From a module, however it was prepared, to a file: which route is taken, and that it computes the same."""

import copy
import warnings

import nets
import numpy as np
import pytest
import torch
from module_files import assert_equal, load, state_of

import qatgap
from qatgap.modules import input_names


# The measured table of docs/python.md: what is made of each kind of module; pt2e_test.py has the others.
KINDS = {
    "eager": (nets.eager, ".pt2"),
    "eager_qnnpack": (lambda: nets.eager(backend="qnnpack"), ".pt2"),
    "fx": (nets.fx, ".pt2"),
    "eager_converted": (lambda: nets.eager_converted(nets.eager()), ".pt"),
    "fx_converted": (lambda: nets.fx_converted(nets.fx()), ".pt"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_route_that_works(tmp_path, kind):
    make, suffix = KINDS[kind]
    module = make()
    before = state_of(module)
    with warnings.catch_warnings():
        warnings.simplefilter("error", qatgap.ExportWarning)
        path = qatgap.export_model(module, nets.EXAMPLE, tmp_path / "model")
    assert path == tmp_path / f"model{suffix}"
    assert_equal(before, state_of(module))
    # Another batch size than the example's.
    data = nets.images(5)
    with torch.no_grad():
        assert torch.equal(load(path)(data), module(data))


def test_an_example_of_one_sample_leaves_the_batch_free(tmp_path, eager_model):
    path = qatgap.export_model(eager_model, nets.images(1), tmp_path / "model.pt2")
    assert load(path)(nets.images(7)).shape == (7, 3)


def test_observers_that_are_on_are_off_in_the_file_and_stay_on_in_the_module(tmp_path):
    module = nets.eager(observers=True)
    before = state_of(module)
    with pytest.warns(
        qatgap.ExportWarning, match=r"observers of Residual were on \(first: .*would move the ranges"
    ) as seen:
        path = qatgap.export_model(module, nets.EXAMPLE, tmp_path / "model")
    assert len(seen) == 1
    assert_equal(before, state_of(module))
    assert all(bool(value.all()) for name, value in module.named_buffers() if name.endswith("observer_enabled"))
    saved = torch.export.load(path).state_dict
    observers = [value for name, value in saved.items() if name.endswith("observer_enabled")]
    assert observers
    assert not any(bool(value.any()) for value in observers)


def test_a_module_in_training_is_exported_in_eval_mode_and_stays_in_training(tmp_path):
    module = nets.eager().train()
    path = qatgap.export_model(module, nets.EXAMPLE, tmp_path / "model")
    assert module.training
    with torch.no_grad():
        assert torch.equal(load(path)(nets.EXAMPLE), copy.deepcopy(module).eval()(nets.EXAMPLE))


def test_control_flow_that_depends_on_data_is_scripted(tmp_path):
    module = nets.eager(nets.Branching)
    path = qatgap.export_model(module, nets.EXAMPLE, tmp_path / "model")
    assert path.suffix == ".pt"
    loaded = load(path)
    assert "prim::If" in str(loaded.graph)
    for brightness in (0.1, 1.0):
        data = nets.images(3) * brightness
        with torch.no_grad():
            assert torch.equal(loaded(data), module(data))
    converted = qatgap.export_model(nets.eager_converted(module), nets.EXAMPLE, tmp_path / "converted")
    assert "prim::If" in str(load(converted).graph)


def test_tracing_is_never_asked_to_lose_a_branch(tmp_path):
    class Dynamic(torch.nn.Module):
        def forward(self, x):
            # Nothing that torch.jit.script compiles.
            if x.mean() > 0:
                return x * len({str(x.device)})
            return x

    with pytest.raises(qatgap.ExportError) as raised:
        qatgap.export_model(Dynamic(), nets.EXAMPLE, tmp_path / "model")
    text = str(raised.value)
    assert text.startswith("Dynamic could not be exported:\n  torch.export: ")
    assert "torch.jit.trace: control flow depends on data, which tracing loses (export_test.py:" in text
    assert "torch.jit.script: " in text
    assert list(tmp_path.iterdir()) == []


def test_script_modules_and_exported_programs(tmp_path):
    module = nets.eager(observers=True)
    scripted = torch.jit.trace(copy.deepcopy(module), nets.EXAMPLE, check_trace=False)
    with pytest.warns(qatgap.ExportWarning, match="were on"):
        path = qatgap.export_model(scripted, None, tmp_path / "scripted")
    assert path.suffix == ".pt"
    assert not any(bool(v.any()) for n, v in load(path).named_buffers() if n.endswith("observer_enabled"))
    assert any(bool(v.any()) for n, v in scripted.named_buffers() if n.endswith("observer_enabled"))

    program = torch.export.export(module, (nets.EXAMPLE,))
    with pytest.warns(qatgap.ExportWarning, match="were on"):
        path = qatgap.export_model(program, None, tmp_path / "program")
    saved = torch.export.load(path).state_dict
    assert not any(bool(v.any()) for n, v in saved.items() if n.endswith("observer_enabled"))
    assert any(bool(v.any()) for n, v in program.state_dict.items() if n.endswith("observer_enabled"))


@pytest.mark.parametrize(
    ("module", "example", "name", "message"),
    [
        (lambda: 3, nets.EXAMPLE, "m", "a int cannot be exported"),
        (lambda: torch.nn.Identity(), None, "m", "example_inputs is needed"),
        (lambda: torch.nn.Identity(), ("text",), "m", "example input 0 is a str, not a tensor"),
        (lambda: torch.nn.Identity(), {"y": nets.EXAMPLE}, "m", "no input 'y'; it has input"),
        (
            lambda: torch.nn.Identity(),
            nets.EXAMPLE,
            "m.tflite",
            "cannot be written as .tflite; it can as .onnx, .pt, .pt2",
        ),
        (lambda: nets.eager_converted(nets.eager()), nets.EXAMPLE, "m.pt2", "only by TorchScript"),
        (lambda: nets.eager_converted(nets.eager()), nets.EXAMPLE, "m.onnx", "only saved by TorchScript"),
    ],
    ids=["number", "no_example", "text", "unknown_input", "tflite", "packed_pt2", "packed_onnx"],
)
def test_what_cannot_be_exported(tmp_path, module, example, name, message):
    with pytest.raises(qatgap.ExportError, match=message):
        qatgap.export_model(module(), example, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_typed_hooks_do_what_the_hooks_did():
    module = nets.eager(nets.Branching)
    hooks = [dict(child._forward_hooks) for child in module.modules()]
    typed = qatgap.add_typed_observer_hooks(module)
    assert hooks == [dict(child._forward_hooks) for child in module.modules()]
    scripted = torch.jit.script(typed)
    for brightness in (0.1, 1.0):
        data = nets.images(3) * brightness
        with torch.no_grad():
            assert torch.equal(scripted(data), module(data))


@pytest.mark.parametrize(
    "make", [nets.eager, lambda: nets.eager(backend="qnnpack"), nets.fx], ids=["x86", "qnnpack", "fx"]
)
def test_frozen_fake_quants_compute_the_same_bits(make):
    module = make()
    before = state_of(module)
    frozen = qatgap.freeze_fake_quants(module)
    assert_equal(before, state_of(module))
    assert not any(hasattr(child, "fake_quant_enabled") for child in frozen.modules())
    data = nets.images(16, 9)
    with torch.no_grad():
        assert torch.equal(frozen(data), module(data))


def test_plain_fake_quants_are_frozen_too():
    from torch.ao import quantization as tq

    fake_quant = tq.FakeQuantize(observer=tq.MovingAverageMinMaxObserver, quant_min=0, quant_max=255)
    module = torch.nn.Sequential(fake_quant)
    module(torch.tensor([-1.0, 2.0]))
    module.apply(tq.disable_observer)
    module.eval()
    data = torch.linspace(-2, 3, 1001)
    assert torch.equal(qatgap.freeze_fake_quants(module)(data), module(data))


def test_a_fake_quant_without_a_range_is_named():
    from torch.ao import quantization as tq

    module = nets.fuse(nets.Residual(True)).train()
    module.qconfig = tq.get_default_qat_qconfig("x86")
    with pytest.raises(qatgap.ExportError, match=r"the fake-quant quant\.activation_post_process has never seen data"):
        qatgap.freeze_fake_quants(tq.prepare_qat(module))


@pytest.mark.parametrize("make", [nets.eager, nets.fx], ids=["eager", "fx"])
def test_onnx(tmp_path, make):
    import onnx
    import onnxruntime

    module = make()
    path = qatgap.export_model(module, nets.EXAMPLE, tmp_path / "model.onnx")
    kinds = {node.op_type for node in onnx.load(path).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= kinds
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options)
    data = nets.images(4)
    found = session.run(None, {session.get_inputs()[0].name: data.numpy()})[0]
    with torch.no_grad():
        expected = module(data).numpy()
    # The last layer's codes are equal; ONNX Runtime sums convolutions in another order, so some may be one step apart.
    step = float(module.fc.activation_post_process.scale) if make is nets.eager else np.abs(expected).max() / 64
    assert not (np.abs(found - expected).max() > 1.01 * step)


def test_names_of_inputs():
    module = nets.eager(nets.TwoInputs)
    example = (nets.EXAMPLE, nets.EXAMPLE)
    assert input_names(module) == ["left", "right"]
    assert input_names(torch.jit.trace(module, example)) == ["left", "right"]
    assert input_names(torch.export.export(module, example)) == ["left", "right"]
    assert input_names(nets.fx()) == ["x"]


def test_inputs_by_name(tmp_path):
    module = nets.eager(nets.TwoInputs)
    path = qatgap.export_model(module, {"right": nets.images(2), "left": nets.images(2, 1)}, tmp_path / "model")
    with torch.no_grad():
        assert torch.equal(load(path)(nets.images(3), nets.images(3, 1)), module(nets.images(3), nets.images(3, 1)))
