"""What opsctl must know of SageMaker's instance types: how many GPUs, and whether their disk is their own. Pure."""

from __future__ import annotations

import re

from infra.accelerators import GPU_INSTANCES

BFLOAT16 = 8.0  # compute capability; Turing has none
LOCAL_DISK = re.compile(r"ml\.(g4dn|g5|g6|g6e|gr6|p4d|p4de|p5|p5e|p5en|trn1|trn1n|[a-z]+\d+[a-z]*d[a-z]*)\.")


def gpus(instance_type: str) -> int:
    """GPUs of one instance; one where the type isn't known."""
    found = GPU_INSTANCES.get(instance_type)
    return found.count if found else 1


def computes_in_bfloat16(instance_type: str) -> bool:
    """Whether its GPUs do; assumed where the type isn't known, since all newer ones do."""
    found = GPU_INSTANCES.get(instance_type)
    return found is None or found.gpu.capability >= BFLOAT16


def takes_volume_key(instance_type: str) -> bool:
    """Whether an endpoint config may name a key for the volume.

    SageMaker refuses KmsKeyId for instances with local storage: their disks are encrypted in hardware (API reference,
    CreateEndpointConfig).
    """
    return LOCAL_DISK.match(instance_type) is None
