"""Users with accounts on the other servers, through slixmpp."""

import asyncio
import socket
import ssl
import uuid

import slixmpp
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream import ET
from slixmpp.xmlstream.matcher import StanzaPath

from servers import SOON, Failure

MUC = "http://jabber.org/protocol/muc"


def make_account(jid, password, address, authority):
    """Registers an account (XEP-0077). slixmpp 1.8 sends nothing before it has logged in, so it cannot."""
    header = (
        f"<stream:stream to='{jid.host}' version='1.0' xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    connection = socket.create_connection((address, 5222), SOON)

    def exchanges(text, *answers):
        connection.sendall(text.encode())
        read = ""
        while not any(answer in read for answer in answers):
            received = connection.recv(65536)
            if not received:
                raise Failure(f"{jid.bare} cannot be registered: {read}")
            read += received.decode()
        return read

    exchanges(header, "</stream:features>")
    exchanges("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed")
    context = ssl.create_default_context(cafile=authority)
    connection = context.wrap_socket(connection, server_hostname=jid.host)
    exchanges(header, "</stream:features>")
    answer = exchanges(
        "<iq type='set' id='register'><query xmlns='jabber:iq:register'>"
        f"<username>{jid.user}</username><password>{password}</password></query></iq>",
        "</iq>", "/>",
    )  # fmt: skip
    connection.close()
    if "error" in answer and "conflict" not in answer:
        raise Failure(f"{jid.bare} cannot be registered: {answer}")


class User(slixmpp.ClientXMPP):
    """A client that keeps what it receives."""

    def __init__(self, jid, address, authority):
        super().__init__(jid, "a password")
        self.host_address = address
        self.ca_certs = authority
        self.ready = asyncio.Event()
        self.received = []
        self.changed = asyncio.Condition()
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self.add_event_handler("session_start", lambda _: self.ready.set())
        for kind in ("message", "presence"):
            self.register_handler(Callback(f"any {kind}", StanzaPath(kind), self.keep))

    async def log_in(self):
        """Makes the account, connects and logs in."""
        await asyncio.to_thread(make_account, self.boundjid, self.password, self.host_address, self.ca_certs)
        self.connect((self.host_address, 5222))
        try:
            await asyncio.wait_for(self.ready.wait(), SOON)
        except asyncio.TimeoutError as error:
            raise Failure(f"{self.boundjid.bare} cannot log in") from error
        self.send_presence()

    def keep(self, stanza):
        """Keeps a stanza, and wakes those that wait for one."""
        self.received.append(stanza)
        asyncio.ensure_future(self.notify())

    async def notify(self):
        """Wakes those that wait."""
        async with self.changed:
            self.changed.notify_all()

    async def receives(self, what, matches, since=0, limit=SOON):
        """Waits for a stanza, and returns it. `since` is the number of stanzas that had been received before."""
        found = []

        def is_there():
            found[:] = [stanza for stanza in self.received[since:] if matches(stanza)]
            return bool(found)

        try:
            async with self.changed:
                await asyncio.wait_for(self.changed.wait_for(is_there), limit)
        except asyncio.TimeoutError as error:
            raise Failure(f"{self.boundjid.bare} does not receive {what} within {limit} s") from error
        return found[0]

    def says(self, address):
        """Sends a message, and returns its text."""
        text = f"text {uuid.uuid4()}"
        self.send_message(mto=address, mbody=text, mtype="chat")
        return text

    async def hears_echo(self, address, text):
        """Waits for the echo of a message."""

        def is_answer(stanza):
            return stanza.name == "message" and stanza["from"].bare == address and text in str(stanza)

        fail_if_error(await self.receives(f"the echo of a message to {address}", is_answer))

    async def converses(self, address):
        """Sends a message, and waits for its echo."""
        await self.hears_echo(address, self.says(address))

    def enters(self, room):
        """Enters a room; returns what `meets` needs."""
        since = len(self.received)
        presence = self.make_presence(pto=f"{room}/nick{self.boundjid.user}")
        presence.append(ET.Element(f"{{{MUC}}}x"))
        presence.send()
        return since

    async def meets(self, room, since, tries=1):
        """After it has entered: says something in the room, hears it, and leaves. Enters up to `tries` times."""
        nick = f"nick{self.boundjid.user}"

        def is_own(stanza):
            return stanza.name == "presence" and stanza["from"].bare == room and stanza["from"].resource == nick

        for left in reversed(range(tries)):
            try:
                fail_if_error(await self.receives(f"its own presence in {room}", is_own, since, 20 if left else SOON))
                break
            except Failure:
                if not left:
                    raise
                since = self.enters(room)
        text = f"text {uuid.uuid4()}"
        self.send_message(mto=room, mbody=text, mtype="groupchat")

        def is_said(stanza):
            return stanza.name == "message" and stanza["from"].bare == room and stanza["body"] == text

        fail_if_error(await self.receives(f"what it said in {room}", is_said, since))
        since = len(self.received)
        self.send_presence(pto=f"{room}/{nick}", ptype="unavailable")
        # Before it enters again.
        await self.receives(f"the end of its presence in {room}", lambda stanza: is_own(stanza) and is_away(stanza), since)


def fail_if_error(stanza):
    """An error instead of an answer is a failure."""
    if stanza["type"] == "error":
        error = stanza["error"]
        raise Failure(f"{stanza['from']} answers with an error: {error['condition']}: {error['text']}")


def is_away(stanza):
    """Whether it is unavailable presence."""
    return stanza["type"] == "unavailable"
