"""A gateway of slidge to a network that does not exist: what slidge itself does is tested, nothing else."""

from slidge import BaseGateway, BaseSession
from slidge.contact import LegacyContact, LegacyRoster
from slidge.group import LegacyBookmarks, LegacyMUC


class Contact(LegacyContact):
    """Somebody in the other network."""


class Roster(LegacyRoster[Contact]):
    """The contacts of a user."""


class Group(LegacyMUC):
    """A group of the other network."""


class Bookmarks(LegacyBookmarks[Group]):
    """The groups of a user."""

    async def fill(self):
        """There are none."""


class Session(BaseSession[Roster, Bookmarks]):
    """The session of a registered user."""

    async def login(self):
        """Reports that the network is reached."""
        return "connected to nothing"

    async def logout(self):
        """Nothing to end."""


class Gateway(BaseGateway[Session]):
    """The component."""

    COMPONENT_NAME = "Stub gateway"
    COMPONENT_TYPE = "stub"

    async def validate(self, user_jid, registration_form):
        """Accepts everybody."""
