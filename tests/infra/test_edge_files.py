"""EdgeFiles: private files on a host, on the real file system by way of the transport that reaches this machine."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from infra.config.edge_cloud import Identity
from infra.edge.errors import EdgeError
from infra.edge.files import EdgeFilesProvider
from infra.edge.shared_config import Role, aws_config

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "planted-key"
PROPS = {
    "host": "local",
    "folder": ".edge/test/files",
    "files": {"fallbackApiKey": SECRET, "aws.config": "[x]\ny = 1\n"},
}


@pytest.fixture
def provider(tmp_path: Path) -> EdgeFilesProvider:
    return EdgeFilesProvider(str(tmp_path))


def written(provider: EdgeFilesProvider, props: dict[str, Any]) -> dict[str, Any]:
    outs = provider.create(props).outs
    assert outs is not None
    return outs


def test_files_are_whole_and_for_their_owner_alone(provider: EdgeFilesProvider, tmp_path: Path) -> None:
    written(provider, PROPS)
    folder = tmp_path / ".edge" / "test" / "files"
    assert {file.name: file.read_text() for file in folder.iterdir()} == PROPS["files"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_second_up_changes_nothing(provider: EdgeFilesProvider) -> None:
    outs = written(provider, PROPS)
    assert not provider.diff("id", outs, PROPS).changes
    assert provider.read("id", outs).outs == outs


def test_what_somebody_changed_opened_or_removed_is_written_again(
    provider: EdgeFilesProvider, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = written(provider, PROPS)
    file = tmp_path / ".edge" / "test" / "files" / "fallbackApiKey"
    for break_it, said in (
        (lambda: file.chmod(0o644), "fallbackApiKey is open to others"),
        (lambda: file.write_text("other"), "fallbackApiKey was changed"),
        (file.unlink, "fallbackApiKey is gone"),
    ):
        break_it()
        assert provider.diff("id", outs, PROPS).changes
        assert said in capsys.readouterr().err
        assert provider.read("id", outs).outs == {**outs, "state": said}
        provider.update("id", outs, PROPS)
        assert not provider.diff("id", outs, PROPS).changes


def test_what_is_no_longer_wanted_goes_and_another_value_needs_no_replacement(
    provider: EdgeFilesProvider, tmp_path: Path
) -> None:
    outs = written(provider, PROPS)
    news = {**PROPS, "files": {"fallbackApiKey": "another"}}
    diff = provider.diff("id", outs, news)
    assert (diff.changes, diff.replaces) == (True, [])
    provider.update("id", outs, news)
    (left,) = (tmp_path / ".edge" / "test" / "files").iterdir()
    assert left.read_text() == "another"


def test_destroy_leaves_nothing(provider: EdgeFilesProvider, tmp_path: Path) -> None:
    outs = written(provider, PROPS)
    provider.delete("id", outs)
    assert not (tmp_path / ".edge" / "test").exists()
    provider.delete("id", outs)


def test_a_folder_that_cannot_be_written_is_one_line_without_the_content(
    provider: EdgeFilesProvider, tmp_path: Path
) -> None:
    (tmp_path / ".edge").write_text("in the way")
    with pytest.raises(EdgeError) as caught:
        provider.create(PROPS)
    assert str(caught.value).startswith("edge host local: ")
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


ROLE = Role("arn:aws:iam::1:role/edge", "arn:anchor", "arn:profile")


def configured(**identity: Any) -> str:
    return aws_config(Identity(**identity), ROLE, region="eu-north-1", session="dev-local")


def test_a_host_with_an_identity_of_its_own_takes_the_role_with_it() -> None:
    assert configured() == (
        "[profile rag-edge]\nregion = eu-north-1\nrole_arn = arn:aws:iam::1:role/edge\n"
        "role_session_name = dev-local\nsource_profile = default\n\n"
    )
    assert "credential_source = Ec2InstanceMetadata\n" in configured(source="Ec2InstanceMetadata")


def test_a_host_with_a_certificate_takes_the_role_by_aws_s_helper() -> None:
    text = configured(
        kind="roles-anywhere",
        subjects=("device",),
        trustAnchorArn="arn:aws:rolesanywhere:eu-north-1:111122223333:trust-anchor/01234567-89ab-cdef-0123-456789abcdef",
        certificate="/etc/my edge/cert.pem",
    )
    assert (
        "credential_process = /usr/local/bin/aws_signing_helper credential-process "
        "--certificate '/etc/my edge/cert.pem' --private-key /etc/rag-edge/certificate.key "
        "--trust-anchor-arn arn:anchor --profile-arn arn:profile --role-arn arn:aws:iam::1:role/edge\n"
    ) in text
    assert "role_arn" not in text
