"""GPU instances that SageMaker hosts models on, as data: how many GPUs, of which kind, beside how much memory."""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "2026-11-22"
SOURCE = "AWS's instance type pages; GPU memory as NVIDIA's driver reports it, which is less than the card's name says"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU.

    Attributes:
        gib: memory that a program can see.
        capability: NVIDIA's compute capability; it decides which kinds of quantisation there are kernels for.
    """

    name: str
    gib: float
    capability: float


@dataclass(frozen=True, slots=True)
class GpuInstance:
    """An instance type: its GPUs, and the memory of the host."""

    gpu: Gpu
    count: int
    host_gib: int

    @property
    def gib(self) -> float:
        """Memory of all its GPUs."""
        return self.gpu.gib * self.count


T4 = Gpu("T4", 15.0, 7.5)
A10G = Gpu("A10G", 22.5, 8.6)
L4 = Gpu("L4", 22.5, 8.9)
L40S = Gpu("L40S", 45.0, 8.9)
A100_40 = Gpu("A100 40 GB", 39.5, 8.0)
A100_80 = Gpu("A100 80 GB", 79.3, 8.0)
H100 = Gpu("H100", 79.6, 9.0)
H200 = Gpu("H200", 140.4, 9.0)

GPU_INSTANCES: dict[str, GpuInstance] = {
    "ml.g4dn.xlarge": GpuInstance(T4, 1, 16),
    "ml.g4dn.2xlarge": GpuInstance(T4, 1, 32),
    "ml.g4dn.4xlarge": GpuInstance(T4, 1, 64),
    "ml.g4dn.12xlarge": GpuInstance(T4, 4, 192),
    "ml.g5.xlarge": GpuInstance(A10G, 1, 16),
    "ml.g5.2xlarge": GpuInstance(A10G, 1, 32),
    "ml.g5.4xlarge": GpuInstance(A10G, 1, 64),
    "ml.g5.8xlarge": GpuInstance(A10G, 1, 128),
    "ml.g5.12xlarge": GpuInstance(A10G, 4, 192),
    "ml.g5.24xlarge": GpuInstance(A10G, 4, 384),
    "ml.g5.48xlarge": GpuInstance(A10G, 8, 768),
    "ml.g6.xlarge": GpuInstance(L4, 1, 16),
    "ml.g6.2xlarge": GpuInstance(L4, 1, 32),
    "ml.g6.4xlarge": GpuInstance(L4, 1, 64),
    "ml.g6.8xlarge": GpuInstance(L4, 1, 128),
    "ml.g6.12xlarge": GpuInstance(L4, 4, 192),
    "ml.g6.24xlarge": GpuInstance(L4, 4, 384),
    "ml.g6.48xlarge": GpuInstance(L4, 8, 768),
    "ml.g6e.xlarge": GpuInstance(L40S, 1, 32),
    "ml.g6e.2xlarge": GpuInstance(L40S, 1, 64),
    "ml.g6e.4xlarge": GpuInstance(L40S, 1, 128),
    "ml.g6e.12xlarge": GpuInstance(L40S, 4, 384),
    "ml.g6e.24xlarge": GpuInstance(L40S, 4, 768),
    "ml.g6e.48xlarge": GpuInstance(L40S, 8, 1536),
    "ml.p4d.24xlarge": GpuInstance(A100_40, 8, 1152),
    "ml.p4de.24xlarge": GpuInstance(A100_80, 8, 1152),
    "ml.p5.4xlarge": GpuInstance(H100, 1, 256),
    "ml.p5.48xlarge": GpuInstance(H100, 8, 2048),
    "ml.p5en.48xlarge": GpuInstance(H200, 8, 2048),
}
