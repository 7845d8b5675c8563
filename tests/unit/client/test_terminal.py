"""What others wrote never steers the terminal it is printed on."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from local.terminal import Narrator
from signet.core.canonical import canonicalize
from signet.crypto import keyfiles, suites
from signet_client import terminal
from signet_client.cli.common import print_json
from tests.support.commands import Commands, commands
from tests.support.forgery import remade, rezip, unzip
from tests.support.packs import log_with_days
from tests.support.pch_server import PchServer, running

KEY = suites.get("ed25519").generate()
ROOT = Path(__file__).resolve().parents[3]
DEMO = ROOT / "tools" / "pch_client_demo.py"

#: Clears the screen, sets the title, hides text, goes up a line, rings; and the same in C1 controls.
STEERS = "\x1b[2J\x1b[H\x1b]0;owned\x07\x1b[8m\x1b[1A\r\x08\x7f\x9b2J\x85"
HIDES = "\u202eDOOG\u2066\u200b\u2028\u2029\ufeff\u00ad\u3164\ufe0f\U000e0041"
LIES = "\nGOOD: every decision recorded is here"
HOSTILE = f"a{STEERS}{HIDES}{LIES}[bold red]b[/][link=https://evil.example]c[/link]:bomb:"
ASCII = HOSTILE.encode("ascii", "ignore").decode()

SGR = re.compile(r"\x1b\[[0-9;]*m")


def _is_harmless(character: str) -> bool:
    return character in "\r\n" or (character.isprintable() and character not in "\u3164\ufe0f")


def _shown_on_a_terminal(*command: object, **environment: str) -> tuple[int, str]:
    """Run a command whose standard output and error are a terminal; return its exit code and output."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment},
        cwd=ROOT,
    )
    os.close(follower)
    came = b"".join(_read(leader))
    os.close(leader)
    return process.wait(), came.decode()


@pytest.fixture(scope="module")
def ready() -> Iterator[Commands]:
    with commands() as started:
        yield started


def _signet(ready: Commands, *arguments: object, **environment: str) -> tuple[int, str]:
    """Run the command on a terminal, without loading it anew."""
    env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", **environment}
    leader, follower = pty.openpty()
    came: list[bytes] = []
    reader = threading.Thread(target=lambda: came.extend(_read(leader)))
    reader.start()
    done = ready.run(arguments, env, terminal=os.ttyname(follower))
    os.close(follower)
    reader.join()
    os.close(leader)
    return done.returncode, b"".join(came).decode()


def _read(leader: int) -> Iterator[bytes]:
    with suppress(OSError):  # how Linux says that no process has the terminal any more
        while chunk := os.read(leader, 65_536):
            yield chunk


def _assert_harmless(shown: str, *, with_content: bool = False) -> None:
    rest = [character for character in SGR.sub("", shown) if not _is_harmless(character)]
    assert rest == []
    assert with_content or not re.search(r"(?m)^GOOD", shown)


@pytest.fixture(scope="module")
def members() -> dict[str, bytes]:
    return unzip(log_with_days(2).pack())


