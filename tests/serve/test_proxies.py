import http.client
import sys
import uuid

import pytest

PROXY, STRANGER = "127.0.0.2", "127.0.0.1"  # all of 127.0.0.0/8 is this machine, on Linux
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="127.0.0.2 is no address here")


def ask(server, peer: str, *forwarded: str, path: str = "/nowhere") -> int:
    """Return the status of a request that comes from an address of this machine."""
    client = http.client.HTTPConnection(server.host, server.port, source_address=(peer, 0))
    client.putrequest("GET", path)
    for value in forwarded:
        client.putheader("X-Forwarded-For", value)
    client.endheaders()
    try:
        return client.getresponse().status
    finally:
        client.close()


def client_of(server, peer: str, *forwarded: str) -> str:
    """Return whose request it was, as the log has it."""
    path = f"/{uuid.uuid4()}"
    ask(server, peer, *forwarded, path=path)
    return server.wait_for(rf"Z (\S+) GET {path} ")[1]


@pytest.fixture(scope="module")
def behind(shared, names_dir):
    return shared(names_dir, MICROGPT_TRUSTED_PROXIES=f"{PROXY}, 10.0.0.0/8, 2001:db8:cafe::/48")


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (["1.2.3.4"], "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4"], "1.2.3.4"),  # what stands before it, anyone could have sent
        (["6.6.6.6", "1.2.3.4"], "1.2.3.4"),  # in several lines, too
        (["6.6.6.6,1.2.3.4 , 10.1.2.3"], "1.2.3.4"),  # over two proxies
        (["6.6.6.6, 2001:db8::7, 2001:db8:cafe::1"], "2001:db8::7"),
        (["1.2.3.4, ::ffff:10.1.2.3, 10.4.5.6"], "1.2.3.4"),  # one of them knows IPv6, too
        (["1.2.3.4:5678"], "1.2.3.4"),
        (["[2001:db8::7]:5678, 10.1.2.3:80"], "2001:db8::7"),
        (["10.1.1.1, 10.2.2.2"], "10.1.1.1"),  # a client inside
        (["6.6.6.6, unknown"], "unknown"),  # no address: still no reason to go on to the next
        (["1.2.3.4, "], PROXY),
        ([""], PROXY),
        ([], PROXY),
    ],
)
def test_a_trusted_proxy_can_provide_the_client_address(behind, forwarded, client) -> None:
    assert client_of(behind, PROXY, *forwarded) == client


@pytest.mark.parametrize("forwarded", [["1.2.3.4"], ["1.2.3.4, 127.0.0.2"], ["10.0.0.1", PROXY]])
def test_a_forwarded_address_from_an_untrusted_proxy_is_ignored(behind, forwarded) -> None:
    assert client_of(behind, STRANGER, *forwarded) == STRANGER


def test_clients_behind_a_trusted_proxy_have_separate_limits(serve, names_dir) -> None:
    server = serve(names_dir, MICROGPT_TRUSTED_PROXIES=PROXY, MICROGPT_RATE_LIMIT="1/hour")
    assert [ask(server, STRANGER, f"1.2.3.{i}") for i in range(3)] == [404, 429, 429]
    assert [ask(server, PROXY, f"1.2.3.{i}") for i in range(3)] == [404, 404, 404]
    assert [ask(server, PROXY, f"6.6.6.{i}, 1.2.3.0") for i in range(3)] == [429, 429, 429]


def test_no_proxy_is_trusted_by_default(serve, names_dir) -> None:
    server = serve(names_dir, FORWARDED_ALLOW_IPS="*")  # uvicorn's own variable
    assert client_of(server, STRANGER, "1.2.3.4") == STRANGER
