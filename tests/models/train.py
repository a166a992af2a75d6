"""Trains the test models by QAT on Fashion-MNIST and writes every folder beside this file.

python tests/models/train.py [--data DIR] [--out DIR] [--untrained]
"""

import argparse
import copy
import gzip
import json
import pathlib
import struct
import time
import warnings

import numpy as np
import torch
from torch import nn
from torch.ao import quantization as tq
from torch.ao.quantization.quantize_fx import prepare_qat_fx

import export
import nets

warnings.filterwarnings("ignore")
HERE = pathlib.Path(__file__).parent
BATCH = 256
EXPECTED = 64
SAMPLES = 512

# name -> backend of the default qconfig, fx, scripted, the net whose QAT weights it shares
VARIANTS = {
    "residual_eager_x86": ("x86", False, False, None),
    "residual_eager_fbgemm": ("fbgemm", False, False, None),
    "residual_eager_qnnpack": ("qnnpack", False, False, None),
    "residual_eager_qnnpack_scripted": ("qnnpack", False, True, "residual_eager_qnnpack"),
    "residual_fx_x86": ("x86", True, False, None),
    "residual_fx_qnnpack_scripted": ("qnnpack", True, True, None),
    "branching_eager_qnnpack_scripted": ("qnnpack", False, True, None),
    "residual_eager_x86_observers_on": ("x86", False, False, "residual_eager_x86"),
}


def read_idx(path):
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    shape = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load_data(folder):
    result = []
    for part in ("train", "t10k"):
        images = read_idx(folder / f"{part}-images-idx3-ubyte.gz").astype(np.float32) / np.float32(255)
        labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz").astype(np.int64)
        result += [torch.from_numpy(images[:, None]), torch.from_numpy(labels)]
    return result


def train(model, forward, images, labels, epochs, rate, seed, freeze_after=None):
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * len(images) // BATCH
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss()
    model.train()
    order = torch.cat([torch.randperm(len(images), generator=generator) for _ in range(epochs + 1)])
    for step in range(steps):
        index = order[step * BATCH : (step + 1) * BATCH]
        if freeze_after is not None and step == int(freeze_after * steps):
            model.apply(torch.ao.nn.intrinsic.qat.freeze_bn_stats)
            model.apply(tq.disable_observer)
        optimizer.zero_grad()
        loss_of(forward(model, images[index]), labels[index]).backward()
        optimizer.step()
        schedule.step()


def run(model, images, one_by_one=False):
    with torch.no_grad():
        if one_by_one:
            return torch.cat([model(images[i : i + 1]) for i in range(len(images))])
        return torch.cat([model(part) for part in images.split(500)])


def accuracy(model, images, labels, one_by_one=False):
    return round((run(model, images, one_by_one).argmax(1) == labels).float().mean().item(), 4)


def prepare(float_model, backend, fx):
    model = copy.deepcopy(float_model).train()
    if fx:
        mapping = tq.get_default_qat_qconfig_mapping(backend)
        return prepare_qat_fx(model, mapping, (torch.zeros(1, 1, 28, 28),))
    model.qconfig = tq.get_default_qat_qconfig(backend)
    return tq.prepare_qat(nets.fuse(model))


def strip_stubs(model):
    twin = nets.Residual(stubs=False)
    twin.load_state_dict(model.state_dict())
    return twin


