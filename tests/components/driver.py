"""Tests real components in every situation of the table ROWS. `tests/components/run` starts it.

Arguments: [--only PART]… BINARY DIRECTORY
"""

import asyncio
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import traceback

import servers
from kinds import KINDS
from relay import Relay
from servers import EJABBERD, NODE, PROSODY, SECRET, Addresses, Failure, Node
from users import User

# Seconds for one cell of the table, on a busy machine.
LIMIT = 400


class Row:
    """A situation: the configuration of each component, and what must happen.

    `components` and `listen` make parts of the configuration; a row whose keys the binary does not know is left out.
    """

    def __init__(self, title, test, components=None, listen=None, only=None):
        self.title, self.test = title, test
        self.components = components or (lambda kind: [{}])
        self.listen = listen or (lambda bench: "")
        self.only = only or (lambda kind: True)


def line_with(*parts):
    """A pattern for a line of the log that contains all these parts."""
    return "^" + "".join(f"(?=.*{re.escape(part)})" for part in parts)


# ---- what must happen ------------------------------------------------------------------------------------------------


async def connects(bench, kind):
    """It connects, and users of both servers reach it."""
    with bench.runs(kind):
        await bench.node.sees(kind.name, True)
        await bench.all_converse(kind)
    await bench.node.sees(kind.name, False)


