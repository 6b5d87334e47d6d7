"""Layers over complex maps.

A map of C complex channels is a real tensor of 2 C: all real parts, then all imaginary ones.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def stack(values: Tensor) -> Tensor:
    """Complex (B, C, h, w) to real (B, 2 C, h, w)."""
    return torch.cat([values.real, values.imag], dim=1)


def unstack(x: Tensor) -> Tensor:
    """Real (B, 2 C, h, w) to complex (B, C, h, w)."""
    real, imaginary = x.float().chunk(2, dim=1)
    return torch.complex(real.contiguous(), imaginary.contiguous())


def join(*parts: Tensor) -> Tensor:
    """Complex channels one after the other: real parts of all first, as every layer here reads them."""
    halves = [part.chunk(2, dim=1) for part in parts]
    return torch.cat([half[0] for half in halves] + [half[1] for half in halves], dim=1)


class ComplexConv(nn.Module):
    """Convolution with complex weights on a torus: W * z = (Wr * x - Wi * y) + i (Wr * y + Wi * x).

    Odd ``size``. A spectrum is periodic, so its edges are continued from the other side.
    """

    def __init__(self, inputs: int, outputs: int, size: int = 3) -> None:
        super().__init__()
        self.real = nn.Parameter(torch.zeros(outputs, inputs, size, size))
        self.imaginary = nn.Parameter(torch.zeros(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(2 * outputs))

    def initialise(self, generator: torch.Generator) -> None:
        """Rayleigh moduli and uniform phases (Trabelsi et al., arXiv:1705.09792), for :func:`cardioid`."""
        fan = self.real[0].numel()
        modulus = torch.sqrt(-2 * torch.log(torch.rand(self.real.shape, generator=generator).clamp(min=1e-7)))
        phase = 2 * math.pi * torch.rand(self.real.shape, generator=generator)
        with torch.no_grad():
            self.real.copy_(modulus * torch.cos(phase) / math.sqrt(fan))
            self.imaginary.copy_(modulus * torch.sin(phase) / math.sqrt(fan))
            self.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 inputs, h, w) to (B, 2 outputs, h, w)."""
        weight = torch.cat(
            [torch.cat([self.real, -self.imaginary], 1), torch.cat([self.imaginary, self.real], 1)], 0
        )
        reach = self.real.shape[-1] // 2
        if reach:
            x = F.pad(x, (reach, reach, reach, reach), mode="circular")
        return F.conv2d(x, weight, self.bias)


def cardioid(x: Tensor) -> Tensor:
    """Z (1 + cos arg z) / 2: keeps every phase, is the ReLU on the real axis (Virtue et al., ICIP 2017)."""
    real, imaginary = x.chunk(2, dim=1)
    share = 0.5 + 0.5 * real * torch.rsqrt(real.square() + imaginary.square() + 1e-6)
    return torch.cat([real * share, imaginary * share], dim=1)
