"""Connects components that know only TCP to a Unix socket, or to a port with TLS: what socat and stunnel do."""

import asyncio
import ssl


class Relay:
    """Listens at a TCP address, and connects each connection to another place."""

    def __init__(self, opener):
        self.opener = opener
        self.server = None

    @classmethod
    def to_unix(cls, path):
        """To a Unix socket."""
        return cls(lambda: asyncio.open_unix_connection(path))

    @classmethod
    def to_tls(cls, address, port, authority, name):
        """To a port with TLS from the first byte; its certificate must be for `name`."""
        context = ssl.create_default_context(cafile=authority)
        return cls(lambda: asyncio.open_connection(address, port, ssl=context, server_hostname=name))

    async def listen(self, address):
        """Listens, and returns the port."""
        self.server = await asyncio.start_server(self.connect, address, 0)
        return self.server.sockets[0].getsockname()[1]

    async def connect(self, reader, writer):
        """Serves one connection."""
        try:
            far_reader, far_writer = await self.opener()
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    def close(self):
        """Listens no longer."""
        self.server.close()


async def copy(reader, writer):
    """Copies bytes until one side ends."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    finally:
        writer.close()
