"""The VPC: public subnets for the load balancer and NAT, private ones for everything else; nothing open by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components.permissions import allow, role, trusted_by
from infra.sizing import SubnetPlan, subnet_plan

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.config.platforms import Network as NetworkConfig

ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class NetworkArgs:
    """What the network is built from.

    Attributes:
        config: the stack config's section.
        key_arn: encrypts the flow logs.
        log_retention_days: how long flow logs are kept.
    """

    config: NetworkConfig
    key_arn: pulumi.Input[str]
    log_retention_days: int


class Network(pulumi.ComponentResource):
    """A VPC over N zones. `private_subnet_ids` reach the internet through NAT, S3 through a gateway endpoint."""

    vpc_id: pulumi.Output[str]
    public_subnet_ids: list[pulumi.Output[str]]
    private_subnet_ids: list[pulumi.Output[str]]
    zones: list[pulumi.Output[str]]

    def __init__(self, name: str, site: Site, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:Network", name, None, opts)
        self._name, self._site, self._args = name, site, args
        self._child = pulumi.ResourceOptions(parent=self)
        config = args.config
        plan = subnet_plan(config.cidr, config.zones)
        found = aws.get_availability_zones_output(state="available", opts=pulumi.InvokeOptions(parent=self))
        self.zones = [found.names[index] for index in range(config.zones)]
        self._vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=config.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        self.vpc_id = self._vpc.id
        # an empty rule set: whoever forgets a security group gets one that lets nothing through
        aws.ec2.DefaultSecurityGroup(f"{name}-closed", vpc_id=self.vpc_id, ingress=[], egress=[], opts=self._child)
        self.public_subnet_ids = self._public(plan)
        self.private_subnet_ids = self._private(plan)
        self._interface_endpoints()
        if config.flow_logs:
            self._flow_logs()
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "publicSubnetIds": self.public_subnet_ids,
                "privateSubnetIds": self.private_subnet_ids,
            }
        )

    def _tags(self, what: str) -> dict[str, str]:
        return {"Name": f"{self._name}-{what}"}

    def _subnet(self, kind: str, index: int, cidr: str) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            f"{self._name}-{kind}-{index}",
            vpc_id=self.vpc_id,
            cidr_block=cidr,
            availability_zone=self.zones[index],
            map_public_ip_on_launch=False,
            tags=self._tags(f"{kind}-{index}"),
            opts=self._child,
        )

    def _public(self, plan: SubnetPlan) -> list[pulumi.Output[str]]:
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=self.vpc_id, tags=self._tags("internet"), opts=self._child
        )
        table = aws.ec2.RouteTable(
            f"{self._name}-public", vpc_id=self.vpc_id, tags=self._tags("public"), opts=self._child
        )
        aws.ec2.Route(
            f"{self._name}-public-default",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )
        subnets = [self._subnet("public", index, cidr) for index, cidr in enumerate(plan.public)]
        for index, subnet in enumerate(subnets):
            self._associate(f"public-{index}", subnet, table)
        count = len(subnets) if self._args.config.nat == "per-zone" else 1
        self._nats = [self._nat(index, subnets[index], gateway) for index in range(count)]
        return [subnet.id for subnet in subnets]

    def _nat(self, index: int, subnet: aws.ec2.Subnet, gateway: aws.ec2.InternetGateway) -> aws.ec2.NatGateway:
        behind = pulumi.ResourceOptions(parent=self, depends_on=[gateway])
        address = aws.ec2.Eip(f"{self._name}-nat-{index}", domain="vpc", tags=self._tags(f"nat-{index}"), opts=behind)
        return aws.ec2.NatGateway(
            f"{self._name}-nat-{index}",
            allocation_id=address.id,
            subnet_id=subnet.id,
            tags=self._tags(f"nat-{index}"),
            opts=behind,
        )

    def _private(self, plan: SubnetPlan) -> list[pulumi.Output[str]]:
        subnets = [self._subnet("private", index, cidr) for index, cidr in enumerate(plan.private)]
        tables = [self._private_table(index, nat) for index, nat in enumerate(self._nats)]
        for index, subnet in enumerate(subnets):
            self._associate(f"private-{index}", subnet, tables[index % len(tables)])
        aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            service_name=f"com.amazonaws.{self._site.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=self._tags("s3"),
            opts=self._child,
        )
        return [subnet.id for subnet in subnets]

    def _private_table(self, index: int, nat: aws.ec2.NatGateway) -> aws.ec2.RouteTable:
        table = aws.ec2.RouteTable(
            f"{self._name}-private-{index}", vpc_id=self.vpc_id, tags=self._tags(f"private-{index}"), opts=self._child
        )
        aws.ec2.Route(
            f"{self._name}-private-{index}-default",
            route_table_id=table.id,
            destination_cidr_block=ANYWHERE,
            nat_gateway_id=nat.id,
            opts=self._child,
        )
        return table

    def _associate(self, what: str, subnet: aws.ec2.Subnet, table: aws.ec2.RouteTable) -> None:
        aws.ec2.RouteTableAssociation(
            f"{self._name}-{what}", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )

    def _interface_endpoints(self) -> None:
        services = self._args.config.interface_endpoints
        if not services:
            return
        group = aws.ec2.SecurityGroup(
            f"{self._name}-endpoints",
            vpc_id=self.vpc_id,
            description="Interface endpoints: HTTPS from the VPC",
            tags=self._tags("endpoints"),
            opts=self._child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-endpoints-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=self._args.config.cidr,
            opts=self._child,
        )
        for service in services:
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service.replace('.', '-')}",
                vpc_id=self.vpc_id,
                service_name=f"com.amazonaws.{self._site.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=self.private_subnet_ids,
                security_group_ids=[group.id],
                tags=self._tags(service),
                opts=self._child,
            )

    def _flow_logs(self) -> None:
        group = aws.cloudwatch.LogGroup(
            f"{self._name}-flow",
            name=f"/rag/{self._site.stack}/flow",
            retention_in_days=self._args.log_retention_days,
            kms_key_id=self._args.key_arn,
            opts=self._child,
        )
        writer = role(
            f"{self._name}-flow",
            description="Writes the VPC's flow logs",
            trust=trusted_by(self._site, "vpc-flow-logs.amazonaws.com"),
            statements=[
                allow(
                    ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                    [pulumi.Output.concat(group.arn, ":*")],
                )
            ],
            parent=self,
        )
        aws.ec2.FlowLog(
            f"{self._name}-flow",
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=writer.arn,
            max_aggregation_interval=600,
            tags=self._tags("flow"),
            opts=self._child,
        )
