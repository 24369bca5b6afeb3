"""Rules about data: encrypted with the stack's key, kept as long as it should be, and there again after a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.policies.rules import Found, Resource, listed, of_type, parsed, rule, stack_rule

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = "aws:ecr/repository:Repository"
SECRET = "aws:secretsmanager/secret:Secret"  # noqa: S105 - a type token
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
COMPOSITE = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
VOLUME = "aws:ebs/volume:Volume"
INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
KEY = "aws:kms/key:Key"
TOPIC = "aws:sns/topic:Topic"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
TASK = "aws:ecs/taskDefinition:TaskDefinition"
TARGETS = "aws:lb/targetGroup:TargetGroup"
SNAPSHOTS = "aws:dlm/lifecyclePolicy:LifecyclePolicy"


def images_fixed(repository: Resource) -> Found:
    """A digest that was scanned is what runs."""
    if repository.props.get("imageTagMutability") != "IMMUTABLE":
        yield "tags can move"
    if not (repository.props.get("imageScanningConfiguration") or {}).get("scanOnPush"):
        yield "images aren't scanned"


def images_have_own_key(repository: Resource) -> Found:
    """Images are encrypted with the stack's key."""
    chosen = listed(repository.props.get("encryptionConfigurations"))
    if not any(each.get("encryptionType") == "KMS" and each.get("kmsKey") for each in chosen):
        yield "is encrypted with a key of AWS's own"


def secret_has_own_key(secret: Resource) -> Found:
    """Secrets are encrypted with the stack's key."""
    if not secret.props.get("kmsKeyId"):
        yield "is encrypted with the account's default key"


def logs_kept_and_encrypted(group: Resource) -> Found:
    """Logs end, and nobody else reads them."""
    if not group.props.get("retentionInDays"):
        yield "is kept for ever"
    if not group.props.get("kmsKeyId"):
        yield "isn't encrypted with the stack's key"


def alarm_has_runbook(alarm: Resource) -> Found:
    """Whoever is woken is told what to do."""
    if "#alarm-" not in str(alarm.props.get("alarmDescription")):
        yield "links to no entry of the runbook"


def alarms_are_heard(resources: Sequence[Resource]) -> Found:
    """An alarm tells somebody, or is part of one that does."""
    alarms = of_type(resources, ALARM, COMPOSITE)
    heard = [
        each for each in alarms if each.props.get("alarmActions") and each.props.get("actionsEnabled") is not False
    ]
    rules = " ".join(str(each.props.get("alarmRule", "")) for each in heard)
    for alarm in alarms:
        name = alarm.props.get("name")
        if alarm not in heard and not (name and f'"{name}"' in rules):
            yield f"{alarm.name}: tells nobody"


def volume_encrypted(volume: Resource) -> Found:
    """Data at rest is unreadable without the key."""
    if not volume.props.get("encrypted"):
        yield "isn't encrypted"


def host_disk_encrypted(host: Resource) -> Found:
    """The disk that a host boots from is unreadable without the key."""
    root = host.props.get("rootBlockDevice")
    mapped = [each.get("ebs") or {} for each in host.props.get("blockDeviceMappings") or []]
    disks = [*([root] if root else []), *mapped]
    if not disks or not all(str(disk.get("encrypted")).lower() == "true" for disk in disks):
        yield "boots from a disk that isn't encrypted"


def metadata_by_token(host: Resource) -> Found:
    """A request forged through the service can't read the instance's credentials."""
    options = host.props.get("metadataOptions") or {}
    if options.get("httpTokens") != "required":
        yield "answers metadata requests without a token"
    if options.get("httpPutResponseHopLimit", 1) > 1:
        yield "answers metadata requests of its containers"


def cache_encrypted(cache: Resource) -> Found:
    """Cached answers are as private as the documents."""
    for key in ("transitEncryptionEnabled", "atRestEncryptionEnabled"):
        if not cache.props.get(key):
            yield f"{key} is off"
    for key in ("authToken", "kmsKeyId"):
        if not cache.props.get(key):
            yield f"has no {key}"


