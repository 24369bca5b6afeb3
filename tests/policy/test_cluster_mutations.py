"""One safe field is flipped at a time in the plan of `prod` on EKS: the pack catches it, or a reason is listed here."""

from __future__ import annotations

from typing import Any

from infra.policies import pack
from tests.policy import bad_functions
from tests.policy.test_mutations import mutants
from tests.policy.test_rules import EKS, SELF_HOSTED, resources_of

GONE = bad_functions.GONE
POD = "spec.template.spec"
# of every pod; what it is flipped to
POD_FLIPS: dict[str, Any] = {
    "automountServiceAccountToken": True,
    "securityContext.runAsNonRoot": False,
    "securityContext.seccompProfile": GONE,
    "terminationGracePeriodSeconds": 5,
    "containers.[].image": "registry.example.com/rag:latest",
    "containers.[].resources.limits": GONE,
    "containers.[].readinessProbe": GONE,
    "containers.[].livenessProbe": GONE,
    "containers.[].securityContext.allowPrivilegeEscalation": True,
    "containers.[].securityContext.privileged": True,
    "containers.[].securityContext.readOnlyRootFilesystem": False,
    "containers.[].securityContext.runAsUser": 0,
    "containers.[].securityContext.capabilities.drop": [],
}
PODS = {f"{POD}.{path}": value for path, value in POD_FLIPS.items()}
FLIPS: dict[str, dict[str, Any]] = {
    "eks/cluster:Cluster": {
        "vpcConfig.endpointPrivateAccess": False,
        "vpcConfig.endpointPublicAccess": True,
        "encryptionConfig": GONE,
        "enabledClusterLogTypes": [],
        "upgradePolicy.supportType": "EXTENDED",
        "accessConfig.authenticationMode": "CONFIG_MAP",
    },
    "eks/nodeGroup:NodeGroup": {"launchTemplate": GONE, "updateConfig": GONE},
    "ec2/launchTemplate:LaunchTemplate": {
        "metadataOptions.httpTokens": "optional",
        "metadataOptions.httpPutResponseHopLimit": 2,
        "blockDeviceMappings.[].ebs.encrypted": "false",
    },
    "kubernetes:apps/v1:Deployment": {
        **PODS,
        "spec.strategy.rollingUpdate.maxUnavailable": 1,
        "spec.strategy.type": "Recreate",
    },
    "kubernetes:apps/v1:StatefulSet": {**PODS, "spec.persistentVolumeClaimRetentionPolicy.whenDeleted": "Delete"},
    "kubernetes:core/v1:Namespace": {"metadata.labels": {}},
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": {
        "spec.policyTypes": ["Ingress"],
        "spec.egress.[].to": GONE,
        "spec.egress.[].ports": GONE,
        "spec.ingress.[].from": GONE,
        "spec.ingress.[].ports": GONE,
    },
    "kubernetes:policy/v1:PodDisruptionBudget": {
        "spec.unhealthyPodEvictionPolicy": GONE,
        "spec.maxUnavailable": 0,
    },
    "kubernetes:storage.k8s.io/v1:StorageClass": {
        "parameters.encrypted": "false",
        "parameters.kmsKeyId": GONE,
        "volumeBindingMode": "Immediate",
        "reclaimPolicy": "Delete",
    },
    "kubernetes:autoscaling/v2:HorizontalPodAutoscaler": {"spec.minReplicas": 1},
    "kubernetes:core/v1:Service": {"spec.type": "LoadBalancer"},
}
KEPT = "follows the key protect, without which a stack leaves nothing behind"
# what no rule catches, and why none should
SURVIVORS = {
    f"{POD}.securityContext.runAsNonRoot": "each container says it itself",
    f"{POD}.securityContext.seccompProfile": "each container says it itself",
    f"{POD}.terminationGracePeriodSeconds": "of a store: no request is lost, it replays its log",
    "spec.policyTypes": "the policy of all pods closes both ways; this one only opens",
    "spec.minReplicas": "a named key, service.replicas.min",
    "spec.persistentVolumeClaimRetentionPolicy.whenDeleted": KEPT,
    "reclaimPolicy": KEPT,
}


def test_flips_of_a_cluster_are_caught_and_the_survivors_are_known() -> None:
    plan = resources_of("prod", **EKS, **SELF_HOSTED)
    assert pack.violations(plan) == []
    found = {name: bool(pack.violations(mutant)) for name, mutant in mutants(plan, FLIPS)}
    assert {name.partition(" ")[2] for name in found} == {path for each in FLIPS.values() for path in each}
    assert {name.partition(" ")[2] for name, caught in found.items() if not caught} == set(SURVIVORS)
    service = [name for name, caught in found.items() if not caught and "-prod-deployment" in name]
    assert {name.rpartition(".")[2] for name in service} == {"runAsNonRoot", "seccompProfile"}
