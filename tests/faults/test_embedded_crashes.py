"""The embedded server shared by real processes, which are killed, forked and interrupted."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket

import hiredis
import pytest

from toril.engine.embedded_process import ServerProcess

# A user of the server that does what its standard input says, and answers each line with the server's pid.
USER = """
import asyncio, os, sys
from pathlib import Path
from toril.engine.embedded import EmbeddedServer

async def main():
    # A busy machine is no fault of the code, and must not be written to stderr as one.
    asyncio.get_running_loop().slow_callback_duration = 60
    server = None
    while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if word == "acquire":
            server = await EmbeddedServer.acquire(Path(sys.argv[1]))
        elif word == "ensure":
            await server.ensure_running()
        elif word == "release":
            await server.release()
        elif word == "children":
            try:
                print(os.waitpid(-1, os.WNOHANG), flush=True)
            except ChildProcessError:
                print(0, flush=True)
            continue
        print(server.pid, flush=True)

asyncio.run(main())
"""


#: On a busy machine a step takes long, of which asyncio's debug mode warns.
QUIET = "import logging; logging.getLogger('asyncio').setLevel(logging.ERROR)"


class User:
    """A process of its own that runs ``script``, with every warning an error."""

    def __init__(self, home: Path, script: str = USER) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", "-c", QUIET + script, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        assert self.process.poll() is None, self.process.communicate()
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def hear(self) -> int:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        return int(line)

    def is_silent(self, *, for_s: float) -> bool:
        assert self.process.stdout is not None
        return not select.select([self.process.stdout], [], [], for_s)[0]

    def do(self, word: str) -> int:
        self.say(word)
        return self.hear()

    def finish(self) -> None:
        """End of input: the script ends by itself, quietly."""
        out, err = self.process.communicate(timeout=60)
        assert (self.process.returncode, out, err) == (0, "", "")

    def kill(self) -> None:
        self.process.kill()
        if self.process.stdout and not self.process.stdout.closed:
            self.process.communicate()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    if home.exists() and ServerProcess(home).lives():
        ServerProcess(home).stop()


@pytest.fixture
def user(home: Path) -> Iterator[Callable[..., User]]:
    users: list[User] = []

    def new(script: str = USER) -> User:
        users.append(User(home, script))
        return users[-1]

    yield new
    for one in users:
        one.kill()


def lives(home: Path) -> bool:
    return ServerProcess(home).lives()


def until(check: Callable[[], bool], *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.005)


def command(home: Path, *words: str) -> object:
    reader = hiredis.Reader(encoding="utf-8")
    with socket(AF_UNIX, SOCK_STREAM) as connection:
        connection.connect(str(ServerProcess(home).find_socket()))
        connection.sendall(f"*{len(words)}\r\n".encode())
        for word in words:
            connection.sendall(f"${len(word)}\r\n{word}\r\n".encode())
        while (reply := reader.gets()) is False:
            reader.feed(connection.recv(65536))
    return reply


def all_written(home: Path) -> bool:
    """Nothing waits in the server's memory for a sync of the disk to end."""
    return "aof_buffer_length:0" in str(command(home, "INFO", "persistence"))


def starts(home: Path) -> int:
    return (home / "server.log").read_text().count("Ready to accept connections")


def test_twenty_processes_that_start_at_once_share_one_server(home: Path, user: Callable[..., User]) -> None:
    users = [user() for _ in range(20)]
    for one in users:
        one.say("acquire")
    pids = {one.hear() for one in users}
    assert len(pids) == 1
    assert starts(home) == 1
    for one in users:
        one.say("release")
    for one in users:
        one.hear()
    assert not lives(home)
    for one in users:
        one.finish()


def test_processes_that_come_and_go_never_find_a_server_that_is_ending(
    home: Path, user: Callable[..., User]
) -> None:
    script = USER.replace(
        'elif word == "ensure":',
        """elif word == "churn":
            for _ in range(15):
                server = await EmbeddedServer.acquire(Path(sys.argv[1]))
                reader, writer = await asyncio.open_unix_connection(server.socket_path)
                writer.write(b"INCR churned\\r\\n")
                assert (await reader.readline()).startswith(b":")
                writer.close()
                await writer.wait_closed()
                await server.release()
        elif word == "ensure":""",
    )
    users = [user(script) for _ in range(4)]
    for one in users:
        one.say("churn")
    for one in users:
        one.hear()
    assert not lives(home)
    user().do("acquire")
    assert command(home, "GET", "churned") == "60"