async def restarts(bench, kind):
    """What is sent while it restarts arrives when it is back, even if it was killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with bench.runs(kind) as process:
            await bench.node.sees(kind.name, True)
            await bench.all_converse(kind)
            process.stop(number)
        await bench.node.sees(kind.name, False)
        asked = [(user, kind.begin(user, kind.name)) for user in bench.users]
        with bench.runs(kind):
            await bench.node.sees(kind.name, True)
            for user, what in asked:
                await kind.finish(user, kind.name, what)


async def survives_a_restart_of_the_node(bench, kind):
    """It comes back by itself, or ends, so that its service manager starts it again."""
    with bench.runs(kind) as process:
        await bench.node.sees(kind.name, True)
        await bench.all_converse(kind)
        await bench.restart_of_the_node()
        # Some wait for a while before they connect again.
        await servers.until(
            lambda: process.has_ended() or bench.is_connected(kind.name), f"{kind.name} connects again or ends", 240
        )
        if not process.has_ended():
            await bench.all_converse(kind)
            bench.notes.append(f"{kind.title}: connects again by itself after a restart of the node")
            return
    bench.notes.append(f"{kind.title}: ends when the node restarts; its service manager has to start it again")
    with bench.runs(kind):
        await bench.node.sees(kind.name, True)
        await bench.all_converse(kind)


async def hangs(bench, kind):
    """What is sent to a stopped process arrives when it goes on. A second process takes over from one that hangs."""
    if kind.is_mute_after_a_wait:
        bench.notes.append(
            f"{kind.title}: answers nothing if the node answers its handshake only after seconds, as when another process with "
            "its name hangs; it has to be started again"
        )
    with bench.runs(kind) as process:
        await bench.node.sees(kind.name, True)
        await bench.all_converse(kind)
        process.send(signal.SIGSTOP)
        asked = [(user, kind.begin(user, kind.name)) for user in bench.users]
        await asyncio.sleep(2)
        process.send(signal.SIGCONT)
        for user, what in asked:
            await kind.finish(user, kind.name, what)
        await bench.all_converse(kind)
        process.send(signal.SIGSTOP)
        with bench.runs(kind, instance="b") as second:
            # The node pings the first one when the second shows the secret.
            await bench.node.process.logs(line_with("does not answer a ping", f"name={kind.name}"))
            # Some try once, and end; their service manager starts them again.
            await servers.until(
                lambda: second.has_ended() or bench.is_connected(kind.name), f"the second {kind.title} connects"
            )
            process.stop(signal.SIGKILL)
            if not second.has_ended() and not kind.is_mute_after_a_wait:
                await bench.all_converse(kind)
                return
        with bench.runs(kind, instance="b"):
            await bench.node.sees(kind.name, True)
            await bench.all_converse(kind)


async def is_refused_with_a_wrong_secret(bench, kind):
    """A wrong secret is noted, and changes nothing for one that has the right secret."""
    with bench.runs(kind, secret="a-wrong-secret"):

        async def is_noted():
            return (await bench.node.report(kind.name))["rejected"]["count"] > 0

        await servers.until(is_noted, "the node notes the wrong secret")
        report = await bench.node.report(kind.name)
        if report["connected"] or report["rejected"]["address"] is None:
            raise Failure(f"after a wrong secret the node reports {report}")
        # The wrong one may go on trying.
        with bench.runs(kind, instance="b"):
            await bench.node.sees(kind.name, True)
            await bench.all_converse(kind)


async def stays_if_a_second_one_comes(bench, kind):
    """conflict = "refuse": the first one answers a ping, and keeps the name."""
    with bench.runs(kind):
        await bench.node.sees(kind.name, True)
        await bench.all_converse(kind)
        since = (await bench.node.report(kind.name))["since"]
        with bench.runs(kind, instance="b") as second:
            await bench.node.process.logs(line_with("component refused", f"name={kind.name}"))
            await bench.all_converse(kind)
            second.stop()
        report = await bench.node.report(kind.name)
        if report["since"] != since or not report["connected"]:
            raise Failure(f"the first one lost its name: {report}")
        await bench.all_converse(kind)


async def leaves_if_a_second_one_comes(bench, kind):
    """conflict = "replace": the second one gets the name."""
    with bench.runs(kind) as first:
        await bench.node.sees(kind.name, True)
        await bench.all_converse(kind)
        with bench.runs(kind, instance="b"):
            await bench.node.process.logs(line_with("a new connection replaces", f"name={kind.name}"))
            # The first one would come back, and replace the second.
            first.stop(signal.SIGKILL)
            await bench.node.sees(kind.name, True)
            await bench.all_converse(kind)


async def serves_two_names(bench, kind):
    """One connection serves two names, in both directions."""
    with bench.runs(kind):
        await bench.node.sees(kind.name, True)
        for name in (kind.name, f"second.{kind.name}"):
            await bench.all_converse(kind, name)


async def serves_a_wildcard(bench, kind):
    """One connection serves names as they come."""
    with bench.runs(kind, name=f"gateway.{kind.name}"):
        await bench.node.process.logs(line_with("nuncio::component", " connected ", kind.name))
        for name in ("gateway", "one", "two"):
            await bench.all_converse(kind, f"{name}.{kind.name}")


async def connects_by_relay(bench, kind):
    """It connects to something that TCP alone does not reach."""
    port = await bench.relay.listen(bench.addresses.of(6))
    try:
        with bench.runs(kind, at=(bench.addresses.of(6), port)):
            await bench.node.sees(kind.name, True)
            await bench.all_converse(kind)
    finally:
        bench.relay.close()


# ---- the configuration of each row -----------------------------------------------------------------------------------


def unix_socket(bench):
    """Components connect to a Unix socket."""
    path = os.path.join(bench.node.directory, "c.sock")
    bench.new_relay = lambda: Relay.to_unix(path)
    return f'component = ["unix:{path}"]'


def direct_tls(bench):
    """Components connect to a port with TLS."""
    bench.new_relay = lambda: Relay.to_tls(bench.node.address, 5348, f"{bench.certificates}/ca.crt", NODE)
    return f'component = ["{bench.node.address}:5347"]\ncomponent_tls = ["{bench.node.address}:5348"]'


# One line for each row of the table: title, what must happen, and what is special in the configuration.
ROWS = [
    Row("connect", connects),
    Row("restart", restarts),
    Row("restart of the node", survives_a_restart_of_the_node),
    Row("hang (SIGSTOP)", hangs),
    Row("wrong secret", is_refused_with_a_wrong_secret),
    Row("conflict: refuse", stays_if_a_second_one_comes, lambda kind: [{"conflict": '"refuse"'}]),
    Row("conflict: replace", leaves_if_a_second_one_comes, lambda kind: [{"conflict": '"replace"'}]),
    Row("two names", serves_two_names, lambda kind: [{"names": f'["second.{kind.name}"]'}], only=lambda kind: kind.any_name),
    Row("wildcard", serves_a_wildcard, lambda kind: [{"name": f'"*.{kind.name}"'}], only=lambda kind: kind.any_name),
    Row("Unix socket", connects_by_relay, listen=unix_socket),
    Row("TLS", connects_by_relay, listen=direct_tls),
]


# ---- the bench -------------------------------------------------------------------------------------------------------


class Running:
    """Processes of a `with` statement."""

    def __init__(self, process):
        self.process = process

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        self.process.stop()


class Bench:
    """The node, the other servers and their users."""

    def __init__(self, binary, directory):
        self.directory, self.addresses = directory, Addresses()
        self.certificates = os.path.join(directory, "certificates")
        of = self.addresses.of
        self.node = Node(binary, os.path.join(directory, "n"), of(1), of(5), self.certificates)
        self.users, self.notes, self.others = [], [], []
        self.new_relay = self.relay = None
        self.kinds = [kind(directory, self.addresses) for kind in KINDS]
        self.present, self.ready, self.restarting = 0, 0, None

    async def start(self):
        """Starts everything but the node and the components."""
        of = self.addresses.of
        os.makedirs(self.certificates)
        wildcards = [f"*.{kind.name}" for kind in self.kinds]
        names = {NODE: [NODE, f"*.{NODE}", *wildcards], PROSODY: [PROSODY], EJABBERD: [EJABBERD]}
        servers.certify(self.certificates, names)
        servers.serve_names(of(5), {NODE: of(1), PROSODY: of(2), EJABBERD: of(3)})
        place = lambda name: os.path.join(self.directory, name)
        os.makedirs(place("prosody"))
        os.makedirs(place("ejabberd"))
        prosody = servers.start_prosody(place("prosody"), of(2), of(5), self.certificates)
        ejabberd = servers.start_ejabberd(place("ejabberd"), of(3), of(5), self.certificates)
        self.others += [prosody, ejabberd]
        if shutil.which("ngircd"):
            self.others.append(servers.start_ngircd(place("ngircd"), of(4)))
        await prosody.logs(r"Activated service 'c2s'.*5222")
        await ejabberd.logs(r"Start accepting TCP connections.*:5222")
        authority = f"{self.certificates}/ca.crt"
        self.users = [User(f"alice@{PROSODY}", of(2), authority), User(f"bob@{EJABBERD}", of(3), authority)]
        for user in self.users:
            await user.log_in()

    def stop(self):
        """Ends all processes."""
        for process in self.others:
            process.stop()

    def runs(self, kind, at=None, **options):
        """Runs a component during a `with` statement."""
        at = at or (self.node.address, 5347)
        return Running(kind.start(at, **options))

    async def all_converse(self, kind, name=None):
        """A stanza each way with the users of both servers."""
        await asyncio.gather(*(kind.converse(user, name) for user in self.users))

    async def is_connected(self, name):
        """Whether the node has a connection of the component."""
        report = await self.node.report(name)
        return report is not None and report["connected"]

    async def restart_of_the_node(self):
        """Restarts the node once all components of this row are here."""
        self.ready += 1
        await servers.until(lambda: self.ready >= self.present, "all components are connected")
        if not self.restarting:
            self.restarting = asyncio.ensure_future(self.node.restart())
        await asyncio.shield(self.restarting)

    async def cell(self, row, kind):
        """The result of one cell: `ok`, or the reason of the failure."""
        try:
            await asyncio.wait_for(row.test(self, kind), LIMIT)
        except Failure as failure:
            return str(failure)
        except asyncio.TimeoutError:
            return f"not finished within {LIMIT} s"
        except Exception:  # pylint: disable=broad-except
            return traceback.format_exc(limit=-2).strip().replace("\n", " | ")
        finally:
            # Others do not wait for it.
            self.present -= 1
        return "ok"

    async def row(self, row, kinds):
        """The results of a row, or why it was left out."""
        kinds = [kind for kind in kinds if row.only(kind)]
        blocks = []
        for kind in kinds:
            for block in row.components(kind):
                blocks.append({"name": f'"{kind.name}"', "secret": f'"{SECRET}"', **block})
        self.node.configure(blocks, row.listen(self))
        lacking = self.node.lacks()
        if lacking:
            return f"this binary does not know {lacking}"
        self.present, self.ready, self.restarting = len(kinds), 0, None
        await self.node.start()
        results = await asyncio.gather(*(self.cell_with_relay(row, kind) for kind in kinds))
        self.node.stop()
        return dict(zip((kind.title for kind in kinds), results))

    async def cell_with_relay(self, row, kind):
        """A cell with a relay of its own, if the row needs one."""
        if not self.new_relay:
            return await self.cell(row, kind)
        view = Bench.__new__(Bench)
        view.__dict__ = {**self.__dict__, "relay": self.new_relay()}
        return await view.cell(row, kind)


def table(rows):
    """Lines with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


