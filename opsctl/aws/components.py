"""The copies of an inference component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from opsctl.aws.session import client, translated
from opsctl.endpoint.copies import Copies


@dataclass(frozen=True, slots=True)
class ComponentAtAws:
    """Port `opsctl.endpoint.copies.Component`."""

    name: str
    sagemaker: Any

    @classmethod
    def open(cls, region: str, name: str) -> Self:
        """Through a client of its own."""
        return cls(name, client("sagemaker", region))

    def copies(self) -> Copies:
        with translated(f"component '{self.name}'"):
            said = self.sagemaker.describe_inference_component(InferenceComponentName=self.name)
        runtime = said.get("RuntimeConfig", {})
        return Copies(
            said["InferenceComponentStatus"],
            runtime.get("CurrentCopyCount", 0),
            runtime.get("DesiredCopyCount", 0),
            said.get("FailureReason"),
        )

    def want(self, count: int) -> None:
        with translated(f"component '{self.name}'", to="wake"):
            self.sagemaker.update_inference_component_runtime_config(
                InferenceComponentName=self.name, DesiredRuntimeConfig={"CopyCount": count}
            )