def test_who_comes_while_the_last_leaves_waits_for_a_server_of_its_own(
    home: Path, user: Callable[..., User]
) -> None:
    pausing = """
import sys
from toril.engine.embedded_process import ServerProcess
stop = ServerProcess.stop
def pause_and_stop(self):
    print(0, flush=True)
    sys.stdin.readline()
    stop(self)
ServerProcess.stop = pause_and_stop
"""
    last, next_ = user(pausing + USER), user()
    pid = last.do("acquire")
    next_.do("children")  # it is ready
    last.do("release")  # found that it is the last, and has not stopped the server yet
    next_.say("acquire")
    assert next_.is_silent(for_s=0.3)
    last.say("go on")
    assert next_.hear() != pid
    assert command(home, "PING") == "PONG"


def test_server_stops_when_the_last_user_leaves_and_not_before(home: Path, user: Callable[..., User]) -> None:
    first, second = user(), user()
    pid = first.do("acquire")
    assert second.do("acquire") == pid
    first.do("release")
    first.finish()
    assert lives(home)
    assert command(home, "PING") == "PONG"
    second.do("release")
    assert not lives(home)


def test_process_that_forgets_to_release_does_so_when_it_ends(home: Path, user: Callable[..., User]) -> None:
    forgetful = user()
    forgetful.do("acquire")
    forgetful.do("acquire")
    forgetful.finish()
    assert not lives(home)


def test_killed_user_leaves_the_server_to_the_next_who_stops_it(
    home: Path, user: Callable[..., User]
) -> None:
    killed, next_ = user(), user()
    pid = killed.do("acquire")
    command(home, "SET", "job", "1")
    killed.kill()
    assert lives(home)
    assert next_.do("acquire") == pid
    assert command(home, "GET", "job") == "1"
    next_.do("release")
    assert not lives(home)


def test_user_killed_while_another_stays_does_not_count_any_more(
    home: Path, user: Callable[..., User]
) -> None:
    killed, other = user(), user()
    killed.do("acquire")
    other.do("acquire")
    killed.kill()
    other.do("release")
    assert not lives(home)


def test_starter_killed_in_mid_start_does_not_lead_to_a_second_server(
    home: Path, user: Callable[..., User]
) -> None:
    killing = """
import os, signal
from toril.engine.embedded_locks import FileLock
FileLock.hand_over = lambda self: os.kill(os.getpid(), signal.SIGKILL)
"""
    starter, next_ = user(killing + USER), user()
    starter.say("acquire")
    starter.process.communicate(timeout=60)
    next_.do("acquire")
    assert starts(home) == 1
    next_.do("release")
    assert not lives(home)


def test_killed_server_is_started_again_by_one_of_its_users_with_its_data(
    home: Path, user: Callable[..., User]
) -> None:
    users = [user() for _ in range(4)]
    (pid,) = {one.do("acquire") for one in users}
    for n in range(100):
        command(home, "RPUSH", "jobs", str(n))
    until(lambda: all_written(home))
    os.kill(pid, signal.SIGKILL)
    for one in users:
        one.say("ensure")
    (new_pid,) = {one.hear() for one in users}
    assert new_pid != pid
    assert starts(home) == 2
    assert command(home, "LLEN", "jobs") == 100
    assert {one.do("ensure") for one in users} == {new_pid}
    for one in users:
        one.do("release")
    assert not lives(home)


def test_acknowledged_writes_of_many_kills_are_all_found(home: Path, user: Callable[..., User]) -> None:
    one = user()
    pid = one.do("acquire")
    for round_ in range(1, 6):
        for _ in range(50):
            command(home, "INCR", "acknowledged")
        until(lambda: all_written(home))
        os.kill(pid, signal.SIGKILL)
        pid = one.do("ensure")
        assert command(home, "GET", "acknowledged") == str(50 * round_)


def test_server_killed_while_it_rewrites_its_file_is_replaced(home: Path, user: Callable[..., User]) -> None:
    one = user()
    pid = one.do("acquire")
    for n in range(200):
        command(home, "SET", f"key-{n}", "x" * 2000)
    command(home, "CONFIG", "SET", "rdb-key-save-delay", "20000")  # the child needs 4 s
    command(home, "BGREWRITEAOF")
    until(lambda: "aof_rewrite_in_progress:1" in str(command(home, "INFO", "persistence")))
    until(lambda: all_written(home))
    os.kill(pid, signal.SIGKILL)
    assert one.do("ensure") != pid
    assert command(home, "GET", "key-199") == "x" * 2000


