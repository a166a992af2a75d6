"""Every network of the zoo by name: how it is built for a flow, fused, and fed."""

import dataclasses
import typing

import torch
from torch import nn
from torch.ao.quantization import fuse_modules_qat

import control_flow
import efficientnet_lite
import mlperf_tiny
import transformer

if not hasattr(torch.ops.torchvision, "nms"):
    # A torchvision wheel made for another build of torch cannot load its own operators, and its import then fails
    # where it registers shapes for two of them. No network here uses any.
    _torchvision_operators = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _torchvision_operators.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import torchvision.models  # noqa: E402
import torchvision.models.quantization  # noqa: E402

FUSED = ((nn.Conv2d, nn.BatchNorm2d, nn.ReLU), (nn.Conv2d, nn.BatchNorm2d), (nn.Conv2d, nn.ReLU), (nn.Linear, nn.ReLU),
         (nn.Linear, nn.BatchNorm1d))


def fuse(model):
    """Fuses neighbours of every Sequential for eager QAT, in place: conv+bn(+relu), conv+relu, linear+bn, linear+relu."""
    for module in list(model.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        children = list(module.named_children())
        i = 0
        while i < len(children):
            for pattern in FUSED:
                part = children[i : i + len(pattern)]
                if tuple(type(child) for _, child in part) == pattern:
                    fuse_modules_qat(module, [name for name, _ in part], inplace=True)
                    i += len(pattern) - 1
                    break
            i += 1
    return model


def fuse_efficientnet(model):
    """ReLU6 is not fused: eager mode keeps it as a module of its own behind conv+bn."""
    pairs = [["_conv_stem", "_bn0"], ["_conv_head", "_bn1"]]
    for name, module in list(model.named_modules()):
        if isinstance(module, efficientnet_lite.Block):
            if module.expands:
                pairs.append([f"{name}._expand_conv", f"{name}._bn0"])
            pairs += [[f"{name}._depthwise_conv", f"{name}._bn1"], [f"{name}._project_conv", f"{name}._bn2"]]
    return fuse_modules_qat(model, pairs, inplace=True)


@dataclasses.dataclass(frozen=True)
class Architecture:
    # build(stubs): with QuantStub, DeQuantStub and FloatFunctional for eager mode, or as plain as people write it.
    build: typing.Callable[[bool], nn.Module]
    input_shape: tuple[int, ...]  # of one sample
    fuse: typing.Callable[[nn.Module], nn.Module] = fuse
    real_weights: bool = False    # trained weights: QAT must not move them far
    linear_only: bool = False     # only nn.Linear is quantized
    branches: bool = False        # data-dependent control flow: one sample a run
    # PT2E of the form for eager mode: X86InductorQuantizer refuses a module that is called twice ("Input partition has more
    # than one output node"), and a plain ResNet block calls its ReLU twice.
    pt2e_stubs: bool = False


def torchvision_net(name, **arguments):
    def build(stubs):
        models = torchvision.models.quantization if stubs else torchvision.models
        more = {"quantize": False} if stubs else {}
        return getattr(models, name)(weights=None, **arguments, **more)

    return build


def fuse_torchvision(model):
    model.train()
    model.fuse_model(is_qat=True)
    return model


def torchvision_architecture(name, size, pt2e_stubs=False, **arguments):
    return Architecture(torchvision_net(name, **arguments), (3, size, size), fuse_torchvision, pt2e_stubs=pt2e_stubs)


INCEPTION = {"aux_logits": False, "init_weights": False}
ARCHITECTURES = {
    "resnet8": Architecture(mlperf_tiny.ResNet8, (3, 32, 32)),
    "ds_cnn": Architecture(mlperf_tiny.DsCnn, (1, 49, 10)),
    "mobilenet_v1_025": Architecture(mlperf_tiny.MobileNetV1, (3, 96, 96)),
    "autoencoder": Architecture(mlperf_tiny.Autoencoder, (640,)),
    "transformer": Architecture(transformer.TransformerEncoder, (16, 64), linear_only=True),
    "two_branches": Architecture(
        lambda stubs: control_flow.TwoBranches() if stubs else control_flow.TwoBranchesCond(), (3, 16, 16), branches=True
    ),
    "resnet18": torchvision_architecture("resnet18", 64, pt2e_stubs=True, num_classes=10),
    "mobilenet_v2": torchvision_architecture("mobilenet_v2", 64, num_classes=10),
    "mobilenet_v2_224": torchvision_architecture("mobilenet_v2", 224),
    "efficientnet_lite0": Architecture(
        lambda stubs: efficientnet_lite.load_imagenet_weights(efficientnet_lite.EfficientNetLite0(stubs)),
        (3, 96, 96), fuse_efficientnet, real_weights=True,
    ),
    "mobilenet_v3_large": torchvision_architecture("mobilenet_v3_large", 64, num_classes=10),
    "shufflenet_v2": torchvision_architecture("shufflenet_v2_x1_0", 64, num_classes=10),
    "googlenet": torchvision_architecture("googlenet", 64, num_classes=10, **INCEPTION),
    "resnet50": torchvision_architecture("resnet50", 64, pt2e_stubs=True, num_classes=10),
    "inception_v3": torchvision_architecture("inception_v3", 75, num_classes=10, **INCEPTION),
}
