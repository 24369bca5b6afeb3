"""What opsctl must know of SageMaker's instance types: how many GPUs, and whether their disk is their own. Pure."""

from __future__ import annotations

import re

# AWS, accelerated computing instances; types that are not listed have one GPU.
GPUS = {
    "ml.g4dn.12xlarge": 4,
    "ml.g5.12xlarge": 4,
    "ml.g5.24xlarge": 4,
    "ml.g5.48xlarge": 8,
    "ml.g6.12xlarge": 4,
    "ml.g6.24xlarge": 4,
    "ml.g6.48xlarge": 8,
    "ml.g6e.12xlarge": 4,
    "ml.g6e.24xlarge": 4,
    "ml.g6e.48xlarge": 8,
    "ml.p4d.24xlarge": 8,
    "ml.p4de.24xlarge": 8,
    "ml.p5.48xlarge": 8,
    "ml.p5e.48xlarge": 8,
    "ml.p5en.48xlarge": 8,
}
LOCAL_DISK = re.compile(r"ml\.(g4dn|g5|g6|g6e|gr6|p4d|p4de|p5|p5e|p5en|trn1|trn1n|[a-z]+\d+[a-z]*d[a-z]*)\.")


def gpus(instance_type: str) -> int:
    """GPUs of one instance."""
    return GPUS.get(instance_type, 1)


def takes_volume_key(instance_type: str) -> bool:
    """Whether an endpoint config may name a key for the volume.

    SageMaker refuses KmsKeyId for instances with local storage: their disks are encrypted in hardware (API reference,
    CreateEndpointConfig).
    """
    return LOCAL_DISK.match(instance_type) is None
