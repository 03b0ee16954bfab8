#!/usr/bin/env python3
"""Makes training_goldens.npz: 20 steps of training a two-layer decoder with PyTorch, by SGD, Adam and AdamW.

    python3 -m venv venv && venv/bin/pip install torch numpy && venv/bin/python tests/golden/make_training_goldens.py

The file names the versions that made it. Tests start from its parameters and data, and compare losses and parameters: in
float64 within 1e-10, in float32 losses within 1e-5 relative.
"""

import pathlib

import numpy as np
import torch
from torch.nn import functional as F

TOKENS, POSITIONS, E, H, HIDDEN, BLOCKS = 7, 8, 8, 2, 16, 2
BATCH, LENGTH, STEPS = 3, 6, 20
OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3, weight_decay=0.01, foreach=False),
    "adamw": lambda p: torch.optim.AdamW(p, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.1, foreach=False),
}


def initial_parameters():
    """The parameters, in the order and under the names of the test's model."""
    shapes = {"tokens.weight": (TOKENS, E), "positions.weight": (POSITIONS, E)}
    for n in range(BLOCKS):
        block = f"blocks.{n}."
        for name in ["W_q", "W_k", "W_v", "W_o"]:
            shapes |= {f"{block}attention.{name}.weight": (E, E), f"{block}attention.{name}.bias": (E,)}
        shapes |= {f"{block}feed_forward.W_1.weight": (HIDDEN, E), f"{block}feed_forward.W_1.bias": (HIDDEN,)}
        shapes |= {f"{block}feed_forward.W_2.weight": (E, HIDDEN), f"{block}feed_forward.W_2.bias": (E,)}
        for norm in ["norm_1", "norm_2"]:
            shapes |= {f"{block}{norm}.weight": (E,), f"{block}{norm}.bias": (E,)}
    shapes |= {"norm.weight": (E,), "norm.bias": (E,), "head.weight": (TOKENS, E), "head.bias": (TOKENS,)}
    draw = torch.Generator().manual_seed(20)
    return {name: 0.5 * torch.randn(shape, generator=draw, dtype=torch.float64) for name, shape in shapes.items()}


def loss_of(p, tokens, targets):
    def linear(x, name):
        return F.linear(x, p[name + ".weight"], p[name + ".bias"])

    def norm(x, name):
        return F.layer_norm(x, (E,), p[name + ".weight"], p[name + ".bias"])

    def split(x):
        return x.view(BATCH, LENGTH, H, E // H).transpose(1, 2)

    x = p["tokens.weight"][tokens] + p["positions.weight"][:LENGTH]
    for n in range(BLOCKS):
        block = f"blocks.{n}."
        y = norm(x, block + "norm_1")
        q, k, v = (split(linear(y, block + "attention." + name)) for name in ["W_q", "W_k", "W_v"])
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + linear(attended.transpose(1, 2).reshape(BATCH, LENGTH, E), block + "attention.W_o")
        y = norm(x, block + "norm_2")
        x = x + linear(F.gelu(linear(y, block + "feed_forward.W_1")), block + "feed_forward.W_2")
    logits = linear(norm(x, "norm"), "head")
    return F.cross_entropy(logits.reshape(-1, TOKENS), targets.reshape(-1), ignore_index=-100)


def train(make_optimiser, dtype, tokens, targets):
    parameters = {name: value.to(dtype).requires_grad_() for name, value in initial_parameters().items()}
    optimiser = make_optimiser(list(parameters.values()))
    losses = []
    for step in range(STEPS):
        optimiser.zero_grad()
        loss = loss_of(parameters, tokens[step], targets[step])
        losses.append(loss.item())
        loss.backward()
        optimiser.step()
    return np.array(losses), np.concatenate([p.detach().double().numpy().ravel() for p in parameters.values()])


def main():
    torch.set_num_threads(1)
    versions = f"torch {torch.__version__}, numpy {np.__version__}"
    arrays = {"training.versions": np.frombuffer(versions.encode(), np.uint8)}
    draw = torch.Generator().manual_seed(21)
    tokens = torch.randint(0, TOKENS, (STEPS, BATCH, LENGTH), generator=draw)
    targets = torch.roll(tokens, 1, dims=2)
    targets[:, :, 0] = -100
    arrays["training.tokens"], arrays["training.targets"] = tokens.numpy(), targets.numpy()
    arrays["training.parameters"] = np.concatenate([p.numpy().ravel() for p in initial_parameters().values()])
    for name, make_optimiser in OPTIMISERS.items():
        losses, parameters = train(make_optimiser, torch.float64, tokens, targets)
        arrays[f"training.{name}.float64.losses"], arrays[f"training.{name}.float64.parameters"] = losses, parameters
        arrays[f"training.{name}.float32.losses"] = train(make_optimiser, torch.float32, tokens, targets)[0]
        print(name, losses[0], losses[-1])
    path = pathlib.Path(__file__).parent / "training_goldens.npz"
    np.savez_compressed(path, **arrays)
    print(f"{path}: {path.stat().st_size} bytes, {len(arrays)} arrays, {versions}")


if __name__ == "__main__":
    main()