def test_what_a_crash_left_behind_is_not_taken_for_a_server(home: Path, user: Callable[..., User]) -> None:
    first = user()
    pid = first.do("acquire")
    command(home, "SET", "job", "1")
    until(lambda: all_written(home))
    first.kill()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not lives(home))
    assert (home / "server.sock").exists()
    (home / "server.pid").write_text(f"{os.getpid()}\n")  # the number went to somebody else
    second = user()
    assert second.do("acquire") not in (pid, os.getpid())
    assert command(home, "GET", "job") == "1"
    second.do("release")
    assert not lives(home)


def test_interrupt_of_the_starter_does_not_reach_the_server(home: Path, user: Callable[..., User]) -> None:
    starter, other = user(), user()
    pid = starter.do("acquire")
    other.do("acquire")
    os.killpg(starter.process.pid, signal.SIGINT)  # as the terminal does for Ctrl-C
    starter.process.communicate(timeout=60)
    # How it ends is left open: on a busy machine it may see the end of its input first.
    assert starter.process.returncode is not None
    assert lives(home)
    assert other.do("ensure") == pid


def test_starter_has_no_child_to_wait_for(home: Path, user: Callable[..., User]) -> None:
    starter = user()
    pid = starter.do("acquire")
    assert starter.do("children") == 0
    os.kill(pid, signal.SIGKILL)
    until(lambda: not lives(home))
    assert starter.do("children") == 0
    starter.do("ensure")
    starter.do("release")
    starter.finish()


# Forks a child that lives until its parent ends, or longer, and does with the server what its name says.
FORK = """
import asyncio, os, sys
from pathlib import Path
from toril.engine.embedded import EmbeddedServer

here, there = os.pipe(), os.pipe()
server = asyncio.run(EmbeddedServer.acquire(Path(sys.argv[1])))
if os.fork() == 0:
    os.close(here[1])
    if "{child}" == "joins":
        asyncio.run(server.ensure_running())
    elif "{child}" == "releases":
        asyncio.run(server.release())
    os.write(there[1], b"x")
    os.read(here[0], 1)   # until the parent is gone
    if "{child}" == "outlives":
        sys.stdin.readline()
    if "{child}" == "joins":
        asyncio.run(server.ensure_running())
        asyncio.run(server.release())
    os._exit(0)
os.read(there[0], 1)
print(server.pid, flush=True)
sys.stdin.readline()
asyncio.run(server.ensure_running())
asyncio.run(server.release())
print(0, flush=True)
"""


def test_forked_child_does_not_keep_its_parents_server(home: Path, user: Callable[..., User]) -> None:
    parent = user(FORK.replace("{child}", "is idle"))
    parent.hear()
    assert lives(home)
    parent.do("go on")
    assert not lives(home)
    parent.finish()


def test_forked_child_does_not_count_for_its_killed_parent(home: Path, user: Callable[..., User]) -> None:
    parent, other = user(FORK.replace("{child}", "outlives")), user()
    parent.hear()
    other.do("acquire")
    parent.process.kill()
    parent.process.wait(timeout=60)
    other.do("release")
    assert not lives(home)


def test_release_in_a_forked_child_does_not_take_the_parents_server(
    home: Path, user: Callable[..., User]
) -> None:
    parent, other = user(FORK.replace("{child}", "releases")), user()
    pid = parent.hear()
    assert other.do("acquire") == pid
    other.do("release")
    assert lives(home)  # the parent still counts
    parent.do("go on")
    assert not lives(home)


def test_forked_child_that_uses_the_server_is_a_user_of_its_own(
    home: Path, user: Callable[..., User]
) -> None:
    parent = user(FORK.replace("{child}", "joins"))
    parent.hear()
    parent.do("go on")
    assert lives(home)
    parent.finish()  # the child sees the end of the pipe, and leaves as the last
    until(lambda: not lives(home))


def test_deleted_home_is_made_anew_and_its_new_server_left_alone(
    home: Path, user: Callable[..., User]
) -> None:
    old, new = user(), user()
    old_pid = old.do("acquire")
    home.rename(home.with_name("moved"))
    try:
        new_pid = new.do("acquire")
        assert new_pid != old_pid
        old.do("release")
        until(lambda: not lives(home.with_name("moved")))  # nobody who uses it is left
        assert lives(home)
        assert new.do("ensure") == new_pid
    finally:
        if lives(home.with_name("moved")):
            os.kill(old_pid, signal.SIGTERM)
            until(lambda: not lives(home.with_name("moved")))
