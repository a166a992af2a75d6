"""Weights from a seed, batch norm statistics that fit them, and a few QAT steps on data from the same seed.

Enough to move every observer, batch norm and weight off its start; nobody's accuracy depends on these networks.
"""

import torch
from torch import nn

SEED = 20260701
BATCH = 4
STEPS = 3


def seeded_samples(shape, count, seed=SEED):
    """Smooth patterns and noise, mean 0 and deviation about 1; every second sample is shifted below zero."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, *shape, generator=generator)
    if len(shape) == 3:
        smooth = nn.functional.avg_pool2d(noise, 3, 1, 1)
        noise = 0.7 * noise + 2 * smooth
    shift = torch.tensor([0.3, -0.3]).repeat((count + 1) // 2)[:count]
    return noise + shift.reshape(count, *[1] * len(shape))


def seeded_model(architecture, stubs):
    torch.manual_seed(SEED)
    model = architecture.build(stubs)
    if architecture.real_weights:
        return model
    # Eager and plain builds draw the same numbers: gamma and beta that are not 1 and 0, in the order of modules.
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d)):
                module.weight.copy_(0.8 + 0.4 * torch.rand(module.weight.shape, generator=generator))
                module.bias.copy_(0.2 * torch.randn(module.bias.shape, generator=generator))
    return calibrate_batch_norm(model, architecture)


def calibrate_batch_norm(model, architecture):
    norms = [module for module in model.modules() if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm1d))]
    if not norms:
        return model
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # the mean over all batches
    model.train()
    with torch.no_grad():
        for step in range(2):
            model(seeded_samples(architecture.input_shape, BATCH, SEED + 1 + step))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    return model


def train(model, forward, architecture):
    """Real weights only get their observers' ranges, in eval mode: training on noise would spoil them."""
    batches = [seeded_samples(architecture.input_shape, BATCH, SEED + 10 + step) for step in range(STEPS)]
    if architecture.real_weights:
        with torch.no_grad():
            for batch in batches:
                forward(batch)
        return
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    generator = torch.Generator().manual_seed(SEED)
    torch.manual_seed(SEED)  # dropout
    for batch in batches:
        output = forward(batch)
        optimizer.zero_grad()
        nn.functional.mse_loss(output, torch.randn(output.shape, generator=generator)).backward()
        optimizer.step()