def cache_fails_over(cache: Resource) -> Found:
    """Several nodes stand in for each other, in several zones."""
    for key in ("automaticFailoverEnabled", "multiAzEnabled"):
        if cache.props.get("numCacheClusters", 1) > 1 and not cache.props.get(key):
            yield f"{key} is off"


def key_rotates(key: Resource) -> Found:
    """Key material is renewed every year."""
    if not key.props.get("enableKeyRotation"):
        yield "isn't rotated"


def topic_encrypted(topic: Resource) -> Found:
    """What went wrong is nobody else's business."""
    if not topic.props.get("kmsMasterKeyId"):
        yield "isn't encrypted with the stack's key"


def bucket_versioned(versioning: Resource) -> Found:
    """What is overwritten can be had again."""
    if (versioning.props.get("versioningConfiguration") or {}).get("status") != "Enabled":
        yield "keeps no versions"


def bucket_encrypted(encryption: Resource) -> Found:
    """Objects are encrypted by default."""
    for each in encryption.props.get("rules") or [{}]:
        chosen = each.get("applyServerSideEncryptionByDefault") or {}
        # load balancers can't write their log with a key of the customer's
        if chosen.get("sseAlgorithm") != "aws:kms" and not encryption.name.endswith("-logs-encryption"):
            yield "isn't encrypted with the stack's key"


def deregistration_below_stop_timeout(resources: Sequence[Resource]) -> Found:
    """The balancer lets go before the task is killed, and after the last answer."""
    stops = [
        container.get("stopTimeout", 30)
        for task in of_type(resources, TASK)
        for container in parsed(task.props.get("containerDefinitions") or "[]")
    ]
    for targets in of_type(resources, TARGETS):
        delay = float(targets.props.get("deregistrationDelay", 300))
        if stops and delay >= min(stops):
            yield f"{targets.name}: deregistration takes {delay:g} s, the task is killed after {min(stops)} s"


def data_volumes_have_snapshots(resources: Sequence[Resource]) -> Found:
    """Data that stands alone is backed up."""
    covered = [
        dict((each.props.get("policyDetails") or {}).get("targetTags") or {})
        for each in of_type(resources, SNAPSHOTS)
        if each.props.get("state") == "ENABLED"
    ]
    for volume in of_type(resources, VOLUME):
        tags = volume.props.get("tags") or {}
        if not any(target and target.items() <= dict(tags).items() for target in covered):
            yield f"{volume.name}: no lifecycle policy makes snapshots of it"


RULES = (
    rule("images-fixed", images_fixed, "set IMMUTABLE and scanOnPush", REPOSITORY),
    rule("images-own-key", images_have_own_key, "set encryptionConfigurations", REPOSITORY),
    rule("secret-own-key", secret_has_own_key, "set kmsKeyId", SECRET),
    rule("logs-kept-and-encrypted", logs_kept_and_encrypted, "set retentionInDays and kmsKeyId", LOG_GROUP),
    rule("alarm-runbook", alarm_has_runbook, "end its description with the entry's link", ALARM, COMPOSITE),
    rule("volume-encrypted", volume_encrypted, "set encrypted", VOLUME),
    rule("host-disk-encrypted", host_disk_encrypted, "set encrypted", INSTANCE, TEMPLATE),
    rule("metadata-by-token", metadata_by_token, "set httpTokens to required, the hop limit to 1", INSTANCE, TEMPLATE),
    rule("cache-encrypted", cache_encrypted, "set all four", CACHE),
    rule("cache-fails-over", cache_fails_over, "switch both on", CACHE),
    rule("key-rotates", key_rotates, "set enableKeyRotation", KEY),
    rule("topic-encrypted", topic_encrypted, "set kmsMasterKeyId", TOPIC),
    rule("bucket-versioned", bucket_versioned, "set status to Enabled", VERSIONING),
    rule("bucket-encrypted", bucket_encrypted, "set sseAlgorithm to aws:kms", ENCRYPTION),
)
STACK_RULES = (
    stack_rule("alarm-heard", alarms_are_heard, "set alarmActions, or name it in a composite alarm"),
    stack_rule("deregistration-below-stop-timeout", deregistration_below_stop_timeout, "set deregistrationDelay to 30"),
    stack_rule("volumes-have-snapshots", data_volumes_have_snapshots, "tag the volume for a lifecycle policy"),
)