async def main(parts, binary, directory):
    """Runs the rows and prints the results; returns whether all that ran has passed."""
    bench = Bench(binary, directory)
    kinds = [kind for kind in bench.kinds if kind.missing() is None]
    rows = [row for row in ROWS if not parts or any(part in row.title for part in parts)]
    results, left_out, failures = {}, {}, []
    try:
        await bench.start()
        for row in rows:
            print(f"{row.title} …", file=sys.stderr, flush=True)
            bench.new_relay = None
            found = await bench.row(row, kinds)
            if isinstance(found, str):
                left_out[row.title] = found
                found = {}
            results[row.title] = found
            failures += [f"{row.title}, {title}: {text}" for title, text in found.items() if text != "ok"]
    except Failure as failure:
        failures.append(str(failure))
    finally:
        bench.stop()
    shown = [["", *(kind.title for kind in kinds)], ["", *(kind.version() for kind in kinds)]]
    for row in rows:
        found = results.get(row.title, {})
        cells = [{"ok": "ok", None: "-"}.get(found.get(kind.title), "FAILED") for kind in kinds]
        shown.append([row.title, *cells])
    print("\n".join(table(shown)))
    for title, why in left_out.items():
        print(f"not run: row {title}: {why}")
    for kind in bench.kinds:
        if kind.missing():
            print(f"not run: column {kind.title}: {kind.missing()}")
    for note in bench.notes:
        print(note)
    for failure in failures:
        print(f"FAILED: {failure}")
    ran = sum(len(found) for found in results.values())
    print(f"{ran} cells ran, {len(failures)} failed")
    return not failures and ran > 0


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    *options, the_binary, the_directory = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    version = subprocess.run([the_binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version}: {the_binary}", flush=True)
    sys.exit(0 if asyncio.run(main(options[1::2], the_binary, the_directory)) else 1)