def write(name, qat, folder, test_images, test_labels, fast):
    backend, fx, scripted, _ = VARIANTS[name]
    branching = name.startswith("branching")
    observers_on = name.endswith("observers_on")
    engine = "qnnpack" if backend == "qnnpack" else "fbgemm"
    torch.backends.quantized.engine = engine
    folder.mkdir(parents=True, exist_ok=True)
    example = test_images[: 1 if branching else 2]
    qat = export.freeze(copy.deepcopy(qat), observers_on)
    about = {
        "torch": torch.__version__,
        "net": "branching" if branching else "residual",
        "input": "float32 [N, 1, 28, 28], 0..1" + (", N = 1" if branching else ""),
        "qconfig": f"get_default_qat_qconfig{'_mapping' if fx else ''}('{backend}')",
        "mode": "fx" if fx else "eager",
        "export": "script" if scripted else "trace",
        "engine": engine,
        "activation_range": export.activation_range(qat),
        "mac_layers": export.mac_layers(qat),
        "parameters": sum(p.numel() for p in qat.parameters()),
        "observers_on": observers_on,
    }
    about["mac_layer_count"] = len(about["mac_layers"])
    if branching:
        about["threshold"] = qat.threshold
        bright = (test_images.mean((1, 2, 3)) > qat.threshold).float()
        about["share_conv1"] = {"test": round(bright.mean().item(), 4), "first_64": round(bright[:EXPECTED].mean().item(), 4)}
        about["input_scales_of_conv3"] = {
            layer: float(getattr(qat, layer)[0].activation_post_process.calculate_qparams()[0])
            for layer in ("conv1", "conv2")
        }
    expected = {}
    images = test_images[:SAMPLES]
    first = images[:EXPECTED]

    def outputs(model, part):
        return run(model, part, one_by_one=branching)

    export.save(export.to_script(qat, scripted, example, observers_on), folder / "qat.pt")
    if observers_on:
        # Each run moves the ranges, tracing too: the reference is one run of a freshly loaded file.
        about["note"] = (
            "qat_output: one run of the first 64 images in one batch through the freshly loaded file, observers on; "
            "qat_output_frozen: the same with every observer_enabled buffer set to 0 before the run."
        )
        expected["qat_output"] = outputs(torch.jit.load(folder / "qat.pt"), first)
        frozen = torch.jit.load(folder / "qat.pt")
        for buffer_name, buffer in frozen.named_buffers():
            if buffer_name.endswith("observer_enabled"):
                buffer.zero_()
        expected["qat_output_frozen"] = outputs(frozen, first)
        if not fast:
            about["accuracy_fake_quant_frozen"] = accuracy(frozen, test_images, test_labels)
    else:
        expected["qat_output"] = outputs(qat, first)
        assert torch.equal(expected["qat_output"], outputs(torch.jit.load(folder / "qat.pt"), first)), name
        converted = export.convert(qat, fx)
        export.save(export.to_script(converted, scripted, example), folder / "converted.pt")
        expected["converted_output"] = outputs(converted, first)
        loaded = torch.jit.load(folder / "converted.pt")
        assert torch.equal(expected["converted_output"], outputs(loaded, first)), name
        difference = outputs(qat, images) - outputs(loaded, images)
        step = output_step(converted)
        steps = (difference / step).round()
        about["output_step"] = step
        about["qat_minus_converted_512"] = {
            "max_abs_steps": int(steps.abs().max()),
            "share_of_outputs_changed": round((steps != 0).float().mean().item(), 4),
            "top1_changed": int((outputs(qat, images).argmax(1) != outputs(loaded, images).argmax(1)).sum()),
        }
        if not fast:
            about["accuracy_fake_quant"] = accuracy(qat, test_images, test_labels, branching)
            about["accuracy_converted"] = accuracy(loaded, test_images, test_labels, branching)
    np.savez(folder / "expected.npz", **{k: v.numpy() for k, v in expected.items()})
    (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n")
    print(name, {k: v for k, v in about.items() if "accuracy" in k or "512" in k or "conv" in k}, flush=True)


def output_step(converted):
    """The real value of one output code: the scale of the last layer."""
    return float(converted.fc.scale)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, default="/usr/share/datasets/fashion-mnist",
                        help="folder of the idx .gz files (Debian package dataset-fashion-mnist)")
    parser.add_argument("--out", type=pathlib.Path, default=HERE)
    parser.add_argument("--untrained", action="store_true", help="random weights, one calibration step: seconds")
    options = parser.parse_args()
    started = time.monotonic()
    torch.manual_seed(1)
    train_images, train_labels, test_images, test_labels = load_data(options.data)
    fast = options.untrained

    def call(model, x):
        return model(x)

    samples = options.out / "samples"
    samples.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(samples / "images_512.npz", images=test_images[:SAMPLES].numpy())
    np.save(samples / "images_64.npy", test_images[:EXPECTED].numpy())
    np.save(samples / "labels_512.npy", test_labels[:SAMPLES].numpy())

    threshold = round(train_images.mean((1, 2, 3)).median().item(), 3)
    float_nets = {"residual": nets.Residual(), "branching": nets.Branching(threshold)}
    trained, warm = {}, set()
    for name, (backend, fx, _, same_as) in VARIANTS.items():
        torch.set_num_threads(2)
        net = name.split("_")[0]
        forward = nets.routed if net == "branching" else call
        if net not in warm and not fast:
            train(float_nets[net], forward, train_images, train_labels, 5, 6e-3, seed=2)
            warm.add(net)
            print("float", net, f"{time.monotonic() - started:.0f} s", flush=True)
        if same_as is None:
            seed = 10 + len(trained)
            torch.manual_seed(seed)
            base = strip_stubs(float_nets[net]) if fx else float_nets[net]
            qat = prepare(base, backend, fx)
            if fast:
                forward(qat, train_images[:BATCH])
            else:
                train(qat, forward, train_images, train_labels, 1, 1e-3, seed, freeze_after=0.8)
            trained[name] = qat
        torch.set_num_threads(1)
        write(name, trained[same_as or name], options.out / name, test_images, test_labels, fast)
        print(f"{time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
