"""Who sits before the page, and what he or she may do."""

from __future__ import annotations

import getpass
import ipaddress

import streamlit as st

from fashion16 import settings

GUEST = "somebody"


def may_manage() -> bool:
    """Whether who looks at the page may change which collections there are."""
    who = settings.manage()
    return who == settings.EVERYBODY or (who == settings.LOCAL and is_this_computer(st.context.ip_address))


def is_this_computer(address: str | None) -> bool:
    """Whether an address that Streamlit gives is the computer's own; it gives None for most of these itself."""
    if address is None:
        return True
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    # a server that listens to both kinds of addresses sees those of the old kind in the new one's clothes
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_loopback


def may_correct() -> bool:
    """Whether who looks at the page may change labels: so may everybody who has logged in."""
    return may_manage() or _logged_in()


def name() -> str:
    """Who corrects: the login's name, else the one that was given on the page, else this computer's user."""
    if _logged_in():
        return str(st.user.get("email") or st.user.get("name") or st.user.get("sub"))
    return str(st.session_state.get("who", "")).strip() or _here()


def ask_name() -> None:
    """Let the person say who he or she is, for the history; a login says it better."""
    if not _logged_in():
        st.text_input(
            "Your name, for the history", key="who", placeholder=_here(), max_chars=100, persist_state="session"
        )


def _logged_in() -> bool:
    return bool(st.user.get("is_logged_in"))


def _here() -> str:
    if settings.manage() != settings.LOCAL:
        return GUEST
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may have a user without a name
        return GUEST
