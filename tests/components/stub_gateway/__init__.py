"""A gateway of slidge to a network that does not exist: what slidge itself does is tested, nothing else."""

from slidge import BaseGateway, BaseSession


class Session(BaseSession):
    """The session of a registered user."""

    async def login(self):
        """Reports that the network is reached."""
        return "connected to nothing"

    async def logout(self):
        """Nothing to end."""


class Gateway(BaseGateway):
    """The component."""

    COMPONENT_NAME = "Stub gateway"
    COMPONENT_TYPE = "stub"

    async def validate(self, user_jid, registration_form):
        """Accepts everybody."""
