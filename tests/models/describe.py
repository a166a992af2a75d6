"""Prints what a TorchScript file holds: python tests/models/describe.py FILE.pt [--code]"""

import collections
import sys

import torch


def kinds(block, found):
    for node in block.nodes():
        found[node.kind()] += 1
        for inner in node.blocks():
            kinds(inner, found)
    return found


def inlined_graph(module):
    graph = module._c._get_method("forward").graph.copy()
    torch._C._jit_pass_inline(graph)
    return graph


def describe(path, code):
    module = torch.jit.load(path)
    graph = inlined_graph(module)
    print("== kinds in the inlined graph")
    for kind, count in sorted(kinds(graph, collections.Counter()).items()):
        print(f"{count:6d} {kind}")
    if not code:
        return
    print("== inlined graph\n", graph, sep="")
    seen = set()
    for name, inner in module.named_modules():
        kind = (inner.original_name, tuple(inner._c._method_names()))
        if not hasattr(inner, "original_name") or kind in seen:
            continue
        seen.add(kind)
        print(f"== module '{name}' {inner._c._type()} methods {inner._c._method_names()}")
        for method in inner._c._method_names():
            print(f"-- code of {method}\n{inner._c._get_method(method).code}")
            print(f"-- graph of {method}\n{inner._c._get_method(method).graph}")


if __name__ == "__main__":
    torch.backends.quantized.engine = "qnnpack" if "qnnpack" in sys.argv[1] else "fbgemm"
    describe(sys.argv[1], "--code" in sys.argv)
