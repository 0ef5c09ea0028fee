"""A user of Prosody who writes a message to an address and waits for the answer with the same text.

Arguments: the address, the text, and how many seconds to wait. Exit status: 0 if the answer came.
"""

import asyncio
import sys

from slixmpp import ClientXMPP

address, text, wait = sys.argv[1:]


class Alice(ClientXMPP):
    """alice@remote.example."""

    def __init__(self):
        super().__init__("alice@remote.example/test", "wonderland")
        self.answered = asyncio.get_event_loop().create_future()
        self.add_event_handler("session_start", self.begin)
        self.add_event_handler("message", self.hear)
        self.add_event_handler("message_error", self.hear)

    def begin(self, _):
        """Writes the message."""
        self.send_presence()
        self.send_message(mto=address, mbody=text, mtype="chat")

    def hear(self, message):
        """Takes the answer, or the error."""
        # Reading message["error"] makes an error of any message.
        is_error = message["type"] == "error"
        print(f"{message['from']}: {message['error']['text'] if is_error else message['body']}", flush=True)
        if not self.answered.done() and (is_error or message["body"] == text):
            self.answered.set_result(not is_error)


async def main(alice):
    """Exits with 0 after the answer."""
    try:
        return 0 if await asyncio.wait_for(alice.answered, float(wait)) else 1
    except asyncio.TimeoutError:
        print("no answer", flush=True)
        return 1


user = Alice()
user.connect(address=("192.0.2.20", 5222))
sys.exit(user.loop.run_until_complete(main(user)))
