"""What the cluster is declared as: private, encrypted, logged, and what each role in it may do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra import offline
from infra.components.eks import controllers
from tests.infra.cloud_cases import config, second_phase


def declared(stack: str, **more: Any) -> offline.Program:
    return offline.declare(config(stack, second_phase(topology="eks", **more)))


@pytest.fixture(scope="module")
def prod() -> offline.Program:
    return declared("prod")


@pytest.fixture(scope="module")
def dev() -> offline.Program:
    return offline.declare(config("dev", {"topology": "eks"}))


@pytest.fixture(scope="module")
def auto() -> offline.Program:
    return declared("prod", eks={"mode": "auto"})


def cluster(program: offline.Program) -> dict[str, Any]:
    return dict(program.one("eks/cluster:Cluster").inputs)


def statements(program: offline.Program, role: str) -> list[dict[str, Any]]:
    policy = program.one("iam/rolePolicy:RolePolicy", f"-{role}-policy")
    return list(json.loads(policy.inputs["policy"])["Statement"])


def trusted(program: offline.Program, role: str) -> dict[str, Any]:
    document = json.loads(program.one("iam/role:Role", f"-{role}").inputs["assumeRolePolicy"])
    return dict(document["Statement"][0])


def test_the_control_plane_is_private_encrypted_and_fully_logged(prod: offline.Program) -> None:
    made = cluster(prod)
    assert made["version"] == "1.35"
    assert made["upgradePolicy"] == {"supportType": "STANDARD"}
    assert made["enabledClusterLogTypes"] == ["api", "audit", "authenticator", "controllerManager", "scheduler"]
    assert made["vpcConfig"]["endpointPrivateAccess"] is True
    assert made["vpcConfig"]["endpointPublicAccess"] is False
    assert made["encryptionConfig"]["resources"] == ["secrets"]
    assert made["encryptionConfig"]["provider"]["keyArn"] == prod.one("kms/key:Key").inputs.get(
        "arn", f"arn:aws:kms:eu-north-1:{offline.ACCOUNT}:rag-platform-prod-key"
    )


def test_its_log_group_is_there_before_it_with_a_key_and_an_end(prod: offline.Program) -> None:
    group = prod.one("cloudwatch/logGroup:LogGroup", "control-plane")
    assert group.inputs["name"] == f"/aws/eks/{cluster(prod)['name']}/cluster"
    assert group.inputs["retentionInDays"] == 365
    assert group.inputs["kmsKeyId"]
    assert group.urn in prod.one("eks/cluster:Cluster").depends_on


def test_access_is_by_entries_and_nowhere_by_a_config_map(prod: offline.Program) -> None:
    assert cluster(prod)["accessConfig"]["authenticationMode"] == "API"
    assert not [each for each in prod.of("core/v1:ConfigMap") if each.inputs["metadata"].get("name") == "aws-auth"]


def test_named_networks_reach_the_api_server_where_the_config_says(dev: offline.Program) -> None:
    made = cluster(dev)["vpcConfig"]
    assert (made["endpointPublicAccess"], made["publicAccessCidrs"]) == (True, ["192.0.2.0/24"])
    assert made["endpointPrivateAccess"] is True


def test_nodes_ask_their_metadata_by_token_and_no_pod_does(prod: offline.Program) -> None:
    template = prod.one("ec2/launchTemplate:LaunchTemplate", "-node").inputs
    assert template["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    (disk,) = template["blockDeviceMappings"]
    assert (disk["ebs"]["volumeType"], disk["ebs"]["encrypted"]) == ("gp3", "true")
    assert {each["resourceType"] for each in template["tagSpecifications"]} == {"instance", "volume"}
    assert template["tagSpecifications"][0]["tags"]["topology"] == "eks"


def test_the_node_group_spans_the_zones_and_the_autoscaler_owns_its_size(prod: offline.Program) -> None:
    group = prod.one("eks/nodeGroup:NodeGroup")
    assert len(group.inputs["subnetIds"]) == 3
    assert group.inputs["scalingConfig"] == {"minSize": 3, "maxSize": 11, "desiredSize": 3}
    assert group.inputs["updateConfig"] == {"maxUnavailable": 1}
    assert group.inputs["capacityType"] == "ON_DEMAND"
    assert group.ignored == ("scalingConfig.desiredSize",)


def test_nodes_may_be_spare_capacity() -> None:
    spot = declared("prod", eks={"nodes": {"capacity": "spot", "diskGiB": 80}})
    assert spot.one("eks/nodeGroup:NodeGroup").inputs["capacityType"] == "SPOT"
    (disk,) = spot.one("ec2/launchTemplate:LaunchTemplate", "-node").inputs["blockDeviceMappings"]
    assert disk["ebs"]["volumeSize"] == 80


def test_a_node_waits_for_its_network_and_the_other_add_ons_for_a_node(prod: offline.Program) -> None:
    group = prod.one("eks/nodeGroup:NodeGroup")
    addons = {each.inputs["addonName"]: each for each in prod.of("eks/addon:Addon")}
    first = {"vpc-cni", "kube-proxy", "eks-pod-identity-agent"}
    later = {"coredns", "metrics-server", "aws-ebs-csi-driver", "amazon-cloudwatch-observability"}
    assert addons.keys() == first | later
    assert {addons[name].urn for name in first} <= set(group.depends_on)
    for name in later:
        assert group.urn in addons[name].depends_on, name


def test_network_policies_are_enforced_and_logs_reach_the_services_group_unwrapped(prod: offline.Program) -> None:
    told = {each.inputs["addonName"]: each.inputs.get("configurationValues") for each in prod.of("eks/addon:Addon")}
    assert json.loads(told["vpc-cni"]) == {"enableNetworkPolicy": "true"}
    watching = json.loads(told["amazon-cloudwatch-observability"])
    spelled = watching["containerLogs"]["fluentBit"]["config"]["extraFiles"]["application-log.conf"]
    own = spelled.split("Match               service.*")[1].split("[OUTPUT]")[0]
    assert "log_group_name      /rag/prod/service" in own
    assert "log_key             log" in own  # the line alone, or CloudWatch finds no metric in it
    assert "log_format          json/emf" in own
    assert "/var/log/containers/*_rag-prod_*.log" in spelled
    assert prod.outputs["logs"] == {"kind": "cloudwatch", "group": "/rag/prod/service", "selector": None}


ACCOUNTS = {
    "network-vpc-cni": ("kube-system", "aws-node"),
    "system-aws-ebs-csi-driver": ("kube-system", "ebs-csi-controller-sa"),
    "system-amazon-cloudwatch-observability": ("amazon-cloudwatch", "cloudwatch-agent"),
    "balancer": ("kube-system", "aws-load-balancer-controller"),
    "autoscaler": ("kube-system", "cluster-autoscaler"),
    "service": ("rag-prod", "rag-api"),
}


@pytest.mark.parametrize("role", ACCOUNTS)
def test_a_pods_role_is_bound_to_its_service_account_of_this_cluster(role: str, prod: offline.Program) -> None:
    namespace, account = ACCOUNTS[role]
    statement = trusted(prod, role)
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:eu-north-1:{offline.ACCOUNT}:cluster/rag-prod",
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": account,
    }


def test_the_service_runs_as_the_account_that_its_role_is_bound_to(prod: offline.Program) -> None:
    bound = prod.one("eks/podIdentityAssociation:PodIdentityAssociation", "-service").inputs
    pod = prod.one("apps/v1:Deployment").inputs
    assert bound["serviceAccount"] == pod["spec"]["template"]["spec"]["serviceAccountName"]
    assert bound["namespace"] == pod["metadata"]["namespace"]


def test_the_service_may_read_its_secrets_and_switches_and_ask_its_model_and_no_more(prod: offline.Program) -> None:
    actions = {action for each in statements(prod, "service") for action in each["Action"]}
    assert actions == {
        "kms:Decrypt",
        "sagemaker:InvokeEndpoint",
        "sagemaker:InvokeEndpointWithResponseStream",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
    }
    assert not [each for each in statements(prod, "service") if "*" in each["Resource"]]
    (read,) = [each for each in statements(prod, "service") if "secretsmanager:GetSecretValue" in each["Action"]]
    names = {arn.rpartition("prod-")[2] for arn in read["Resource"]}
    assert names == {"openaiApiKey", "qdrantApiKey", "mongoUrl", "redisUrl", "apiKeys"}  # no caller's own key


def test_secrets_reach_the_pods_by_arn_only(prod: offline.Program) -> None:
    told = prod.one("core/v1:ConfigMap").inputs["data"]
    referred = json.loads(told["RAG_SECRETS_FROM"])
    assert referred.keys() == {"OPENAI_API_KEY", "QDRANT_APIKEY", "DATABASE_HOST", "RAG_REDIS_URL"}
    assert all(arn.startswith("arn:aws:secretsmanager:") for arn in referred.values())
    assert "planted" not in json.dumps([each.inputs for each in prod.resources if each.type.startswith("kubernetes:")])


def test_no_token_of_the_cluster_is_kept(prod: offline.Program) -> None:
    (provider,) = [each for each in prod.resources if each.type == "pulumi:providers:kubernetes"]
    (user,) = json.loads(provider.inputs["kubeconfig"])["users"]
    assert user["user"]["exec"]["command"] == "aws"
    assert user["user"]["exec"]["args"][2:6] == ["eks", "get-token", "--cluster-name", "rag-platform-prod-cluster"] or (
        "rag-prod" in user["user"]["exec"]["args"]
    )
    assert "token" not in user["user"]


def test_controllers_are_pinned_and_may_touch_what_they_made_for_this_cluster_only(prod: offline.Program) -> None:
    charts = {each.inputs["chart"]: each.inputs for each in prod.of("helm.sh/v3:Release")}
    for chart in (controllers.BALANCER, controllers.AUTOSCALER):
        assert charts[chart.name]["version"] == chart.version
        assert charts[chart.name]["repositoryOpts"] == {"repo": chart.repository}
    assert charts["cluster-autoscaler"]["values"]["image"] == {"tag": "v1.35.0"}
    for role in ("balancer", "autoscaler"):
        for each in statements(prod, role):
            verbs = {action.partition(":")[2] for action in each["Action"]}
            reads = all(verb.startswith(("Describe", "Get", "List")) for verb in verbs)
            assert reads or "*" not in each["Resource"], each
            assert not [action for action in each["Action"] if "*" in action]


def test_the_ingress_waits_for_the_controller_and_everything_for_the_network(prod: offline.Program) -> None:
    """So on the way down the Ingress goes first, while the controller is there and can still call AWS."""
    needs = {each.urn: set(each.depends_on) for each in prod.resources}
    ingress = prod.one("networking.k8s.io/v1:Ingress")
    releases = {each.urn for each in prod.of("helm.sh/v3:Release")}
    assert releases <= set(ingress.depends_on)
    (provider,) = [each for each in prod.resources if each.type == "pulumi:providers:kubernetes"]
    routes = {each.urn for kind in ("ec2/route:Route", "ec2/natGateway:NatGateway") for each in prod.of(kind)}
    assert routes <= needs[provider.urn]
    assert {each.urn for each in prod.of("eks/nodeGroup:NodeGroup")} <= needs[provider.urn]


def test_pods_reach_the_cache_through_the_clusters_group(prod: offline.Program) -> None:
    rule = prod.one("SecurityGroupIngressRule", "-pods-cache-in").inputs
    assert rule["referencedSecurityGroupId"] == "rag-platform-prod-cluster-group"
    assert rule["fromPort"] == 6379


def test_auto_mode_brings_nodes_balancing_and_volumes_itself(auto: offline.Program) -> None:
    made = cluster(auto)
    assert made["computeConfig"]["enabled"] is True
    assert made["computeConfig"]["nodePools"] == ["general-purpose", "system"]
    assert made["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert made["kubernetesNetworkConfig"]["elasticLoadBalancing"] == {"enabled": True}
    assert made["bootstrapSelfManagedAddons"] is False
    assert not auto.of("eks/nodeGroup:NodeGroup")
    assert not auto.of("helm.sh/v3:Release")
    assert {each.inputs["addonName"] for each in auto.of("eks/addon:Addon")} == {
        "metrics-server",
        "amazon-cloudwatch-observability",
    }
    assert auto.one("networking.k8s.io/v1:IngressClass").inputs["spec"]["controller"] == "eks.amazonaws.com/alb"
    assert "sts:TagSession" in trusted(auto, "cluster")["Action"]


def test_auto_mode_enforces_network_policies_and_gates_its_pods(auto: offline.Program) -> None:
    """Its nodes do nothing of a policy until they are told to, and its webhook looks for a label of its own."""
    (switch,) = [each for each in auto.of("core/v1:ConfigMap") if each.inputs["metadata"]["name"] == "amazon-vpc-cni"]
    assert switch.inputs["metadata"]["namespace"] == "kube-system"
    assert switch.inputs["data"] == {"enable-network-policy-controller": "true"}
    labels = auto.one("core/v1:Namespace").inputs["metadata"]["labels"]
    gates = {label for label in labels if label.endswith("pod-readiness-gate-inject")}
    assert gates == {"eks.amazonaws.com/pod-readiness-gate-inject"}


def test_auto_mode_may_tag_its_load_balancers_and_use_the_stacks_key(auto: offline.Program) -> None:
    """AWS's own policies for it allow neither tags of the user's nor a key of the user's."""
    found = statements(auto, "cluster")
    (balancing,) = [each for each in found if "elasticloadbalancing:CreateLoadBalancer" in each["Action"]]
    assert balancing["Condition"] == {"StringEquals": {"aws:RequestTag/eks:eks-cluster-name": "rag-prod"}}
    assert any("kms:CreateGrant" in each["Action"] for each in found)
    tags = auto.one("networking.k8s.io/v1:Ingress").inputs["metadata"]["annotations"]["alb.ingress.kubernetes.io/tags"]
    assert "topology=eks" in tags


def test_a_firewall_that_is_done_without_can_be_taken_away() -> None:
    without = declared("prod", access={"waf": False})
    actions = {action for each in statements(without, "balancer") for action in each["Action"]}
    assert "wafv2:DisassociateWebACL" in actions
    assert "wafv2:AssociateWebACL" not in actions


def test_who_else_administers_is_named_by_the_config() -> None:
    team = "arn:aws:iam::111122223333:role/platform"
    made = declared("prod", eks={"admins": [team]})
    assert made.one("eks/accessEntry:AccessEntry").inputs["principalArn"] == team
    policy = made.one("eks/accessPolicyAssociation:AccessPolicyAssociation").inputs
    assert policy["policyArn"].endswith("AmazonEKSClusterAdminPolicy")


def test_the_public_name_points_at_the_load_balancer_of_the_ingress(prod: offline.Program) -> None:
    (alias,) = prod.one("route53/record:Record", "-address").inputs["aliases"]
    assert alias["name"].endswith(".amazonaws.com")
    assert prod.outputs["url"] == "https://api.example.com"
