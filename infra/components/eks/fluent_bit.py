"""What Fluent Bit of the CloudWatch add-on does with the containers' lines. Pure.

The service's lines go as they are into the stack's own log group: CloudWatch finds the metrics in them only where
nothing is wrapped around a line. Everything else goes where Container Insights looks for it.
"""

from __future__ import annotations

from textwrap import dedent

COMMON = """\
    multiline.parser    docker, cri
    Mem_Buf_Limit       50MB
    Skip_Long_Lines     On
    Refresh_Interval    10
    Rotate_Wait         30
    storage.type        filesystem
    Read_from_Head      ${READ_FROM_HEAD}
"""


def applications(cluster: str, namespace: str, log_group: str) -> str:
    """The file `application-log.conf`: the namespace's containers apart from all others."""
    own = f"/var/log/containers/*_{namespace}_*.log"
    return "\n".join(
        (
            _tail("service.*", own, db="flb_service.db"),
            _tail("application.*", "/var/log/containers/*.log", db="flb_container.db", without=own),
            _kubernetes("application.*"),
            _cloudwatch("service.*", log_group, more="    log_key             log\n    log_format          json/emf\n"),
            _cloudwatch("application.*", f"/aws/containerinsights/{cluster}/application"),
        )
    )


def _tail(tag: str, path: str, *, db: str, without: str | None = None) -> str:
    exclude = f"    Exclude_Path        {without}\n" if without else ""
    return (
        f"[INPUT]\n    Name                tail\n    Tag                 {tag}\n"
        f"    Path                {path}\n{exclude}    DB                  /var/fluent-bit/state/{db}\n{COMMON}"
    )


def _kubernetes(tag: str) -> str:
    return dedent(
        f"""\
        [FILTER]
            Name                kubernetes
            Match               {tag}
            Kube_URL            https://kubernetes.default.svc:443
            Kube_Tag_Prefix     {tag.removesuffix("*")}var.log.containers.
            Merge_Log           On
            Merge_Log_Key       log_processed
            Labels              Off
            Annotations         Off
            Use_Kubelet         On
            Kubelet_Port        10250
            Buffer_Size         0
        """
    )


def _cloudwatch(tag: str, group: str, more: str = "") -> str:
    """The groups are made before, with a key and an end; Fluent Bit makes none."""
    return (
        f"[OUTPUT]\n    Name                cloudwatch_logs\n    Match               {tag}\n"
        f"    region              ${{AWS_REGION}}\n    log_group_name      {group}\n"
        f"    log_stream_prefix   ${{HOST_NAME}}-\n    auto_create_group   false\n{more}"
    )
