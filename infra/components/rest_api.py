"""The front door of a function: a Regional REST API that streams, throttles, and validates before the function is paid.

A new document is a new deployment of the one stage; a new version of the function is none: the API calls its alias.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from infra.components.permissions import role, trusted_by

if TYPE_CHECKING:
    from infra.components.account import Site
    from infra.components.tls_dns import PublicName
    from infra.config.platforms import Lambda

STAGE = "live"
TLS = "TLS_1_2"  # the oldest that is spoken
LOG_WRITER = "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
ACCESS_LOG = {
    name: f"$context.{context}"
    for name, context in {
        "requestId": "requestId",
        "traceId": "xrayTraceId",
        "time": "requestTime",
        "address": "identity.sourceIp",
        "method": "httpMethod",
        "path": "path",
        "status": "status",
        "bytes": "responseLength",
        "latencyMs": "responseLatency",
        "integrationMs": "integrationLatency",
        "integrationStatus": "integration.integrationStatus",
        "error": "error.message",
        "waf": "waf.status",
    }.items()
}


@dataclass(frozen=True)
class RestApiArgs:
    """What the API is built from.

    Attributes:
        document: the import document.
        function: name of the function.
        alias: its alias, which is all that the API may invoke.
        domain: the public name; None leaves the API its own.
        public: certificate and record of that name.
        config: throttling, and who owns the account's log role.
        key_arn: encrypts the access log.
        log_retention_days: how long it is kept.
    """

    document: pulumi.Output[str]
    function: pulumi.Input[str]
    alias: pulumi.Input[str]
    domain: str | None
    public: PublicName | None
    config: Lambda
    key_arn: pulumi.Input[str]
    log_retention_days: int


class RestApi(pulumi.ComponentResource):
    """`url` is where it answers, `stage_arn` what a firewall guards, `name` what its metrics are called by."""

    url: pulumi.Output[str]
    stage_arn: pulumi.Output[str]
    name: pulumi.Output[str]

    def __init__(self, name: str, site: Site, args: RestApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("rag-platform:component:RestApi", name, None, opts)
        self._name, self._site, self._args = name, site, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._api = aws.apigateway.RestApi(
            f"{name}-api",
            name=name,
            description=f"Front of the stack {site.stack}",
            body=args.document,
            endpoint_configuration={"types": "REGIONAL"},
            disable_execute_api_endpoint=args.domain is not None,
            put_rest_api_mode="overwrite",
            fail_on_warnings=False,  # a response without a model is worth a warning to AWS
            opts=self._child,
        )
        self._let_in()
        stage = self._stage()
        self.stage_arn, self.name = stage.arn, self._api.name
        self.url = self._address(stage)
        self.register_outputs({"url": self.url})

    def _let_in(self) -> None:
        """This API may invoke the alias, and nobody else."""
        args = self._args
        aws.lambda_.Permission(
            f"{self._name}-invoke",
            action="lambda:InvokeFunction",  # of a streamed answer too
            function=args.function,
            qualifier=args.alias,
            principal="apigateway.amazonaws.com",
            source_arn=pulumi.Output.concat(self._api.execution_arn, "/*/*"),
            opts=self._child,
        )

    def _stage(self) -> aws.apigateway.Stage:
        args = self._args
        log = aws.cloudwatch.LogGroup(
            f"{self._name}-access",
            name=f"/rag/{self._site.stack}/access",
            retention_in_days=args.log_retention_days,
            kms_key_id=args.key_arn,
            opts=self._child,
        )
        deployment = aws.apigateway.Deployment(
            f"{self._name}-deployment",
            rest_api=self._api.id,
            triggers={"document": args.document.apply(_digest)},
            opts=self._child,
        )
        stage = aws.apigateway.Stage(
            f"{self._name}-stage",
            rest_api=self._api.id,
            deployment=deployment.id,
            stage_name=STAGE,
            xray_tracing_enabled=True,
            access_log_settings={"destination_arn": log.arn, "format": json.dumps(ACCESS_LOG)},
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._log_role()),
        )
        throttle = args.config.throttle
        aws.apigateway.MethodSettings(
            f"{self._name}-settings",
            rest_api=self._api.id,
            stage_name=stage.stage_name,
            method_path="*/*",
            settings={
                "metrics_enabled": True,
                "logging_level": "ERROR",
                "data_trace_enabled": False,  # questions and answers are nobody's log lines
                "throttling_rate_limit": throttle.requests_per_second,
                "throttling_burst_limit": throttle.burst,
                "caching_enabled": False,
            },
            opts=self._child,
        )
        return stage

    def _log_role(self) -> list[pulumi.Resource]:
        """The one role by which API Gateway logs in a region of an account; whose it is, the config says."""
        if self._args.config.gateway_log_role == "existing":
            return []
        writer = role(
            f"{self._name}-gateway-logs",
            description="API Gateway writes its logs with it, for every API of the region",
            trust=trusted_by(self._site, "apigateway.amazonaws.com"),
            statements=[],
            parent=self,
        )
        attached = aws.iam.RolePolicyAttachment(
            f"{self._name}-gateway-logs", role=writer.name, policy_arn=LOG_WRITER, opts=self._child
        )
        account = aws.apigateway.Account(
            f"{self._name}-account",
            cloudwatch_role_arn=writer.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[attached]),
        )
        return [account]

    def _address(self, stage: aws.apigateway.Stage) -> pulumi.Output[str]:
        args = self._args
        if args.domain is None or args.public is None:
            url: pulumi.Output[str] = stage.invoke_url
            return url
        domain = aws.apigateway.DomainName(
            f"{self._name}-domain",
            domain_name=args.domain,
            regional_certificate_arn=args.public.certificate_arn,
            endpoint_configuration={"types": "REGIONAL"},
            security_policy=TLS,
            opts=self._child,
        )
        mapping = aws.apigateway.BasePathMapping(
            f"{self._name}-root",
            domain_name=domain.domain_name,
            rest_api=self._api.id,
            stage_name=stage.stage_name,
            opts=self._child,
        )
        args.public.alias(domain.regional_domain_name, domain.regional_zone_id)
        own: pulumi.Output[str] = mapping.id.apply(lambda _: f"https://{args.domain}")
        return own


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
