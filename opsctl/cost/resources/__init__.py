"""Every resource type that a topology declares, with what it costs: one function each, or the reason why there is none.

A type that is in none of the three tables makes a report incomplete: a new resource can't be free by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from infra.offline import Declared
from opsctl.cost.components import Component, Situation
from opsctl.cost.resources import compute, kubernetes, monitoring, network, serverless, storage

Pricer = Callable[[Declared, Situation], Iterable[Component]]

PRICED: dict[str, Pricer] = {
    "aws:apigateway/restApi:RestApi": serverless.rest_api,
    "aws:autoscaling/group:Group": compute.instance_group,
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": monitoring.composite,
    "aws:cloudwatch/dashboard:Dashboard": monitoring.dashboard,
    "aws:cloudwatch/eventRule:EventRule": monitoring.events,
    "aws:cloudwatch/logGroup:LogGroup": storage.log_group,
    "aws:cloudwatch/metricAlarm:MetricAlarm": monitoring.alarm,
    "aws:ebs/volume:Volume": storage.volume,
    "aws:ec2/eip:Eip": network.elastic_ip,
    "aws:ec2/instance:Instance": compute.instance,
    "aws:ec2/natGateway:NatGateway": network.nat_gateway,
    "aws:ec2/vpcEndpoint:VpcEndpoint": network.endpoint,
    "aws:ecr/repository:Repository": storage.images,
    "aws:ecs/service:Service": compute.ecs_service,
    "aws:eks/cluster:Cluster": kubernetes.control_plane,
    "aws:eks/nodeGroup:NodeGroup": kubernetes.nodes,
    "aws:elasticache/replicationGroup:ReplicationGroup": storage.cache_nodes,
    "aws:kms/key:Key": storage.key,
    "aws:lambda/function:Function": serverless.function,
    "aws:lambda/provisionedConcurrencyConfig:ProvisionedConcurrencyConfig": serverless.warm_instances,
    "aws:lb/loadBalancer:LoadBalancer": network.load_balancer,
    "aws:s3/bucket:Bucket": storage.bucket,
    "aws:secretsmanager/secret:Secret": storage.secret,
    "aws:wafv2/webAcl:WebAcl": network.web_acl,
    "kubernetes:apps/v1:StatefulSet": kubernetes.stateful_set,
    "kubernetes:networking.k8s.io/v1:Ingress": kubernetes.ingress,
}

UNSUPPORTED: dict[str, str] = {
    "aws:cloudfront/distribution:Distribution": "requests and egress of CloudFront are not in the catalog",
    "aws:cloudfront/function:Function": "invocations of CloudFront's functions are not in the catalog",
}

FREE = frozenset(
    {
        "aws:acm/certificate:Certificate",
        "aws:acm/certificateValidation:CertificateValidation",
        "aws:apigateway/account:Account",
        "aws:apigateway/basePathMapping:BasePathMapping",
        "aws:apigateway/deployment:Deployment",
        "aws:apigateway/domainName:DomainName",
        "aws:apigateway/methodSettings:MethodSettings",
        "aws:apigateway/stage:Stage",  # without a cache
        "aws:appautoscaling/policy:Policy",  # its alarms are AWS's own
        "aws:appautoscaling/scheduledAction:ScheduledAction",
        "aws:appautoscaling/target:Target",
        "aws:budgets/budget:Budget",  # without actions
        "aws:chatbot/slackChannelConfiguration:SlackChannelConfiguration",
        "aws:codedeploy/application:Application",  # free for Lambda
        "aws:codedeploy/deploymentGroup:DeploymentGroup",
        "aws:cloudwatch/eventTarget:EventTarget",
        "aws:cloudwatch/queryDefinition:QueryDefinition",  # a query is paid by what it reads
        "aws:costexplorer/anomalyMonitor:AnomalyMonitor",
        "aws:costexplorer/anomalySubscription:AnomalySubscription",
        "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig",
        "aws:dlm/lifecyclePolicy:LifecyclePolicy",  # its snapshots are priced with their volume
        "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
        "aws:ec2/flowLog:FlowLog",  # paid as its log group
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ec2/networkInterface:NetworkInterface",
        "aws:ec2/route:Route",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/volumeAttachment:VolumeAttachment",
        "aws:ec2/vpc:Vpc",
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        "aws:ecs/capacityProvider:CapacityProvider",
        "aws:ecs/cluster:Cluster",  # what Container Insights writes is in "not included"
        "aws:ecs/clusterCapacityProviders:ClusterCapacityProviders",
        "aws:ecs/taskDefinition:TaskDefinition",
        "aws:eks/accessEntry:AccessEntry",
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        "aws:eks/addon:Addon",  # their pods run on the nodes; what CloudWatch's reports is in "not included"
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "aws:elasticache/subnetGroup:SubnetGroup",
        "aws:iam/instanceProfile:InstanceProfile",
        "aws:iam/role:Role",
        "aws:iam/rolePolicy:RolePolicy",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
        "aws:kms/alias:Alias",
        "aws:lambda/alias:Alias",
        "aws:lambda/permission:Permission",
        "aws:lb/listener:Listener",
        "aws:lb/targetGroup:TargetGroup",
        "aws:lb/targetGroupAttachment:TargetGroupAttachment",
        "aws:rolesanywhere/profile:Profile",
        "aws:rolesanywhere/trustAnchor:TrustAnchor",
        "aws:route53/record:Record",  # an alias to a load balancer answers for nothing
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "aws:s3/bucketLogging:BucketLogging",
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        "aws:s3/bucketObjectv2:BucketObjectv2",  # paid with its bucket
        "aws:s3/bucketPolicy:BucketPolicy",
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        "aws:s3/bucketVersioning:BucketVersioning",
        "aws:secretsmanager/secretVersion:SecretVersion",
        "aws:sns/topic:Topic",
        "aws:sns/topicPolicy:TopicPolicy",
        "aws:sns/topicSubscription:TopicSubscription",
        "aws:ssm/parameter:Parameter",  # standard tier
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        "aws:wafv2/webAclAssociation:WebAclAssociation",
        "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
        # what runs in a cluster is paid as its nodes
        "kubernetes:apps/v1:Deployment",
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
        "kubernetes:batch/v1:CronJob",
        "kubernetes:core/v1:ConfigMap",
        "kubernetes:core/v1:LimitRange",
        "kubernetes:core/v1:Namespace",
        "kubernetes:core/v1:ResourceQuota",
        "kubernetes:core/v1:Secret",
        "kubernetes:core/v1:Service",  # inside the cluster
        "kubernetes:core/v1:ServiceAccount",
        "kubernetes:eks.amazonaws.com/v1:IngressClassParams",
        "kubernetes:helm.sh/v3:Release",
        "kubernetes:networking.k8s.io/v1:IngressClass",
        "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "kubernetes:policy/v1:PodDisruptionBudget",
        "kubernetes:scheduling.k8s.io/v1:PriorityClass",
        "kubernetes:storage.k8s.io/v1:StorageClass",
        "pulumi-python:dynamic:Resource",  # made by the program itself
        "pulumi-python:dynamic/edge:EdgeBundle",  # your own machine
        "pulumi-python:dynamic/edge:EdgeFiles",
        "pulumi-python:dynamic/edge:EdgeInstall",
        "pulumi-python:dynamic/edge:EdgeService",
    }
)
