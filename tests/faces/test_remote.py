"""Where a request comes from, and whose word for it counts."""

import ipaddress

import pytest

from registry.faces.remote import address

PROXIES = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "fd00::/8")))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),  # anybody can write that
        ("10.1.1.1", "198.51.100.7", "198.51.100.7"),
        ("10.1.1.1", "198.51.100.7, 10.2.2.2", "198.51.100.7"),
        ("10.1.1.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),  # the caller said it was 203.0.113.9
        ("10.1.1.1", "10.9.9.9, 198.51.100.7, 10.2.2.2", "198.51.100.7"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "unknown", "10.1.1.1"),
        ("10.1.1.1", "198.51.100.7, nonsense", "10.1.1.1"),
        ("10.1.1.1", "nonsense, 198.51.100.7", "198.51.100.7"),
        ("10.1.1.1", "10.3.3.3", "10.3.3.3"),
        ("10.1.1.1", "198.51.100.7:4711", "198.51.100.7"),
        ("fd00::1", "[2001:db8::5]:4711", "2001:db8::5"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("::ffff:10.1.1.1", "::ffff:198.51.100.7", "198.51.100.7"),
        ("10.1.1.1", ",,,", "10.1.1.1"),
        ("", "198.51.100.7", ""),
        ("a socket", "198.51.100.7", "a socket"),
    ],
)
def test_the_word_of_a_trusted_proxy_counts_and_no_other(peer: str, forwarded: str, found: str) -> None:
    assert address(peer, forwarded, PROXIES) == found


def test_without_trusted_proxies_it_is_the_other_end_of_the_connection() -> None:
    assert address("10.1.1.1", "198.51.100.7", ()) == "10.1.1.1"
