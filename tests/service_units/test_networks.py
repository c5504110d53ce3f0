"""The network of an address: /24 and /48, one form for each, and nothing that is no address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quash_service.networks import network_of


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("", ""),
        ("203.0.113.7", "203.0.113.0/24"),
        ("203.0.113.255", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("2001:DB8:1::", "2001:db8:1::/48"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("::FFFF:CB00:7107", "203.0.113.0/24"),
        ("::203.0.113.7", "::/48"),
        ("::1", "::/48"),
    ],
)
def test_addresses_have_networks(ip: str, network: str) -> None:
    assert network_of(ip) == network


@pytest.mark.parametrize(
    "ip",
    [
        *("fe80::1%eth0", "::ffff:1.2.3.4%x", "fe80::1%", "1.2.3.4%x"),
        *("01.2.3.4", "1.2.3", "1.2.3.4/24", "1.2.3.4:80", "[::1]", " 1.2.3.4", "1.2.3.4\n", "256.1.1.1", "0x1.2.3.4"),
        *("unknown", "example.com", "1.2.3.4, 5.6.7.8", "\u0661.2.3.4", "3232235777", "::1::"),
    ],
)
def test_what_is_no_end_users_address_is_refused(ip: str) -> None:
    with pytest.raises(ValueError, match="address"):
        network_of(ip)


@given(st.ip_addresses(v=4), st.integers(0, 255))
def test_the_last_byte_of_ipv4_makes_no_difference(ip: object, last: int) -> None:
    moved = ".".join([*str(ip).split(".")[:3], str(last)])
    assert network_of(str(ip)) == network_of(moved) == network_of(f"::ffff:{ip}")


@given(st.text())
def test_any_text_gives_a_network_or_is_refused(text: str) -> None:
    try:
        network = network_of(text)
    except ValueError:
        return
    assert network == "" or network.endswith(("/24", "/48"))
