#!/usr/bin/env python3
"""Makes goldens.npz, what PyTorch gives: draws, parameters and attention for fixed seeds.

    python3 -m venv venv && venv/bin/pip install torch numpy && venv/bin/python tests/golden/make_goldens.py

The file names the versions that made it. Tests compare parameters bit for bit, and outputs and weights within 1e-6.
"""

import pathlib

import numpy as np
import torch
from torch import nn

SEEDS = [42, 0, 1, 7, 1234, 2026]
E = 8


def pattern():
    tokens = np.zeros((6, E), np.float32)
    for i in range(6):
        tokens[i, i % 3] = 1.0
    return tokens


def fibonacci():
    tokens = np.zeros((6, E), np.float32)
    tokens[:, 0] = np.array([1, 1, 2, 3, 5, 8], np.float32) / np.float32(8)
    return tokens


def sequential():
    tokens = np.zeros((4, E), np.float32)
    for i in range(4):
        tokens[i, : i + 1] = 1.0
    return tokens


EXPERIMENTS = {"pattern": pattern(), "fibonacci": fibonacci(), "sequential": sequential()}


TORCH_MODULES = {
    "packed": {},
    "split": {"kdim": 5, "vdim": 7},
    "no_bias": {"bias": False},
    "appended": {"add_bias_kv": True, "add_zero_attn": True},
}


class MultiHeadAttention(nn.Module):
    """The module of the tutorials: four linear layers, split into heads, softmax(q k^T / sqrt(D)) v, join."""

    def __init__(self, embed_dim, num_heads, kdim=None, vdim=None, bias=True):
        super().__init__()
        self.num_heads = num_heads
        self.W_q = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.W_k = nn.Linear(kdim or embed_dim, embed_dim, bias=bias)
        self.W_v = nn.Linear(vdim or embed_dim, embed_dim, bias=bias)
        self.W_o = nn.Linear(embed_dim, embed_dim, bias=bias)

    def forward(self, query, key, value, mask=None):
        def split(x):
            return x.view(x.shape[0], x.shape[1], self.num_heads, -1).transpose(1, 2)

        q, k, v = split(self.W_q(query)), split(self.W_k(key)), split(self.W_v(value))
        scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        joined = (weights @ v).transpose(1, 2).reshape(query.shape[0], query.shape[1], -1)
        return self.W_o(joined), weights


def parameters(module):
    return np.concatenate([p.detach().numpy().ravel() for p in module.parameters()])


def main():
    arrays = {"versions": np.frombuffer(f"torch {torch.__version__}, numpy {np.__version__}".encode(), np.uint8)}
    torch.set_num_threads(1)

    for seed in [0, 42, -1, 2**32 + 42, 2**63]:
        torch.manual_seed(seed)
        arrays[f"uniform/{seed}/float32"] = torch.empty(200).uniform_(-0.3, 0.7123).numpy()
        torch.manual_seed(seed)
        arrays[f"uniform/{seed}/float64"] = torch.empty(50, dtype=torch.float64).uniform_(-0.123, 0.777).numpy()
    for count in [1, 2, 7, 15, 16, 17, 40, 100]:
        torch.manual_seed(3)
        arrays[f"normal/{count}/float32"] = torch.empty(count).normal_(0.5, 2.0).numpy()
        torch.manual_seed(3)
        arrays[f"normal/{count}/float64"] = torch.empty(count, dtype=torch.float64).normal_(0.5, 2.0).numpy()
    # The state carries over from one draw to the next: an odd number of scalar normal draws leaves a spare one.
    torch.manual_seed(5)
    mixed = [torch.randn(3), torch.rand(4), torch.randn(20), torch.randn(2)]
    arrays["mixed"] = torch.cat(mixed).numpy()

    for seed in SEEDS:
        for heads in [1, 2]:
            torch.manual_seed(seed)
            module = MultiHeadAttention(E, heads)
            arrays[f"experiment/{seed}/parameters"] = parameters(module)
            for name, tokens in EXPERIMENTS.items():
                x = torch.from_numpy(tokens)[None]
                with torch.no_grad():
                    output, weights = module(x, x, x)
                arrays[f"experiment/{seed}/{heads}/{name}/weights"] = weights[0].numpy()
                arrays[f"experiment/{seed}/{heads}/{name}/output"] = output[0].numpy()
    for name, tokens in EXPERIMENTS.items():
        arrays[f"experiment/{name}/tokens"] = tokens

    # Cross-attention with other key and value sizes, a padding mask and a causal one; and without bias.
    for bias in [True, False]:
        torch.manual_seed(11)
        module = MultiHeadAttention(12, 3, kdim=5, vdim=7, bias=bias)
        query, key, value = torch.randn(2, 4, 12), torch.randn(2, 6, 5), torch.randn(2, 6, 7)
        mask = torch.ones(2, 1, 4, 6)
        mask[1, :, :, 4:] = 0
        mask[:, :, 0, 3:] = 0
        with torch.no_grad():
            output, weights = module(query, key, value, mask)
        case = {"parameters": parameters(module), "query": query.numpy(), "key": key.numpy(), "value": value.numpy()}
        case |= {"mask": mask.numpy(), "output": output.numpy(), "weights": weights.numpy()}
        for key_name, array in case.items():
            arrays[f"cross/{'bias' if bias else 'no_bias'}/{key_name}"] = array

    # torch's own module, whose initialisation and extra keys differ. Its masks say True where a cell is blocked.
    for name, options in TORCH_MODULES.items():
        torch.manual_seed(17)
        module = nn.MultiheadAttention(12, 3, **options)
        query = torch.randn(4, 2, 12)
        key = torch.randn(6, 2, options.get("kdim", 12))
        value = torch.randn(6, 2, options.get("vdim", 12))
        attn_mask = torch.rand(2 * 3, 4, 6) < 0.3
        key_padding_mask = torch.zeros(2, 6, dtype=torch.bool)
        key_padding_mask[1, 4:] = True
        attn_mask[:, :, 0] = False  # every row sees a key
        with torch.no_grad():
            output, weights = module(
                query, key, value, key_padding_mask, attn_mask=attn_mask, average_attn_weights=False
            )
        case = {"query": query, "key": key, "value": value, "attn_mask": attn_mask}
        case |= {"key_padding_mask": key_padding_mask, "output": output, "weights": weights}
        case |= {f"state.{parameter}": tensor for parameter, tensor in module.state_dict().items()}
        for key_name, tensor in case.items():
            arrays[f"torch_mha/{name}/{key_name}"] = tensor.detach().numpy()

    path = pathlib.Path(__file__).parent / "goldens.npz"
    np.savez_compressed(path, **{name.replace("/", "."): array for name, array in arrays.items()})
    print(f"{path}: {path.stat().st_size} bytes, {len(arrays)} arrays")


if __name__ == "__main__":
    main()
