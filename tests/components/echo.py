"""A component with slixmpp, old or new, that answers every message. Arguments: name, secret, address, port."""

import sys

from slixmpp.componentxmpp import ComponentXMPP

name, secret, address, port = sys.argv[1:]


class Echo(ComponentXMPP):
    """Echoes messages, and connects again after a lost connection."""

    def __init__(self):
        super().__init__(name, secret, address, int(port))
        self.register_plugin("xep_0199")
        self.add_event_handler("message", self.echo)
        self.add_event_handler("disconnected", lambda _: self.connect())

    def echo(self, message):
        """Answers with the address that the message was for."""
        if message["type"] in ("chat", "normal"):
            message.reply("you said: " + message["body"]).send()


echo = Echo()
echo.connect()
echo.loop.run_forever()
