"""For each rule about clusters and pods, one broken field of the plan of `prod` on EKS, or one resource too many."""

from __future__ import annotations

from typing import Any

from infra.policies.rules import Resource
from tests.policy.bad_functions import Break, put

DEPLOYMENT, STORE = "apps/v1:Deployment", "apps/v1:StatefulSet"
POD = "spec.template.spec"


def first(path: str, key: str, value: Any) -> Break:
    """Sets a field of the first item of a list below `path`; `None` takes it away."""

    def break_it(props: dict[str, Any]) -> None:
        place: Any = props
        for step in path.split("."):
            place = place[step]
        put(key, value)(place[0])

    return break_it


def annotated(name: str, value: str) -> Break:
    def break_it(props: dict[str, Any]) -> None:
        props["metadata"]["annotations"][f"alb.ingress.kubernetes.io/{name}"] = value

    return break_it


def labelled(name: str, value: str) -> Break:
    def break_it(props: dict[str, Any]) -> None:
        props["metadata"]["labels"][name] = value

    return break_it


BAD: dict[str, tuple[str, str, Break]] = {
    "eks-private-endpoint": ("eks/cluster:Cluster", "", put("vpcConfig.endpointPublicAccess", value=True)),
    "eks-supported-version": ("eks/cluster:Cluster", "", put("version", "1.33")),
    "eks-secrets-encrypted": ("eks/cluster:Cluster", "", put("encryptionConfig", None)),
    "eks-control-plane-logged": ("eks/cluster:Cluster", "", put("enabledClusterLogTypes", ["api", "audit"])),
    "eks-access-entries": (
        "eks/cluster:Cluster",
        "",
        put("accessConfig.authenticationMode", "API_AND_CONFIG_MAP"),
    ),
    "eks-nodes-from-template": ("eks/nodeGroup:NodeGroup", "", put("remoteAccess", {"ec2SshKey": "mine"})),
    "eks-nodes-one-by-one": ("eks/nodeGroup:NodeGroup", "", put("updateConfig", {"maxUnavailablePercentage": 50})),
    "eks-nodes-span-zones": ("eks/nodeGroup:NodeGroup", "", put("subnetIds", ["subnet-a"])),
    "eks-policies-enforced": ("eks/addon:Addon", "-vpc-cni", put("configurationValues", None)),
    "kube-charts-pinned": ("helm.sh/v3:Release", "-balancer", put("version", None)),
    "kube-hardened": (
        STORE,
        "-qdrant",
        first(f"{POD}.containers", "securityContext.readOnlyRootFilesystem", value=False),
    ),
    "kube-no-host": (DEPLOYMENT, "", put(f"{POD}.hostNetwork", value=True)),
    "kube-image-by-digest": (DEPLOYMENT, "", first(f"{POD}.containers", "image", "registry.example.com/rag:1")),
    "kube-bounded": (DEPLOYMENT, "", first(f"{POD}.containers", "resources.limits", None)),
    "kube-no-plain-secret": (
        DEPLOYMENT,
        "",
        first(f"{POD}.containers", "env", [{"name": "OPENAI_API_KEY", "value": "planted"}]),
    ),
    "kube-no-plain-setting": ("core/v1:ConfigMap", "-configmap", put("data.OPENAI_API_KEY", "planted")),
    "kube-probes-differ": (
        DEPLOYMENT,
        "",
        first(f"{POD}.containers", "livenessProbe.httpGet.path", "/readyz"),
    ),
    "kube-drains": (DEPLOYMENT, "", put("spec.strategy.rollingUpdate.maxUnavailable", 1)),
    "kube-service-inside": ("core/v1:Service", "prod-service", put("spec.type", "LoadBalancer")),
    "kube-front-tls": ("networking.k8s.io/v1:Ingress", "", annotated("ssl-redirect", "80")),
    "kube-restricted": ("core/v1:Namespace", "", labelled("pod-security.kubernetes.io/enforce", "baseline")),
    "kube-closed": (
        "networking.k8s.io/v1:NetworkPolicy",
        "-default-deny",
        put("spec.policyTypes", ["Ingress"]),
    ),
    "kube-scaler-owns-replicas": (DEPLOYMENT, "", put("spec.replicas", 3)),
    "kube-ways-named": ("networking.k8s.io/v1:NetworkPolicy", "-backup", first("spec.egress", "ports", None)),
    "kube-volumes-encrypted": ("storage.k8s.io/v1:StorageClass", "-data", put("parameters.kmsKeyId", None)),
    "kube-evictable": ("policy/v1:PodDisruptionBudget", "-qdrant", put("spec.maxUnavailable", 0)),
    "kube-stores-saved": (
        "batch/v1:CronJob",
        "-backup-qdrant",
        first("spec.jobTemplate.spec.template.spec.containers", "args", ["save", "mongo"]),
    ),
}
RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
# of types that no stack of ours declares
ADDED: dict[str, Resource] = {
    "eks-no-aws-auth": Resource(
        "kubernetes:core/v1:ConfigMap", "aws-auth", {"metadata": {"name": "aws-auth", "namespace": "kube-system"}}, {}
    ),
    "kube-named-rights": Resource(
        f"{RBAC}:ClusterRole", "wild", {"rules": [{"apiGroups": [""], "resources": ["*"], "verbs": ["get"]}]}, {}
    ),
    "kube-no-administrators": Resource(
        f"{RBAC}:ClusterRoleBinding", "all", {"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}}, {}
    ),
}
