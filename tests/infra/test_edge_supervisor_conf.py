"""supervisord.conf: its exact text, and that supervisord reads back what was meant."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervisor.datatypes import dict_of_key_value_pairs
from supervisor.options import UnhosedConfigParser, expand

from infra.edge.errors import EdgeError
from infra.edge.layout import RunFolder
from infra.edge.supervisor_conf import Program, render

ROOT = Path("/srv/rag")
FOLDER = RunFolder(ROOT / ".edge/local/run")
PYTHON = ROOT / ".venv/bin/python"

GOLDEN = """\
[unix_http_server]
file = /srv/rag/.edge/local/run/supervisor.sock
chmod = 0600

[supervisord]
logfile = /srv/rag/.edge/local/run/logs/supervisord.log
logfile_maxbytes = 10MB
logfile_backups = 3
pidfile = /srv/rag/.edge/local/run/supervisord.pid
childlogdir = /srv/rag/.edge/local/run/logs
directory = /srv/rag
umask = 077

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix:///srv/rag/.edge/local/run/supervisor.sock

[program:service]
command = /srv/rag/.venv/bin/python -m service
directory = /srv/rag
environment = RAG_COLLECTIONS="posts,repos",RAG_PORT="8080"
priority = 1
autorestart = true
startsecs = 3
startretries = 10
stopsignal = TERM
stopwaitsecs = 45
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = /srv/rag/.edge/local/run/logs/service.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3

"""


def service(**environment: str) -> Program:
    return Program(name="service", args=("-m", "service"), environment=environment, stop_wait_s=45, fix="see config")


def read_back(text: str, option: str) -> str:
    parser = UnhosedConfigParser()
    parser.read_string(text)
    expanded: str = expand(parser.get("program:service", option), {}, option)
    return expanded


def test_the_config_is_spelled_as_reviewed() -> None:
    text = render([service(RAG_PORT="8080", RAG_COLLECTIONS="posts,repos")], FOLDER, root=ROOT, python=PYTHON)
    assert text == GOLDEN


@given(value=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=30))
def test_supervisord_reads_the_environment_that_was_meant_or_it_is_refused(value: str) -> None:
    with suppress(EdgeError):
        text = render([service(RAG_COLLECTIONS=value)], FOLDER, root=ROOT, python=PYTHON)
        assert dict_of_key_value_pairs(read_back(text, "environment")) == {"RAG_COLLECTIONS": value}


@pytest.mark.parametrize("value", ['say "x"', "a #comment", "a ;comment", "two\nlines", "'quoted'"])
def test_what_supervisord_has_no_spelling_for_is_refused(value: str) -> None:
    with pytest.raises(EdgeError, match=r"supervisord\.conf can't hold"):
        render([service(RAG_RELEASE=value)], FOLDER, root=ROOT, python=PYTHON)


@pytest.mark.parametrize("value", ["100%", "a,b", "http://127.0.0.1:8081/x?y=1&z=2", "it's", "owner/repo:Q4_K_M", ""])
def test_usual_values_pass_unchanged(value: str) -> None:
    text = render([service(RAG_RELEASE=value)], FOLDER, root=ROOT, python=PYTHON)
    assert dict_of_key_value_pairs(read_back(text, "environment")) == {"RAG_RELEASE": value}


def test_a_project_folder_with_spaces_and_percent_signs_works() -> None:
    text = render([service()], FOLDER, root=Path("/srv/my 100% rag"), python=Path("/srv/my rag/bin/python"))
    assert read_back(text, "command") == "'/srv/my rag/bin/python' -m service"
    assert read_back(text, "directory") == "/srv/my 100% rag"


def test_the_socket_stays_under_the_limit_of_unix_sockets_and_differs_per_folder() -> None:
    long = [RunFolder(Path("/", "x" * 100, name, ".edge", "local", "run")).socket for name in ("a", "b")]
    assert all(len(str(path)) < 60 for path in long)
    assert long[0] != long[1]