def _zipped(files: dict[str, bytes]) -> bytes:
    """Zip files as any tool does, with any names."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return packed.getvalue()


@pytest.fixture
def hostile_packs(members: dict[str, bytes], tmp_path: Path) -> list[Path]:
    manifest = json.loads(members["manifest.json"])
    renamed = {**manifest, **dict.fromkeys((key for key in manifest if key != "files"), HOSTILE)}
    listing = {**manifest, "files": [*manifest["files"], {**manifest["files"][0], "name": HOSTILE}]}
    keyed = json.loads(members["keys.json"])
    packs = [
        rezip({**members, "manifest.json": canonicalize(listing)}),
        remade({**members, ASCII: b"x"}),
        _zipped({**members, HOSTILE: b"x"}),
        remade({**members, "manifest.json": canonicalize(renamed)}),
        remade({**members, "manifest.json": canonicalize({**manifest, ASCII: 1})}),
        remade({**members, "keys.json": canonicalize({**keyed, "origin": HOSTILE})}),
        remade({**members, "receipts.jsonl": canonicalize({"type": HOSTILE, ASCII: HOSTILE}) + b"\n"}),
    ]
    paths = []
    for number, data in enumerate(packs):
        paths.append(tmp_path / f"{number}.zip")
        paths[-1].write_bytes(data)
    return paths


def test_a_hostile_pack_says_nothing_of_its_own(ready: Commands, hostile_packs: list[Path]) -> None:
    told = ""
    for path in hostile_packs:
        code, shown = _signet(ready, "verify", path)
        assert code == 1, shown
        _assert_harmless(shown)
        assert "Traceback" not in shown
        told += shown
    code, shown = _signet(ready, "prove", hostile_packs[0], HOSTILE)
    assert code in {1, 2}
    _assert_harmless(shown)
    assert "\\x1b[2J" in told
    assert "\\u202e" in told


def test_json_is_ascii_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"file": HOSTILE + "\udc9b", HOSTILE: [HOSTILE]}
    print_json(value)
    told = capsys.readouterr().out
    assert told.isascii()
    _assert_harmless(told)
    assert json.loads(told) == value


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running({KEY.key_id: KEY}) as running_server:
        yield running_server


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(keyfiles.dump_private(KEY))
    return path


ANSWERS = {
    "text": HOSTILE.encode(),
    "json": json.dumps({"message": HOSTILE, HOSTILE: [HOSTILE]}).encode(),
    "raw json": json.dumps({"message": f"a{HIDES}"}, ensure_ascii=False).encode(),
    "no UTF-8": b"\xff\x9b2J\x1b[2J",
}


@pytest.mark.parametrize(
    ("status", "answer"),
    [(200, "text"), (500, "text"), (403, "json"), (200, "raw json"), (200, "no UTF-8")],
)
def test_a_hostile_server_says_nothing_of_its_own(
    ready: Commands, server: PchServer, key: Path, status: int, answer: str
) -> None:
    server.behaviour.behind["/protected"] = (status, {}, ANSWERS[answer])
    url = f"{server.origin}/protected"
    code, shown = _signet(ready, "call", url, "--key", key)
    assert code == (status != 200)
    assert f"answer    {status}" in shown
    _assert_harmless(shown, with_content=True)
    if answer == "raw json":
        own = _shown_on_a_terminal(sys.executable, "-m", "signet_client.cli", "call", url, "--key", key)
        assert own[0] == code
        _assert_harmless(own[1], with_content=True)
    _code, shown = _shown_on_a_terminal(sys.executable, DEMO, "--url", url, "--key", key)
    assert "Content" in shown
    _assert_harmless(shown, with_content=True)


def test_a_body_goes_into_a_pipe_as_it_came(server: PchServer, key: Path) -> None:
    body = b"\x00\xff\x1b[2J" + HOSTILE.encode() + b"\r\n\ttail"
    server.behaviour.behind["/protected"] = (200, {}, body)
    command = [sys.executable, "-m", "signet_client.cli", "call", f"{server.origin}/protected", "--key", key]
    done = subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.endswith(b"\n\n" + body)


def test_a_server_that_refuses_to_build_or_names_itself_says_nothing(
    ready: Commands, server: PchServer, key: Path, tmp_path: Path
):
    output = tmp_path / "pa\x1b[2Jck[bold].zip"
    arguments = ("pack", "--date", "2026-01-31", "-o", output, "--key", key, "--url", server.origin)
    pack = b"PK" + bytes(1000)
    for status, body in (
        (200, {"error": HOSTILE, "message": HOSTILE}),
        (200, {"url": f"https://evil.example/{HOSTILE}", "sha256": HOSTILE, "size": 1}),
        (200, {"url": f"{server.origin}/bucket/gone\x1b[2J", "sha256": "0" * 64, "size": len(pack)}),
        (500, {"message": HOSTILE}),
    ):
        server.behaviour.behind["/compliance/pack"] = (status, {}, json.dumps(body).encode())
        code, shown = _signet(ready, *arguments, NO_COLOR="1")
        assert code in {1, 2}
        assert "\x1b" not in shown
        _assert_harmless(shown)
        assert "Traceback" not in shown


def test_a_malfunction_quotes_nothing_raw() -> None:
    program = f"""
import signet_client.cli.commands as commands
from signet_client.cli import main
def broken(**_): raise RuntimeError({HOSTILE!r})
commands.app.command("broken")(lambda: broken())
main()
"""
    code, shown = _shown_on_a_terminal(sys.executable, "-c", program, "broken")
    assert code == 1
    assert "RuntimeError: a\\x1b[2J" in shown
    _assert_harmless(shown)


def test_the_command_line_itself_is_quoted_escaped(ready: Commands) -> None:
    for arguments in (
        ("verify", f"{HOSTILE}.zip"),
        (f"--{STEERS}",),
        (STEERS,),
        ("call", f"http://{HOSTILE}"),
        ("keys", "list", "--url", "http://127.0.0.1:9/", "--log-id", HOSTILE),
        ("audit", f"ftp://{STEERS}"),
        ("policy", "check", STEERS),
    ):
        code, shown = _signet(ready, *arguments, NO_COLOR="1")
        assert code == 2, shown
        _assert_harmless(shown)


def test_every_character_that_is_not_seen_is_escaped() -> None:
    for code in (*range(0x3000), *range(0xD800, 0xE000), *range(0xFE00, 0x10000), *range(0xE0000, 0xE0200)):
        told = terminal.plain(chr(code))
        assert told
        assert not [one for one in told if one in "\r\n" or not _is_harmless(one)], hex(code)
    assert terminal.plain("Grüße, 世界: café €") == "Grüße, 世界: café €"
    assert terminal.plain("\udcff") == "\\xff"
    assert terminal.plain_block("a\tb\r\nc\rd\n") == "a       b\nc\\x0dd\n"


def test_tables_and_bars_take_markup_for_text(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    console = terminal.console()
    console.file = shown
    table = Table("A")
    table.add_row("[bold]x[/bold] [link=https://evil.example]y[/link] :bomb:")
    console.width = 200
    console.print(table)
    assert "[bold]x[/bold] [link=https://evil.example]y[/link] :bomb:" in shown.getvalue()
    monkeypatch.setattr("sys.stderr", shown)
    bar, task = terminal.bar("[bold]x\x1b[2J")
    assert bar.tasks[task].description == "[bold]x\\x1b[2J"
    assert "[bold]x" in str(bar.columns[0].render(bar.tasks[task]))


def test_the_demo_shows_words_of_others_as_text() -> None:
    shown = io.StringIO()
    narrator = Narrator(Console(file=shown, width=400, force_terminal=True, color_system=None), steps=1)
    narrator.say(HOSTILE)
    narrator.good(HOSTILE, HOSTILE)
    narrator.table(["A"], [[HOSTILE]])
    _assert_harmless(shown.getvalue())


def test_a_terminal_without_utf_8_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii"))
    terminal.say("Grüße")
    assert raw.getvalue() == b"Gr\\xfc\\xdfe\n"
