"""Exported files and states of modules, for comparisons."""

import torch


def load(path):
    return torch.export.load(path).module() if path.suffix == ".pt2" else torch.jit.load(str(path))


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}


def assert_equal(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert torch.equal(value, right[name]), name
