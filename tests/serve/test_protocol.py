"""How long a reader may take nothing of what waits for it."""

from types import SimpleNamespace

import pytest

from microgpt_serve.protocol import SEND_S, GuardedProtocol


class Connection:
    """A connection whose reader the test is, with a clock of its own."""

    def __init__(self) -> None:
        self.n_waiting, self.is_aborted, self.alarms = 0, False, []
        self.protocol = GuardedProtocol.__new__(GuardedProtocol)
        self.protocol.transport = SimpleNamespace(
            get_write_buffer_size=lambda: self.n_waiting, abort=self.abort
        )
        self.protocol.loop = SimpleNamespace(call_later=self.call_later)
        nothing = SimpleNamespace(pause_writing=lambda: None, resume_writing=lambda: None)
        self.protocol.flow = nothing

    def abort(self) -> None:
        self.is_aborted = True

    def call_later(self, seconds, function, *args):
        assert seconds == SEND_S
        self.alarms.append(lambda: function(*args))
        return SimpleNamespace(cancel=self.alarms.clear)

    def pass_time(self) -> None:
        self.alarms.pop()()


@pytest.fixture
def connection() -> Connection:
    connection = Connection()
    connection.n_waiting = 1_000_000
    connection.protocol.pause_writing()
    return connection


def test_a_reader_that_takes_nothing_is_hung_up_on(connection) -> None:
    connection.pass_time()
    assert connection.is_aborted


def test_a_reader_that_takes_a_little_each_time_is_waited_for(connection) -> None:
    for _ in range(50):
        connection.n_waiting -= 1_000
        connection.pass_time()
        assert not connection.is_aborted
    connection.pass_time()
    assert connection.is_aborted


def test_a_reader_that_has_taken_most_of_it_is_not_waited_for(connection) -> None:
    connection.protocol.resume_writing()
    assert not connection.alarms
