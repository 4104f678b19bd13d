"""Dockerfile and compose.yaml say what the service knows: settings, port, commands, files."""

import re
import subprocess
import sys

import pytest
from flask import Flask
from sqlalchemy import make_url

from registry.cli import COMMANDS
from registry.config import Settings
from tests.deploy.reading import ROOT, accepted, compose, ours

DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = dict(ours())
NAMES = {name for section in COMMANDS.values() for name in section}


def instructions(word: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return re.findall(rf"^{word} +(.+)$", joined, re.MULTILINE)


@pytest.mark.parametrize("name", sorted(OURS))
def test_every_setting_that_is_named_is_one_and_its_value_is_taken(name: str) -> None:
    accepted(OURS[name])


def test_the_image_has_settings_that_the_service_takes() -> None:
    settings = dict(re.findall(r"(REGISTRY_\w+)=(\S+)", " ".join(instructions("ENV"))))

    assert settings["REGISTRY_HOST"] == "0.0.0.0"
    accepted(settings)


def test_ports_agree() -> None:
    port = str(Settings().port)

    assert instructions("EXPOSE") == [port]
    assert f"'{port}'" in instructions("HEALTHCHECK")[0]
    assert compose()["services"]["registry"]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_the_health_check_is_a_programme_that_asks_an_address_that_there_is(app: Flask) -> None:
    [code] = re.findall(r'"-c",\s+"(.*)"\]', instructions("HEALTHCHECK")[0])

    compile(code, "HEALTHCHECK", "exec")
    [path] = re.findall(r"'(/\w+)'", code)
    assert path in {rule.rule for rule in app.url_map.iter_rules()}


def test_all_that_is_copied_is_there_and_let_through_to_the_builder() -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for line in instructions("COPY") if not line.startswith("--from") for name in line.split()[:-1]}

    assert copied == let_through
    assert all((ROOT / name).exists() for name in copied)


def test_it_runs_as_nobody_special_what_the_lock_file_pins() -> None:
    assert instructions("USER") == ["10001"]
    assert "--uid 10001" in DOCKERFILE
    installs = [line for line in instructions("RUN") if "pip install" in line]
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    assert {image.partition(" ")[0] for image in instructions("FROM")} == {"python:3.13-slim-bookworm", "build", "base"}


def test_commands_exist() -> None:
    assert instructions("ENTRYPOINT") == ['["registry"]']
    started = [service["command"] for name, service in compose()["services"].items() if name != "database"]
    assert {command[0] for command in started} <= NAMES
    for command in started:
        ran = subprocess.run(
            [sys.executable, "-m", "registry", *command, "--help"], capture_output=True, cwd=ROOT, check=False
        )
        assert ran.returncode == 0, command


def test_containers_can_write_nowhere_but_to_their_volumes() -> None:
    for name, service in compose()["services"].items():
        if name != "database":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]
            assert service["security_opt"] == ["no-new-privileges:true"]


def test_requests_under_way_are_given_their_time() -> None:
    seconds = int(compose()["services"]["registry"]["stop_grace_period"].removesuffix("s"))
    assert seconds > Settings().graceful_timeout_seconds


def test_services_connect_as_the_role_that_is_theirs() -> None:
    urls = {name: settings["REGISTRY_DATABASE_URL"] for name, settings in OURS.items() if "compose" in name}

    assert {name.partition(" ")[2]: make_url(url).username for name, url in urls.items()} == {
        "migrate": "postgres",
        "registry": "registry_app",
        "sealer": "audit_sealer",
    }
    logins = (ROOT / "deploy/compose/logins.sql").read_text()
    assert re.findall(r"CREATE ROLE (\w+) LOGIN", logins) == ["registry_app", "audit_sealer"]
