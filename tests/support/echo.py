"""A component as people write them: answers every message with what it said.

Arguments: name, secret, address and port of the server.
"""

import sys

from slixmpp.componentxmpp import ComponentXMPP

name, secret, address, port = sys.argv[1:]


class Echo(ComponentXMPP):
    """Echoes messages."""

    def __init__(self):
        super().__init__(name, secret, address, int(port))
        self.add_event_handler("session_start", lambda _: print("connected", flush=True))
        self.add_event_handler("message", self.echo)

    def echo(self, message):
        """Answers, unless the message is an error."""
        if message["type"] != "error":
            message.reply("you said: " + message["body"]).send()


echo = Echo()
echo.connect()
echo.process()
