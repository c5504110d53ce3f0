"""The network of an end user's address: what is compared, because single addresses change too often."""

from ipaddress import ip_address, ip_network

IPV4_PREFIX = 24
IPV6_PREFIX = 48


def network_of(ip: str) -> str:
    """Return the /24 or /48 of an address as text, empty for an empty one.

    An IPv4 address mapped into IPv6 counts as IPv4. Raises ``ValueError`` for what is no address, and for
    one with a zone (RFC 4007 §11), whose name means something on one host only.
    """
    if not ip:
        return ""
    if "%" in ip:
        raise ValueError("an address with a zone is no end user's address")
    address = ip_address(ip)
    mapped = getattr(address, "ipv4_mapped", None) or address
    prefix = IPV4_PREFIX if mapped.version == 4 else IPV6_PREFIX  # noqa: PLR2004 - the protocol's number
    return str(ip_network(f"{mapped}/{prefix}", strict=False))
