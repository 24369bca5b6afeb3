"""Counts what exists at the AWS APIs, so that a destroyed stack can be shown to have left nothing."""

from __future__ import annotations

from typing import Any

import boto3

# service, operation, key of the list in the answer, field that names an entry
LISTS = (
    ("acm", "list_certificates", "CertificateSummaryList", "CertificateArn"),
    ("application-autoscaling", "describe_scalable_targets", "ScalableTargets", "ResourceId"),
    ("application-autoscaling", "describe_scaling_policies", "ScalingPolicies", "PolicyARN"),
    ("application-autoscaling", "describe_scheduled_actions", "ScheduledActions", "ScheduledActionARN"),
    ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", "AutoScalingGroupName"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("events", "list_rules", "Rules", "Name"),
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("ec2", "describe_addresses", "Addresses", "AllocationId"),
    ("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    ("ecr", "describe_repositories", "repositories", "repositoryName"),
    ("ecs", "list_task_definitions", "taskDefinitionArns", ""),
    ("eks", "list_clusters", "clusters", ""),
    ("elasticache", "describe_replication_groups", "ReplicationGroups", "ReplicationGroupId"),
    ("elasticache", "describe_cache_subnet_groups", "CacheSubnetGroups", "CacheSubnetGroupName"),
    ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"),
    ("kms", "list_aliases", "Aliases", "AliasName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("s3", "list_buckets", "Buckets", "Name"),
    ("sagemaker", "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
    ("sagemaker", "list_endpoints", "Endpoints", "EndpointName"),
    ("sagemaker", "list_inference_components", "InferenceComponents", "InferenceComponentName"),
    ("sagemaker", "list_models", "Models", "ModelName"),
    ("secretsmanager", "list_secrets", "SecretList", "ARN"),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("ssm", "describe_parameters", "Parameters", "Name"),
)
ASKED: dict[str, dict[str, Any]] = {
    "application-autoscaling": {"ServiceNamespace": "ecs"},
    # AWS has public parameters of its own
    "ssm": {"MaxResults": 50, "ParameterFilters": [{"Key": "Path", "Option": "Recursive", "Values": ["/rag"]}]},
}


def census(region: str) -> set[tuple[str, str]]:
    """Every object that is there, as service and name."""
    found: set[tuple[str, str]] = set()
    for service, operation, key, field in LISTS:
        client: Any = boto3.client(service, region_name=region)
        for entry in getattr(client, operation)(**ASKED.get(service, {}))[key]:
            found.add((f"{service}.{key}", entry[field] if field else entry))
    found |= _with_states(region)
    kms = boto3.client("kms", region_name=region)
    for key in kms.list_keys()["Keys"]:
        meta = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if meta["KeyState"] != "PendingDeletion" and not meta["Description"].startswith("Default master key"):
            found.add(("kms.Keys", key["KeyId"]))
    acls = boto3.client("wafv2", region_name=region).list_web_acls(Scope="REGIONAL")["WebACLs"]
    found |= {("wafv2.WebACLs", each["Id"]) for each in acls}
    account = boto3.client("sts", region_name=region).get_caller_identity()["Account"]
    budgets = boto3.client("budgets", region_name="us-east-1").describe_budgets(AccountId=account).get("Budgets", [])
    return found | {("budgets.Budgets", each["BudgetName"]) for each in budgets}


def _with_states(region: str) -> set[tuple[str, str]]:
    """Objects that the APIs still list for a while after they are deleted."""
    ec2: Any = boto3.client("ec2", region_name=region)
    nats = [each for each in ec2.describe_nat_gateways()["NatGateways"] if each["State"] != "deleted"]
    endpoints = [each for each in ec2.describe_vpc_endpoints()["VpcEndpoints"] if each["State"].lower() != "deleted"]
    instances = [each for group in ec2.describe_instances()["Reservations"] for each in group["Instances"]]
    # the emulator leaves the instances of an Auto Scaling group that was deleted by force; AWS terminates them
    groups = boto3.client("autoscaling", region_name=region).describe_auto_scaling_groups()["AutoScalingGroups"]
    alive = {None, *(each["AutoScalingGroupName"] for each in groups)}
    gone = {each["InstanceId"] for each in instances if _group_of(each) not in alive}
    ended = {"terminated", "shutting-down"}
    running = [each for each in instances if each["State"]["Name"] not in ended and each["InstanceId"] not in gone]
    disks = [
        each
        for each in ec2.describe_volumes()["Volumes"]
        if not {attached["InstanceId"] for attached in each["Attachments"]} & gone
    ]
    # the emulator keeps the interface of a deleted NAT gateway; on AWS none outlives its subnet
    subnets = {each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]}
    interfaces = [
        each for each in ec2.describe_network_interfaces()["NetworkInterfaces"] if each["SubnetId"] in subnets
    ]
    ecs: Any = boto3.client("ecs", region_name=region)
    clusters = ecs.describe_clusters(clusters=ecs.list_clusters()["clusterArns"])["clusters"]
    return {
        *(("ec2.NatGateways", each["NatGatewayId"]) for each in nats),
        *(("ec2.VpcEndpoints", each["VpcEndpointId"]) for each in endpoints),
        *(("ec2.Volumes", each["VolumeId"]) for each in disks),
        *(("ec2.Instances", each["InstanceId"]) for each in running),
        *(("ec2.NetworkInterfaces", each["NetworkInterfaceId"]) for each in interfaces),
        *(("ecs.clusters", each["clusterName"]) for each in clusters if each["status"] != "INACTIVE"),
    }


def _group_of(instance: dict[str, Any]) -> str | None:
    tags = {each["Key"]: each["Value"] for each in instance.get("Tags", [])}
    return tags.get("aws:autoscaling:groupName")
